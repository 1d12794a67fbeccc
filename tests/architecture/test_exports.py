"""The public names: each resolves and has one home, and a module of the user's that hides one is reported."""

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
    """The names for type checkers, those in `__all__` and the lazily imported ones agree."""
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


FIRST = {
    "pipeline": "from pipeline import StreamJob",
    "connectors": "from connectors import CollectionSource",
    "state": "from state.descriptors import AggregateFunction",
    "checkpoint": "from checkpoint.barrier import Barrier",
}


@pytest.mark.parametrize(
    ("first", "theirs"), [(first, theirs) for first in FIRST for theirs in FIRST if first != theirs]
)
def test_a_module_of_the_users_that_hides_a_package_is_reported(
    first: str, theirs: str, tmp_path: Path
) -> None:
    """A clash is one clear error with both paths, whichever package comes first; theirs does not run."""
    form = "{}.py" if theirs == "pipeline" else "{}/__init__.py"
    module = tmp_path / form.format(theirs)
    module.parent.mkdir(exist_ok=True)
    module.write_text("print('imported')", encoding="utf-8")
    (tmp_path / "job.py").write_text(FIRST[first], encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "job.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    message = done.stderr.splitlines()[-1]
    assert message.startswith(f"ImportError: the package {theirs!r} of pipeline-framework is ")
    assert str(tmp_path / theirs) in message
    assert str(Path(pipeline.__file__).parent.parent / theirs) in message
    assert done.stdout == ""


def test_a_job_called_pipeline_is_refused(tmp_path: Path) -> None:
    """It would import itself, and Python would speak of a circular import."""
    (tmp_path / "pipeline.py").write_text(RUNS, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "pipeline.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stderr.splitlines()[-1].startswith(
        "ImportError: the package 'pipeline' of pipeline-framework"
    )


def test_pipeline_run_finds_ours_first(tmp_path: Path) -> None:
    """A job beside modules that have the names of ours runs, as long as it does not need them."""
    for theirs in FIRST:
        (tmp_path / theirs).mkdir()
        (tmp_path / theirs / "__init__.py").write_text("print('imported')", encoding="utf-8")
    (tmp_path / "job.py").write_text(RUNS, encoding="utf-8")
    command = [str(Path(sys.executable).parent / "pipeline"), "run", "--quiet", "job.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


RUNS = """
from connectors import CollectionSource, ConsoleSink
from pipeline import StreamJob

job = StreamJob.builder().name("clash").source(CollectionSource([1])).map(str).sink(ConsoleSink()).build()
"""


def test_importing_is_quick() -> None:
    """At most 0.2 s of computing, by the best of three, so that a busy machine does not decide it."""
    code = "import time; t = time.process_time(); import pipeline; print(time.process_time() - t)"
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, check=True) for _ in range(3)]
    assert min(float(run.stdout) for run in runs) < 0.2
