"""What is installed: the version of the distribution, and what its extras require."""

from __future__ import annotations

from typing import Final

NAME: Final = "pipeline-framework"


def version() -> str:
    """Return the version of the installed distribution."""
    from importlib.metadata import version  # slow to import, and seldom asked for

    return version(NAME)


def requirements(extra: str) -> list[str]:
    """Return what an extra requires, as pip takes it: `psycopg[binary]>=3.2`.

    It is empty for an extra that does not exist, or where the project is not installed.
    """
    from importlib.metadata import PackageNotFoundError, requires

    try:
        listed = requires(NAME) or ()
    except PackageNotFoundError:
        return []
    marked = (requirement.partition(";") for requirement in listed)
    return [
        requirement.strip()
        for requirement, _, marker in marked
        if f'extra == "{extra}"' in marker.replace("'", '"')
    ]
