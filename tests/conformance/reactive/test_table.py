"""docs/conformance.md is true: every test that it names exists and names the same rule itself."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

from pipeline.testing.tck import ProcessorVerification

ROOT = Path(__file__).parents[3]
NAME = re.compile(r"\b[A-Z]\w+Test\.\w+")
ROW = re.compile(r"^\| `([A-Z]\w+Test\.\w+)` \| (.+) \|$", re.MULTILINE)
RULE = re.compile(r"^\| [\d.–]+ \| `(test_\w+)` \|$", re.MULTILINE)


@cache
def page() -> str:
    return (ROOT / "docs/conformance.md").read_text(encoding="utf-8")


@cache
def table() -> dict[str, set[str]]:
    """Return which of our tests stand for each of Reactor's, as the page says."""
    return {name: set(re.findall(r"`(tests/[^`]+)`", tests)) for name, tests in ROW.findall(page())}


@cache
def said() -> dict[str, set[str]]:
    """Return the same, as the docstrings of the tests say."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for file in (ROOT / "tests").rglob("test_*.py"):
        text = file.read_text(encoding="utf-8")
        if "Reactor:" in text:
            for place, docstring in _tests(ast.parse(text).body, file.relative_to(ROOT).as_posix()):
                for name in NAME.findall(docstring.partition("Reactor:")[2]):
                    found[name].add(place)
    return found


def _tests(body: list[ast.stmt], prefix: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for node in body:
        if isinstance(node, ast.ClassDef):
            found += _tests(node.body, f"{prefix}::{node.name}")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            found.append((f"{prefix}::{node.name}", ast.get_docstring(node) or ""))
    return found


def test_the_table_is_there() -> None:
    assert len(table()) > 170


@pytest.mark.parametrize("name", sorted(table()))
def test_each_test_of_reactor_has_the_equivalent_that_the_table_names(name: str) -> None:
    """Moved, renamed or removed: the page and the test's docstring must follow."""
    assert table()[name] <= said()[name]


def test_no_equivalent_is_missing_in_the_table() -> None:
    missing = {name: sorted(places - table().get(name, set())) for name, places in said().items()}
    assert not {name: places for name, places in missing.items() if places}


def test_each_rule_of_the_suites_is_on_the_page() -> None:
    """And the page names none that is not there."""
    suite = {name for name in dir(ProcessorVerification) if name.startswith("test_")}
    assert set(RULE.findall(page())) == suite
