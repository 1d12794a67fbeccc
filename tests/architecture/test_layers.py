"""Imports point down, and no new folder escapes that rule."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

LINT = "import sys; from importlinter.cli import lint_imports_command; lint_imports_command()"


def contracts(root: Path) -> dict[str, Any]:
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    return {contract["id"]: contract for contract in settings["tool"]["importlinter"]["contracts"]}


def folders(package: Path) -> set[str]:
    return {f"{package.name}.{path.parent.name}" for path in package.glob("*/__init__.py")}


def test_the_contracts_hold(root: Path) -> None:
    """Every contract of [tool.importlinter] in pyproject.toml holds; the output names what breaks one."""
    done = subprocess.run(
        [sys.executable, "-c", LINT, "--no-cache"], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_folder_of_pipeline_has_a_layer(root: Path) -> None:
    """A new folder must be placed in the order of layers; only `testing` is beside it."""
    layers = contracts(root)["layers"]["layers"]
    placed = {name.strip() for layer in layers for name in layer.split("|")}
    assert folders(root / "pipeline") - {"pipeline.testing"} == {
        name for name in placed if name.startswith("pipeline.")
    }


def test_every_connector_is_kept_apart_from_the_others(root: Path) -> None:
    """A new connector is named in the contract of independence."""
    assert folders(root / "connectors") == set(contracts(root)["connectors-apart"]["modules"])


def test_connectors_may_use_nothing_above_the_contracts(root: Path) -> None:
    """The layers forbidden to connectors are all of them but `spi` and what lies below it."""
    layers = contracts(root)["layers"]["layers"]
    above = layers[: layers.index("pipeline.spi")]
    assert set(contracts(root)["connectors"]["forbidden_modules"]) == {
        name.strip() for layer in above for name in layer.split("|")
    }
