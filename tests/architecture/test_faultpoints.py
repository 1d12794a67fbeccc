"""The crash points the code passes are the ones that are listed, named and tested."""

from __future__ import annotations

import ast

from pipeline.core.faults import FAULTPOINTS

from .conftest import Module


def passed_points(modules: list[Module]) -> dict[str, list[str]]:
    """Each crash point in the code and its place."""
    points: dict[str, list[str]] = {}
    for module in modules:
        for call in module.calls():
            if isinstance(call.func, ast.Name) and call.func.id == "faultpoint":
                points.setdefault(ast.unparse(call.args[0]), []).append(module.at(call))
    return points


def test_every_crash_point_in_the_code_is_listed(modules: list[Module]) -> None:
    """A point is named by a literal that FAULTPOINTS explains; any other could never be armed."""
    listed = {repr(name) for name in FAULTPOINTS}
    unknown = {name: places for name, places in passed_points(modules).items() if name not in listed}
    assert not unknown


def test_every_listed_crash_point_is_in_the_code(modules: list[Module]) -> None:
    """A listed point that the code never passes would make its test prove nothing."""
    assert {repr(name) for name in FAULTPOINTS} - passed_points(modules).keys() == set()
