"""Tells when a module of the user's hides one of this project's packages: `state` is a common name.

`connectors`, `state` and `checkpoint` run this file by its path before they import anything of the project:
where `pipeline` itself is hidden, it could not be found by its name. So it imports nothing of the project.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parents[2]
"""Where the four packages are."""

PACKAGES: Final = ("pipeline", "connectors", "state", "checkpoint")


def require_siblings(folder: Path = FOLDER, packages: Sequence[str] = PACKAGES) -> None:
    """Check that each package is the one in `folder`, without importing it.

    Raises:
        ImportError: another one would be imported, or none is found; names both paths.
    """
    for package in packages:
        expected, found = folder / package, _imported(package)
        if found is None or found.resolve() != expected.resolve():
            raise ImportError(
                f"the package {package!r} of pipeline-framework is {expected}, but `import {package}` finds "
                f"{found or 'nothing'} — rename that one, or keep its folder out of sys.path",
                name=package,
            )


def hidden(package: str, folder: Path = FOLDER) -> Path | None:
    """Return the first module on `sys.path` that is never imported because `package` has its name."""
    for entry in sys.path:
        found = _location(PathFinder.find_spec(package, [entry]))
        if found is not None and found.resolve() != (folder / package).resolve():
            return found
    return None


def _imported(package: str) -> Path | None:
    """Return the folder or file that `import package` uses, None if there is none."""
    module = sys.modules.get(package)
    return _location(find_spec(package) if module is None else module.__spec__)


def _location(spec: ModuleSpec | None) -> Path | None:
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    return None if spec.origin is None else Path(spec.origin)
