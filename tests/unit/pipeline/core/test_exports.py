"""Lazy exports: imported when first asked for, found directly afterwards."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from pipeline.core.exports import lazy_exports


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    package, home = ModuleType("shop"), ModuleType("shop.prices")
    home.Price = float  # pyright: ignore[reportAttributeAccessIssue]
    package.__getattr__ = lazy_exports("shop", {"Price": "shop.prices", "Gone": "shop.nowhere"})  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "shop", package)
    monkeypatch.setitem(sys.modules, "shop.prices", home)
    return package


def test_a_name_is_imported_when_first_asked_for(package: ModuleType) -> None:
    """And kept, so that the second look costs what any attribute costs."""
    assert "Price" not in vars(package)
    assert package.Price is float
    assert vars(package)["Price"] is float


def test_an_unknown_name_is_reported_as_python_reports_it(package: ModuleType) -> None:
    """`hasattr` and `from … import` rely on the kind of error."""
    assert not hasattr(package, "Prise")
    with pytest.raises(AttributeError, match="module 'shop' has no attribute 'Prise'"):
        package.Prise  # noqa: B018 - the look itself is tested


def test_an_import_that_fails_is_not_taken_for_an_unknown_name(package: ModuleType) -> None:
    with pytest.raises(ModuleNotFoundError, match=r"shop\.nowhere"):
        package.Gone  # noqa: B018 - the look itself is tested
