"""The public names: each resolves, each has one home, and what a user's own folder hides is told."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import connectors
import pipeline

PACKAGES = {"pipeline": pipeline, "connectors": connectors}
NOT_CLASSES = {"DEAD_LETTERS", "__version__"}


def imported_for_checkers(package: str, root: Path) -> dict[str, str]:
    """Read which names an `__init__` imports for type checkers, and from where."""
    tree = ast.parse((root / package / "__init__.py").read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in imports for alias in node.names}


@pytest.mark.parametrize("package", PACKAGES)
def test_each_name_comes_from_its_home(package: str) -> None:
    """A class says of itself that it is where the package takes it from."""
    module = PACKAGES[package]
    for name in set(module.__all__) - NOT_CLASSES:
        value = getattr(module, name)
        assert value.__qualname__ == name
        assert getattr(importlib.import_module(value.__module__), name) is value


@pytest.mark.parametrize("package", PACKAGES)
def test_checkers_and_users_get_the_same(package: str, root: Path) -> None:
    """What a checker is told, what `__all__` lists and what is imported lazily agree name by name."""
    module = PACKAGES[package]
    told = imported_for_checkers(package, root)
    assert set(told) | {"__version__"} == set(module.__all__) | {"__version__"}
    for name, home in told.items():
        assert getattr(module, name) is getattr(importlib.import_module(home), name)
        if name not in NOT_CLASSES:
            assert getattr(module, name).__module__ == home


def test_no_name_is_public_twice() -> None:
    """One home for each: `pipeline` and `connectors` share none."""
    assert not set(pipeline.__all__) & set(connectors.__all__)
    assert set(dir(pipeline)) == set(pipeline.__all__)
    assert set(dir(connectors)) == set(connectors.__all__)


def test_the_version_is_the_distributions() -> None:
    assert pipeline.__version__ == version("pipeline-framework")


@pytest.mark.parametrize("package", ["connectors", "state", "checkpoint"])
def test_a_folder_of_the_users_that_hides_a_package_is_told(package: str, tmp_path: Path) -> None:
    """A clash is one clear error with both paths, not a strange one later."""
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").touch()
    (tmp_path / "job.py").write_text("import pipeline", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "job.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    message = done.stderr.splitlines()[-1]
    assert message.startswith(f"ImportError: the package {package!r} of pipeline-framework is ")
    assert str(tmp_path / package) in message
    assert str(Path(pipeline.__file__).parent.parent / package) in message


def test_importing_is_quick() -> None:
    """At most 0.2 s, by the best of three, so that a busy machine does not decide it."""
    code = "import time; t = time.perf_counter(); import pipeline; print(time.perf_counter() - t)"
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, check=True) for _ in range(3)]
    assert min(float(run.stdout) for run in runs) < 0.2
