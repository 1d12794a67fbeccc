"""`to_config` of file sources and sinks: every argument is in it, in the form in which it is in effect."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from connectors import FileSink, FileSource, RollingPolicy
from pipeline.core.policy import ErrorPolicy
from pipeline.spi.connector_config import config_of

SOURCE: dict[str, Any] = {
    "path": "in/*.data",
    "format": "csv",
    "delimiter": ";",
    "fields": ["a", "b"],
    "encoding": "latin-1",
    "quoting": "none",
    "null": "\\N",
    "max_record_lines": 7,
    "on_error": ErrorPolicy.skip(),
}

SINK: dict[str, Any] = {
    "path": "~/out.data",
    "format": "csv",
    "rolling": RollingPolicy(max_rows=10, existing="refuse"),
    "fields": ["a", "b"],
    "header": False,
    "delimiter": ";",
    "quoting": "none",
    "null": "\\N",
}


def test_a_source() -> None:
    changed = {"encoding": "iso8859-1", "on_error": "skip"}
    assert config_of(FileSource(**SOURCE)).to_data() == {"type": "file", "config": {**SOURCE, **changed}}


def test_a_sink() -> None:
    """A path is the user's own: `~` is another folder for another user."""
    rolling = {"max_rows": 10, "existing": "refuse"}
    assert config_of(FileSink(**SINK)).to_data() == {"type": "file", "config": {**SINK, "rolling": rolling}}


@pytest.mark.parametrize(("connector", "given"), [(FileSource, SOURCE), (FileSink, SINK)])
def test_no_argument_is_forgotten(connector: Any, given: dict[str, Any]) -> None:
    assert given.keys() == set(inspect.signature(connector).parameters)
    assert config_of(connector(**given)).options.keys() == given.keys()


@pytest.mark.parametrize(
    ("connector", "options"),
    [
        (
            FileSource("a.tsv"),
            {
                "path": "a.tsv",
                "format": "csv",
                "on_error": "fail",
                "delimiter": "\t",
                "quoting": "none",
                "encoding": "utf-8",
                "max_record_lines": 100,
            },
        ),
        (FileSource("a.jsonl"), {"path": "a.jsonl", "format": "jsonl", "on_error": "fail"}),
        (FileSource("a.log"), {"path": "a.log", "format": "text", "on_error": "fail", "encoding": "utf-8"}),
        (FileSink("a.jsonl"), {"path": "a.jsonl", "format": "jsonl"}),
        (
            FileSink("a.csv"),
            {"path": "a.csv", "format": "csv", "header": True, "delimiter": ",", "quoting": "minimal"},
        ),
    ],
)
def test_defaults_are_in_it_and_options_of_other_formats_are_not(connector: Any, options: Any) -> None:
    """So that the connector can be built from it again."""
    config = config_of(connector)
    assert config.options == options
    on_error = {"on_error": ErrorPolicy()} if "on_error" in options else {}
    assert config_of(type(connector)(**{**options, **on_error})).options == options
