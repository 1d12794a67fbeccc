"""`import pipeline` is quick and has every name it promises."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

PUBLIC = {
    "pipeline": [
        "BackpressureStrategy",
        "ErrorPolicy",
        "JobConfig",
        "JobResult",
        "RestartStrategy",
        "StreamJob",
    ],
    "connectors": [
        "CollectSink",
        "CollectionSource",
        "ConsoleSink",
        "FileSink",
        "FileSource",
        "GeneratorSource",
        "SqlQuerySource",
    ],
}
LOADED = "import {package}, sys; print(*sorted(sys.modules), sep='\\n')"


def loaded_by_importing(package: str, root: Path) -> set[str]:
    code = LOADED.format(package=package)
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("package", sorted(PUBLIC))
def test_importing_loads_no_library_and_no_engine(package: str, root: Path) -> None:
    """What a job does not use it does not wait for: names are resolved when they are first asked for."""
    before = loaded_by_importing("sys", root)
    own = {"pipeline", "connectors", "state", "checkpoint"}
    new = loaded_by_importing(package, root) - before
    libraries = {name.partition(".")[0] for name in new} - set(sys.stdlib_module_names) - own
    assert not libraries
    assert not {name for name in new if name.startswith(("pipeline.runtime", "pipeline.reactive", "asyncio"))}


@pytest.mark.parametrize("package", sorted(PUBLIC))
def test_every_promised_name_is_there(package: str) -> None:
    """The names of the public interface can be imported from the package, and `__all__` lists no other."""
    module = importlib.import_module(package)
    assert set(PUBLIC[package]) <= set(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is not None


@pytest.mark.parametrize("package", sorted(PUBLIC))
def test_a_name_nobody_promised_is_refused(package: str) -> None:
    """An unknown name is an AttributeError that repeats it, as with any module."""
    module = importlib.import_module(package)
    with pytest.raises(AttributeError, match="NoSuchThing"):
        _ = module.NoSuchThing
