"""Tells when a folder of the user's hides one of this project's packages: `state` is a common name."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path


def require_siblings(folder: Path, packages: Sequence[str]) -> None:
    """Check that each package is the one in `folder`, without importing it.

    Raises:
        ImportError: another one would be imported, or none is found; names both paths.
    """
    for package in packages:
        expected, found = folder / package, _location(package)
        if found is None or found.resolve() != expected.resolve():
            raise ImportError(
                f"the package {package!r} of pipeline-framework is {expected}, but `import {package}` finds "
                f"{found or 'nothing'} — rename that one, or keep its folder out of sys.path"
            )


def _location(package: str) -> Path | None:
    """Return the folder or file that `import package` gives, None if there is none."""
    module = sys.modules.get(package)
    spec = find_spec(package) if module is None else module.__spec__
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    return None if spec.origin is None else Path(spec.origin)
