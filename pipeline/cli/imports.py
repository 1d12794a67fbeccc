"""Import the module that builds a job: a file, a file of a package, or a module by its name."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import checkpoint
import connectors
import state
from pipeline.core.errors import ConfigError, PipelineError

_FOUND_FIRST = (checkpoint, connectors, state)
"""Imported before a folder of the user's is searched, so that no module there can take their place."""

_EXIT_USAGE = 2
"""What argparse, and many a command, ends with when it refuses its arguments."""


class JobFileError(ConfigError):
    """The file that builds the job raised; what it raised is the `__cause__`."""


def import_job_module(target: str, parameters: Sequence[str]) -> ModuleType:
    """Import a file by its path, else a module by its name.

    A file in a package is imported as a part of it, so that its relative imports work. The file's
    folder, that of its package and the current one are appended to `sys.path`, never put in front: a
    user's own `state/` folder must not hide ours.

    Args:
        target: a path, or a name such as `package.module`.
        parameters: what the module finds in `sys.argv[1:]`.

    Raises:
        ConfigError: there is no such file and no such module.
        JobFileError: it does not parse, raised, or ended the process. A `PipelineError` that it
            raises comes through as it is.
        SystemExit: it was given parameters, and ended with success: it was asked for its help, say.
    """
    sys.argv = [target, *parameters]
    path = Path(target)
    if path.is_file():
        with _blaming(target):
            return _import_file(path)
    if path.suffix == ".py" or not all(part.isidentifier() for part in target.split(".")):
        raise ConfigError(f"there is no file {target}", hint="expected: pipeline run FILE.py[:JOB]")
    with _blaming(target):
        return _import_named(target)


def _import_file(path: Path) -> ModuleType:
    folder = path.resolve().parent
    package, root = _package_of(folder)
    _search(folder, root, Path.cwd())
    if package and path.stem.isidentifier() and _finds(package, folder):
        return importlib.import_module(package if path.stem == "__init__" else f"{package}.{path.stem}")
    spec = importlib.util.spec_from_file_location(f"pipeline_job_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _import_named(name: str) -> ModuleType:
    _search(Path.cwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # of an import inside the module
        raise ConfigError(
            f"there is no file and no module {name}: {error}",
            hint="expected: pipeline run FILE.py[:JOB] or pipeline run MODULE[:JOB]",
        ) from None


def _package_of(folder: Path) -> tuple[str, Path]:
    """Return the name of the package that `folder` is, "" if it is none, and the folder that holds it."""
    names: list[str] = []
    while (folder / "__init__.py").is_file() and folder.name.isidentifier():
        names.insert(0, folder.name)
        folder = folder.parent
    return ".".join(names), folder


def _finds(package: str, folder: Path) -> bool:
    """Whether `import package` would import the one in `folder`, and not another of its name."""
    top = package.partition(".")[0]
    spec = importlib.util.find_spec(top)
    locations = () if spec is None else spec.submodule_search_locations or ()
    return any(folder.is_relative_to(Path(location).resolve()) for location in locations)


def _search(*folders: Path) -> None:
    for folder in map(str, folders):
        if folder not in sys.path:
            sys.path.append(folder)


@contextmanager
def _blaming(target: str) -> Generator[None]:
    """Say of what the module raises that the module raised it."""
    try:
        yield
    except PipelineError:
        raise
    except SystemExit as end:
        if not end.code and len(sys.argv) > 1:
            raise
        raise JobFileError(f"{target} ended the process: sys.exit({end.code!r})", hint=_hint(end)) from end
    except Exception as error:
        raise JobFileError(f"{target} raised {type(error).__name__}: {error}", hint=_hint(error)) from error


def _hint(error: BaseException) -> str | None:
    if isinstance(error, SystemExit):
        if error.code == _EXIT_USAGE:
            return f"the job's own parameters follow --: pipeline run {sys.argv[0]} -- PARAMETERS"
        return 'what runs the job belongs under if __name__ == "__main__"'
    if isinstance(error, ImportError) and "no known parent package" in str(error):
        return "a relative import needs a package: add __init__.py to the folder, or run the job as a module"
    return None
