"""The engine knows operators by their answers, not by their classes: a new one is one file and a method."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

CONTRACT = {"base", "failure", "timers", "timestamps", "watermarking"}
"""The modules of `pipeline.operators` that name no operator."""


def operators_imported(path: Path) -> set[str]:
    imported = {
        node.module
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module is not None
    }
    prefix = "pipeline.operators."
    return {module.removeprefix(prefix) for module in imported if module.startswith(prefix)} - CONTRACT


@pytest.mark.parametrize("package", ["graph", "compiler", "runtime", "cli"])
def test_the_engine_names_no_operator(package: str, root: Path) -> None:
    files = sorted((root / "pipeline" / package).rglob("*.py"))
    assert files
    assert {path.name: named for path in files if (named := operators_imported(path))} == {}


def test_an_import_of_an_operator_is_seen(root: Path) -> None:
    assert operators_imported(root / "pipeline/api/stream.py") >= {"map", "filter", "key_by"}
