"""require_siblings: what hides one of the packages is found before anything is imported from it."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from pipeline.core.siblings import require_siblings


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a distribution with the package `stately`, on the path."""
    ours = tmp_path / "ours"
    make_package(ours)
    monkeypatch.syspath_prepend(ours)
    return ours


def make_package(folder: Path) -> Path:
    package = folder / "stately"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('imported')", encoding="utf-8")
    return package


def test_our_own_is_fine_and_not_imported(folder: Path) -> None:
    require_siblings(folder, ["stately"])
    assert "stately" not in sys.modules


def test_one_in_front_of_ours_is_reported_with_both_paths(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = make_package(tmp_path / "theirs")
    monkeypatch.syspath_prepend(tmp_path / "theirs")
    with pytest.raises(ImportError) as raised:
        require_siblings(folder, ["stately"])
    assert f"is {folder / 'stately'}, but `import stately` finds {theirs}" in str(raised.value)


def test_a_module_hides_a_package_too(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "stately.py").write_text("", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path / "theirs")
    with pytest.raises(ImportError, match=r"finds .*stately\.py"):
        require_siblings(folder, ["stately"])


def test_one_that_was_imported_already_counts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the path is now: `import` returns what is loaded."""
    monkeypatch.setitem(sys.modules, "stately", ModuleType("stately"))
    with pytest.raises(ImportError, match="finds nothing"):
        require_siblings(folder, ["stately"])


def test_a_missing_one_is_reported(folder: Path) -> None:
    with pytest.raises(ImportError, match=r"the package 'checkpointed' .* finds nothing"):
        require_siblings(folder, ["stately", "checkpointed"])


def test_a_link_to_ours_is_ours(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An editable install may reach the same folder by another path."""
    (tmp_path / "link").symlink_to(folder)
    monkeypatch.syspath_prepend(tmp_path / "link")
    require_siblings(folder, ["stately"])
