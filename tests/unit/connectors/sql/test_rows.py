"""Row shapes: what a record is."""

from __future__ import annotations

import pytest

from connectors.sql.rows import RowShape, shaper
from pipeline.core.errors import ConfigError

ROWS = [(1, "UA"), (2, None)]


def test_dicts_are_by_column_name() -> None:
    assert shaper(RowShape.DICT, ["id", "the carrier"])(ROWS) == [
        {"id": 1, "the carrier": "UA"},
        {"id": 2, "the carrier": None},
    ]


def test_a_column_name_is_never_code() -> None:
    names = ["'", '"}', "\\", "\n", "{0}", "v1", "__import__('os')"]
    assert shaper(RowShape.DICT, names)([tuple(range(7))]) == [dict(zip(names, range(7), strict=True))]


def test_a_result_without_columns_has_empty_records() -> None:
    assert shaper(RowShape.DICT, [])([(), ()]) == [{}, {}]


def test_tuples_are_emitted_as_they_came() -> None:
    """Also where two columns have one name, as in a join of all columns."""
    assert shaper(RowShape.TUPLE, ["id", "id"])(ROWS) is ROWS


def test_namedtuples_have_attributes() -> None:
    assert [row.carrier for row in shaper(RowShape.NAMEDTUPLE, ["id", "carrier"])(ROWS)] == ["UA", None]


@pytest.mark.parametrize("shape", [RowShape.DICT, RowShape.NAMEDTUPLE])
def test_a_column_is_never_lost_to_another_of_its_name(shape: RowShape) -> None:
    with pytest.raises(ConfigError, match="more than one column of the query has the name id"):
        shaper(shape, ["id", "x", "id"])


def test_a_name_that_cannot_be_an_attribute_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"cannot be an attribute.*'class'"):
        shaper(RowShape.NAMEDTUPLE, ["id", "class"])
