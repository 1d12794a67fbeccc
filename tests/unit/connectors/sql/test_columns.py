"""Columns: which types may be a key, which may travel in binary."""

from __future__ import annotations

import pytest

from connectors.sql.columns import Column, binary_is_faithful, key_columns
from connectors.sql.statement import KeyColumn
from pipeline.core.errors import ConfigError

COLUMNS = [Column("id", "bigint"), Column("name", "text"), Column("doc", "jsonb"), Column("doc", "jsonb")]


def test_key_columns_come_with_their_types() -> None:
    assert key_columns(["name", "id"], COLUMNS) == [KeyColumn("name", "text"), KeyColumn("id", "bigint")]


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("nam", "'nam' is not in the query's result — did you mean 'name'"),
        ("zzz", "'zzz' is not in the query's result — its columns are id, name, doc, doc"),
        ("doc", "2 columns of the query have the name of the key 'doc'"),
    ],
)
def test_a_key_that_is_not_one_column_of_the_result_is_refused(key: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        key_columns([key], COLUMNS)


@pytest.mark.parametrize(
    "column",
    [
        Column("k", "json"),
        Column("k", "citext"),
        Column("k", "integer[]"),
        Column("k", "character"),
        Column("k", "interval"),
    ],
)
def test_a_type_whose_ties_python_cannot_tell_is_refused(column: Column) -> None:
    """PostgreSQL calls some values equal that Python does not: their rows would come twice."""
    with pytest.raises(ConfigError, match="cannot be continued"):
        key_columns(["k"], [column])


@pytest.mark.parametrize("column", [Column("k", "mood", is_enum=True), Column("k", "character", length=2)])
def test_enums_and_padded_text_can_be_keys(column: Column) -> None:
    assert key_columns(["k"], [column])[0].name == "k"


def test_padded_text_is_not_cast_to_one_letter() -> None:
    """`'ab'::character` is `'a'`: the resumed run would begin too early and repeat rows."""
    assert key_columns(["k"], [Column("k", "character", length=2)]) == [KeyColumn("k", "bpchar")]


def test_one_column_that_binary_would_change_makes_the_result_text() -> None:
    assert binary_is_faithful([Column("a", "bigint"), Column("b", "text[]"), Column("c", "jsonb")])
    assert not binary_is_faithful([Column("a", "bigint"), Column("b", "real")])
    assert not binary_is_faithful([Column("a", "bigint"), Column("b", "mood", is_enum=True)])
