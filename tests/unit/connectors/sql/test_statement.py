"""Statement: a query as the user wrote it becomes the texts that are sent."""

from __future__ import annotations

import pytest

from connectors.sql.statement import KeyColumn, Query, Statement, bare
from pipeline.core.errors import ConfigError

ID = [KeyColumn("id", "bigint")]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1", "SELECT 1"),
        ("SELECT 1;", "SELECT 1"),
        ("SELECT 1 ; ; -- done\n", "SELECT 1"),
        ("SELECT 1 -- a; b", "SELECT 1"),
        ("SELECT 1 /* a /* nested; */ b */ ; /* c */", "SELECT 1"),
        ("/* first */ SELECT 1", "/* first */ SELECT 1"),
        ("SELECT ';' AS x; -- all", "SELECT ';' AS x"),
        ("SELECT 'it''s; --' ;", "SELECT 'it''s; --'"),
        (r"SELECT E'\'; --' ;", r"SELECT E'\'; --'"),
        ('SELECT 1 AS "a;""--" ;', 'SELECT 1 AS "a;""--"'),
        ("SELECT $$ ; -- $$ ;", "SELECT $$ ; -- $$"),
        ("SELECT $x$ ; $y$ ; $x$;", "SELECT $x$ ; $y$ ; $x$"),
        ("SELECT a$1, b$1 ;", "SELECT a$1, b$1"),
        ("SELECT 1 -- not /* a comment\n, 2;", "SELECT 1 -- not /* a comment\n, 2"),
    ],
)
def test_what_may_not_be_in_parentheses_is_removed(sql: str, expected: str) -> None:
    """A closing semicolon and comments at the end go; what only looks like them stays."""
    assert bare(sql) == expected


@pytest.mark.parametrize("sql", ["", "  \n", ";", "-- nothing", "/* open"])
def test_a_query_with_nothing_in_it_is_refused(sql: str) -> None:
    with pytest.raises(ConfigError, match="empty"):
        bare(sql)


@pytest.mark.parametrize(
    "sql", ["SHOW timezone", "-- first\nexplain SELECT 1", "SELECTED", "INSERT INTO t VALUES (1)"]
)
def test_what_is_not_a_query_is_refused_by_its_first_word(sql: str) -> None:
    """The server would point at a text that the user never wrote."""
    with pytest.raises(ConfigError, match=r"begins with \w+, expected SELECT, VALUES, TABLE or WITH"):
        bare(sql)


@pytest.mark.parametrize(
    "sql", ["(SELECT 1)", "with a AS (SELECT 1) TABLE a", "/* x */ values (1)", "SELECT(1)"]
)
def test_every_kind_of_query_is_taken(sql: str) -> None:
    assert bare(sql) == sql


def test_a_second_statement_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="more than one statement: 'DROP TABLE users'"):
        bare("SELECT 1; DROP TABLE users")


def test_without_parameters_a_percent_sign_is_only_itself() -> None:
    """What psycopg would take for a placeholder is doubled, since placeholders of ours may follow."""
    assert Statement("SELECT 5 % 2").all_rows() == Query("\nSELECT 5 %% 2", ())
    assert Statement("SELECT 5 %% %s", (2,)).all_rows() == Query("\nSELECT 5 %% %s", (2,))


@pytest.mark.parametrize(("inclusive", "comparison"), [(False, ">"), (True, ">=")])
def test_rows_are_asked_from_the_last_key_on_and_in_its_order(inclusive: bool, comparison: str) -> None:
    """Rows that share the last key are asked for again where some of them are not emitted."""
    query = Statement("SELECT id FROM t").from_key(ID, (7,), inclusive=inclusive)
    assert query.text.endswith(f'WHERE (q."id") {comparison} (%s::bigint) ORDER BY q."id"')
    assert query.parameters == [7]


def test_keys_of_several_columns_are_compared_as_rows() -> None:
    key = [KeyColumn("day", "date"), KeyColumn("No.%", "integer")]
    query = Statement("SELECT * FROM t WHERE a = %s", ("x",)).from_key(key, ("2013-01-01", 4), inclusive=True)
    assert query.text.endswith(
        'WHERE (q."day", q."No.%%") >= (%s::date, %s::integer) ORDER BY q."day", q."No.%%"'
    )
    assert query.parameters == ["x", "2013-01-01", 4]


def test_named_parameters_keep_their_names_beside_ours() -> None:
    query = Statement("SELECT * FROM t WHERE a = %(a)s", {"a": 1}).from_key(ID, (7,), inclusive=True)
    assert "(%(pipeline_key_0)s::bigint)" in query.text
    assert query.parameters == {"a": 1, "pipeline_key_0": 7}


def test_a_column_name_cannot_break_out_of_its_quotes() -> None:
    query = Statement("SELECT 1").in_key_order([KeyColumn('a"; DROP TABLE t; --', "integer")])
    assert query.text.endswith('ORDER BY q."a""; DROP TABLE t; --"')
