"""FileSource: lines that cannot be read, what is said about them, and what a policy does with them."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors import CollectSink, FileSource
from connectors.files import lines
from pipeline.api.job import StreamJob
from pipeline.core.errors import Fault, SourceError
from pipeline.core.policy import DEAD_LETTERS, ErrorPolicy
from pipeline.core.records import DeadLetter
from pipeline.spi.source import Polled, Rejected
from pipeline.testing.connectors import SourceDriver

from .reading import continued, error_of, read_all, stop_after

SKIP = ErrorPolicy.skip()


def polls(source: FileSource, demand: int = 1024) -> Iterator[Polled[Any]]:
    source.open(None)  # type: ignore[arg-type]
    source.seek(None)
    try:
        while (polled := source.poll(demand)) is not None:
            yield polled
    finally:
        source.close()


def rejected(source: FileSource, demand: int = 1024) -> list[Rejected]:
    return [one for polled in polls(source, demand) for one in polled.rejected]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"a,b\n1,2\n\n1,2,3\n", ":4: expected 2 fields, found 3"),
        ("t.csv", b"a,b\n1\n", ":2: expected 2 fields, found 1"),
        ("t.csv", b'a\n"x"y\n', ":2: "),
        ("t.csv", b'a\n1\n"open\n\n', ":3: unexpected end of data — a quote is opened and never closed"),
        ("t.csv", b"a,b\n1,2\r3,4\n", ":2: new-line character seen in unquoted field — a line ends"),
        ("t.jsonl", b"1\n1e400\n", ":2: Number out of range — no float"),
        ("t.csv", b"a\nx\n\xff\n", ":3: not utf-8: invalid start byte (byte 0xff)"),
        ("t.csv", b"\na,b,a\n", ":2: the header has the field 'a' more than once (fields 1 and 3)"),
        ("t.csv", b",a,,b,\n", ":1: the header has empty names (fields 1, 3 and 5)"),
        ("t.csv", b"a,,a,\n", ":1: the header has the field 'a' more than once (fields 1 and 3), and empty"),
        ("t.csv", b'"a\n', ":1: unexpected end of data"),
        ("t.log", b"a\n\xff\n", ":2: 'utf-8' codec can't decode byte 0xff"),
        ("t.jsonl", b'{"a":1}\n\n{"a":\n', ":3: "),
        ("t.jsonl", b'1\n"\xff"\n', ":2: "),
        ("t.jsonl", b"1\n2 3\n", ":2: "),
        ("t.jsonl", b'1\n{"a":\n1}\n', ":2: "),
    ],
)
def test_a_line_that_cannot_be_read_is_named(name, content, message, tmp_path) -> None:
    """File, line, and what is wrong; a retry cannot help."""
    path = tmp_path / name
    path.write_bytes(content)
    error = error_of(FileSource(path))
    assert (f"{path}{message}" if message.startswith(":") else message) in str(error)
    assert not error.retryable
    assert error.fault is Fault.USER
    assert error.hint


def test_a_field_may_be_as_long_as_a_sink_writes_it(tmp_path) -> None:
    """The csv module's own limit of 131,072 characters is raised, and never lowered for others."""
    path = tmp_path / "long.csv"
    path.write_bytes(b"a\n" + b"x" * 200_000 + b"\n")
    before = csv.field_size_limit()
    csv.field_size_limit(131_072)
    try:
        assert len(read_all(FileSource(path))[0]["a"]) == 200_000
        csv.field_size_limit(2**40)
        read_all(FileSource(path))
        assert csv.field_size_limit() == 2**40
    finally:
        csv.field_size_limit(before)


def test_the_line_is_right_after_a_restore(tmp_path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b'a\n"two\nlines"\n2\n\n1,2\n')
    source = FileSource(path)
    with SourceDriver(source, batch_limit=1) as driver:
        driver.take(2)
        driver.wait_until_idle()
        snapshot = driver.snapshot()
    assert f"{path}:6: expected 1 fields, found 2" in str(error_of(source, snapshot))


def test_a_line_without_end_is_not_a_line(tmp_path, monkeypatch) -> None:
    """Instead of filling the memory, it is an error that names the file."""
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 1 << 20)
    path = tmp_path / "t.csv"
    path.write_bytes(b"\0" * (2 << 20))
    assert "has a line of more than 1 MiB" in str(error_of(FileSource(path)))


# --- policies ------------------------------------------------------------------------------------------

MIXED = {
    "t.csv": (
        b'n,text\n1,one\n2,two,too\n\n3,"three\n3"\n4,"four"th\n5,\xff\n6\n7,"seven\n8,eight\n',
        ["1", "3", "8"],
        ["2,two,too", '4,"four"th', b"5,\xff", "6", '7,"seven'],
        [2, 4, 5, 6, 7],
    ),
    "t.jsonl": (
        b'{"n":1}\n{"n":\n\n{"n":3}\n4 5\n{"n":"\xff"}\r\n{"n":6}\n[',
        [1, 3, 6],
        ['{"n":', "4 5", b'{"n":"\xff"}', "["],
        [2, 4, 5, 7],
    ),
    "t.log": (b"1\n\xff\xfe\r\n\n4", ["1", "", "4"], [b"\xff\xfe"], [2]),
}


@pytest.fixture(params=MIXED)
def mixed(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, list[Any], list[Any], list[int]]:
    monkeypatch.chdir(tmp_path)  # where jobs keep their checkpoints
    content, sound, bad, numbers = MIXED[request.param]
    path = tmp_path / request.param
    path.write_bytes(content)
    return path, sound, bad, numbers


def numbered(values: list[Any]) -> list[Any]:
    return [value["n"] if isinstance(value, dict) else value for value in values]


@pytest.mark.parametrize("demand", [1, 2, 3, 1000])
def test_bad_lines_are_set_apart_and_all_others_read(demand, mixed) -> None:
    """Whatever is wrong with them; each with its text and its number among the records of the file."""
    path, sound, bad, numbers = mixed
    source = FileSource(path, on_error=SKIP)
    assert numbered([value for polled in polls(source, demand) for value in polled.values]) == sound
    found = rejected(source, demand)
    assert [one.value for one in found] == bad
    assert [one.origin for one in found] == [(str(path), number) for number in numbers]
    assert all(f"{path}:" in one.error.message and one.error.hint for one in found)


def test_a_restore_anywhere_loses_and_repeats_nothing(mixed) -> None:
    """Sound and bad ones alike: a bad record is passed with those before it."""
    path, sound, _, numbers = mixed
    source = FileSource(path, on_error=SKIP)
    for stop in range(len(sound) + 1):
        snapshot = stop_after(source, stop)
        assert numbered(continued(source, snapshot)) == sound[stop:]
    with SourceDriver(source, batch_limit=1) as driver:
        driver.take(100)
        assert [origin.position for origin in driver.heard.rejected] == numbers


def test_a_job_counts_what_is_skipped(mixed) -> None:
    path, sound, bad, _ = mixed
    sink = CollectSink[Any]()
    result = job(FileSource(path, on_error=SKIP), sink).execute()
    assert numbered(sink.values) == sound
    assert (result.failed_records, result.processed_records) == (len(bad), len(sound) + len(bad))


def test_a_dead_letter_says_what_and_where(mixed) -> None:
    """Enough to fix the line and read it again."""
    path, sound, bad, numbers = mixed
    sink, letters = CollectSink[Any](), CollectSink[DeadLetter]()
    made = StreamJob("letters")
    stream = made.source(FileSource(path, on_error=ErrorPolicy.dead_letter()))
    stream.sink(sink, uid="sound")
    stream.side_output(DEAD_LETTERS).sink(letters, uid="bad")
    made.execute()
    assert numbered(sink.values) == sound
    assert [letter.value for letter in letters.values] == bad
    assert [letter.origin for letter in letters.values] == [(str(path), number) for number in numbers]
    assert all(letter.error.startswith(f"{path}:") for letter in letters.values)


def test_by_default_the_first_one_fails_the_job(mixed) -> None:
    path, _, _, _ = mixed
    with pytest.raises(SourceError, match=f"{path.name}:[23]: ") as caught:
        job(FileSource(path), CollectSink()).execute()
    assert not caught.value.retryable


def job(source: FileSource, sink: CollectSink[Any]) -> StreamJob:
    made = StreamJob("lines")
    made.source(source).sink(sink)
    return made


sound_rows = st.lists(st.sampled_from(["a,b", 'c,"d"', '"e\ne",f', ""]), max_size=8)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=sound_rows, after=sound_rows, demand=st.integers(1, 5), block=st.integers(1, 30))
def test_one_bad_line_takes_no_other_along(before, after, demand, block, tmp_path, monkeypatch) -> None:
    """Wherever it is, whatever blocks and batches it falls into."""
    monkeypatch.setattr(lines, "BLOCK_BYTES", block)
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["x,y", *before, "one,two,three", *after, ""]))
    expected = list(csv.reader("\n".join([*before, *after]).splitlines(keepends=True)))
    source = FileSource(path, on_error=SKIP)
    found = [list(value.values()) for polled in polls(source, demand) for value in polled.values]
    assert found == [row for row in expected if row]
    assert [one.value for one in rejected(source, demand)] == ["one,two,three"]


# --- quotes --------------------------------------------------------------------------------------------

HEROES = b'1\t"Heroes\t1977\n2\tLow\t1977\n3\tLow 12"\t1977\n4\tStage\t1978\n'
ALBUMS = [["1", '"Heroes', "1977"], ["2", "Low", "1977"], ["3", 'Low 12"', "1977"], ["4", "Stage", "1978"]]


def rows_of(source: FileSource) -> list[list[Any]]:
    return [list(record.values()) for record in read_all(source)]


def test_in_tab_separated_values_a_quote_is_a_character(tmp_path) -> None:
    """By their definition; so it is in any file with quoting="none"."""
    names = ["id", "name", "year"]
    tabs, other = tmp_path / "t.tsv", tmp_path / "t.csv"
    for path in (tabs, other):
        path.write_bytes(HEROES)
    assert rows_of(FileSource(tabs, fields=names)) == ALBUMS
    assert rows_of(FileSource(other, fields=names, delimiter="\t", quoting="none")) == ALBUMS


def test_quotes_enclose_fields_of_such_a_file_on_wish(tmp_path) -> None:
    path = tmp_path / "t.tsv"
    path.write_bytes(b'a\tb\n1\t"x\ty ""z"""\n')
    assert rows_of(FileSource(path, quoting="minimal")) == [["1", 'x\ty "z"']]


@pytest.mark.parametrize("closed", [True, False])
def test_a_quote_that_is_not_closed_is_named_by_its_line(closed: bool, tmp_path) -> None:
    """Not by that of the next quote, thousands of lines on, where the csv module would end the field."""
    path = tmp_path / "t.csv"
    end = b'9,9"\n' if closed else b""
    path.write_bytes(b"a,b\n" + b"1,2\n" * 70 + b'"3,4\n' + b"5,6\n" * 5000 + end)
    error = error_of(FileSource(path))
    assert f"{path}:72: a quoted field does not end within 100 lines" in error.message
    assert 'quoting="none"' in str(error.hint)
    assert "max_record_lines" in str(error.hint)
    source = FileSource(path, on_error=SKIP)
    assert len(read_all(source)) == 5070 + closed
    assert [one.value for one in rejected(source)] == ['"3,4']


@pytest.mark.parametrize("lines_of_it", [99, 100, 101, 250])
def test_a_record_may_span_as_many_lines_as_allowed(lines_of_it: int, tmp_path) -> None:
    """Wherever it is among others."""
    path = tmp_path / "t.csv"
    text = "\n".join("x" * lines_of_it)
    for before in (0, 31, 2100):
        path.write_text("a\n" + "1\n" * before + f'"{text}"\n' + "2\n" * 3)
        source = FileSource(path, on_error=SKIP)
        if lines_of_it <= 100:
            assert read_all(source)[before] == {"a": text}
        else:
            assert ":" + str(before + 2) in rejected(source)[0].error.message
        assert read_all(FileSource(path, max_record_lines=250))[before] == {"a": text}


def test_many_records_of_several_lines_are_not_one_of_too_many(tmp_path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a\n" + '"1\n2\n3\n4\n5\n6\n7"\n' * 300)
    assert read_all(FileSource(path)) == [{"a": "1\n2\n3\n4\n5\n6\n7"}] * 300


# --- the last line -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.csv", b"a\n1\n2026-11-2", "t.csv:3 has no line end"),
        ("t.log", b"one\ntw", "t.log:2 has no line end"),
        ("t.csv", b"a\n1\n2\n", ""),
        ("t.jsonl", b'{"a":1}\n{"a":2}', ""),
    ],
)
def test_a_last_line_that_may_be_cut_off_is_mentioned(name, content, said, tmp_path, caplog) -> None:
    """It is read, since many files end so; an object that is closed is whole."""
    path = tmp_path / name
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert len(read_all(FileSource(path))) == 2
    assert said in caplog.text
    assert bool(caplog.text) == bool(said)
