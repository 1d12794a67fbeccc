"""FileSource: positions in bytes, records that are never split, and errors that name file and line."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors import FileSink, FileSource
from connectors.files import lines
from pipeline.api.job import StreamJob
from pipeline.core.errors import ConfigError
from pipeline.core.job import JobMode
from pipeline.core.policy import ErrorPolicy
from pipeline.testing.connectors import SourceDriver

from .reading import continued, error_of, read_all, stop_after

# --- reading ------------------------------------------------------------------------------------

fields = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5)
tables = st.lists(st.tuples(fields, fields), max_size=12)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    table=tables,
    stop=st.integers(0, 12),
    demand=st.integers(1, 5),
    line_end=st.sampled_from(["\n", "\r\n"]),
    block=st.integers(1, 40),
)
def test_any_csv_is_read_like_the_standard_library_does_and_resumed_anywhere(
    table, stop, demand, line_end, block, tmp_path, monkeypatch
) -> None:
    """Quotes, line ends in quotes, characters of many bytes, blocks that end anywhere."""
    monkeypatch.setattr(lines, "BLOCK_BYTES", block)
    text = io.StringIO()
    csv.writer(text, lineterminator=line_end, quoting=csv.QUOTE_ALL).writerows([("a", "b"), *table])
    path = tmp_path / "table.csv"
    path.write_bytes(text.getvalue().encode())

    snapshot = stop_after(FileSource(path), stop)
    with SourceDriver(FileSource(path), snapshot) as driver:
        rest: list[Any] = []
        while batch := driver.take(demand):
            rest += batch

    with open(path, newline="", encoding="utf-8") as file:
        assert rest == list(csv.DictReader(file))[stop:]


def test_the_position_is_the_byte_offset_of_each_file(tmp_path) -> None:
    """As the checkpoint's tables document it, with what tells the file from others."""
    (tmp_path / "a.csv").write_bytes(b"n\n1\n2\n")
    (tmp_path / "b.csv").write_bytes(b'n\n"3\n"\n4\n')
    source = FileSource(tmp_path / "*.csv")
    a, b = str(tmp_path / "a.csv"), str(tmp_path / "b.csv")

    def positions(records: int) -> dict[str, tuple[int, ...]]:
        files = json.loads(stop_after(source, records).state)["files"]
        keys = ("offset", "line", "record", "size")
        return {name: tuple(mark[key] for key in keys) for name, mark in files.items()}

    assert positions(1) == {a: (4, 2, 1, 6)}
    assert positions(3) == {a: (6, 3, 2, 6), b: (7, 3, 1, 9)}
    (mark, _) = json.loads(stop_after(source, 3).state)["files"].values()
    assert set(mark) == {"offset", "line", "record", "size", "inode", "modified", "head", "tail"}


def test_origins_name_the_file_and_count_its_records_from_one(tmp_path) -> None:
    """Also after a restore, and without counting empty lines."""
    for name, text in (("a", "n\n1\n\n2\n"), ("b", "n\n3\n")):
        (tmp_path / f"{name}.csv").write_text(text)
    source = FileSource(tmp_path / "*.csv")
    with SourceDriver(source, stop_after(source, 1)) as driver:
        driver.take(10)
        assert [str(origin) for origin in driver.origins] == [
            f"{tmp_path}/a.csv@2",
            f"{tmp_path}/b.csv@1",
        ]


def test_files_are_read_in_the_order_of_their_names_and_folders_are_not(tmp_path) -> None:
    for number in (10, 9, 100):
        (tmp_path / f"{number:03}.jsonl").write_text(f"{number}\n")
    (tmp_path / "050.jsonl").mkdir()
    (tmp_path / ".hidden.jsonl").write_text("0\n")
    assert read_all(FileSource(tmp_path / "*.jsonl")) == [9, 10, 100]


def test_a_file_whose_name_looks_like_a_pattern_is_read(tmp_path) -> None:
    path = tmp_path / "data[1].jsonl"
    path.write_text("1\n")
    assert read_all(FileSource(path)) == [1]


def test_other_encodings_and_delimiters(tmp_path) -> None:
    path = tmp_path / "table.txt"
    path.write_bytes("naïve;b\nà;2\n".encode("latin-1"))
    assert read_all(FileSource(path, "csv", delimiter=";", encoding="latin-1")) == [{"naïve": "à", "b": "2"}]


def test_a_header_may_span_lines(tmp_path) -> None:
    """And a restore finds the records after it."""
    path = tmp_path / "table.csv"
    path.write_bytes(b'"two\nlines",b\n1,2\n3,4\n')
    source = FileSource(path)
    assert continued(source, stop_after(source, 1)) == [{"two\nlines": "3", "b": "4"}]


def test_text_is_read_line_by_line(tmp_path, monkeypatch) -> None:
    r"""Without line ends of either kind; an empty line as it is, `\f` as any character."""
    monkeypatch.setattr(lines, "BLOCK_BYTES", 7)
    path = tmp_path / "access.log"
    path.write_bytes('127.0.0.1 - "GET /ü"\r\n\nfinal\fline\x85\nno end'.encode())
    expected = ['127.0.0.1 - "GET /ü"', "", "final\fline\x85", "no end"]
    assert read_all(FileSource(path)) == expected
    for stop in range(4):
        assert continued(FileSource(path), stop_after(FileSource(path), stop)) == expected[stop:]
    latin = tmp_path / "latin"
    latin.write_bytes("ü\n".encode("latin-1"))
    assert read_all(FileSource(latin, "text", encoding="latin-1")) == ["ü"]


def test_a_text_can_stand_for_none(tmp_path) -> None:
    r"""An empty field and a missing one are told apart, as PostgreSQL writes them with `NULL '\N'`."""
    path = tmp_path / "t.csv"
    path.write_bytes(b'a,b\n\\N,\nx,"\\N"\n')
    assert read_all(FileSource(path)) == [{"a": r"\N", "b": ""}, {"a": "x", "b": r"\N"}]
    assert read_all(FileSource(path, null=r"\N")) == [{"a": None, "b": ""}, {"a": "x", "b": None}]


def test_a_file_of_a_header_only_makes_one_of_a_header_only(tmp_path, monkeypatch) -> None:
    """Its names come from the file, since no record has any; of a text no line tells what it has."""
    monkeypatch.chdir(tmp_path)
    for name, text in (("in.csv", "b,a\n"), ("in.jsonl", ""), ("in.log", "")):
        (tmp_path / name).write_text(text)
        job = StreamJob("copy")
        job.source(FileSource(name)).filter(bool).sink(FileSink("out.csv"))
        job.execute()
        assert (tmp_path / "out.csv").read_text() == text


def test_a_home_folder_is_found(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "n.jsonl").write_text("1\n")
    assert read_all(FileSource("~/*.jsonl")) == [1]
    assert FileSource("~/*.jsonl").info.target == "~/*.jsonl"  # the uid is the same for every user


def test_memory_stays_flat(tmp_path) -> None:
    """A file many times the size of a block is read within a few blocks' memory."""
    path = tmp_path / "large.csv"
    path.write_text("n,text\n" + "".join(f"{n},{'x' * 90}\n" for n in range(60_000)))
    source = FileSource(path)
    source.open(None)  # type: ignore[arg-type]
    source.seek(None)
    tracemalloc.start()
    try:
        count = 0
        while (polled := source.poll(1000)) is not None:
            count += len(polled.values)
            del polled
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        source.close()
    assert count == 60_000
    assert path.stat().st_size > 5_500_000
    assert peak < 2_500_000


def test_the_estimate_comes_from_the_size(tmp_path) -> None:
    """Exact while the first block holds everything, near elsewhere, unknown without files."""
    (tmp_path / "a.csv").write_text("n\n" + "1\n" * 100)
    (tmp_path / "b.csv").write_text("n\n" + "1\n" * 50)
    assert FileSource(tmp_path / "*.csv").estimated_records() == 150
    assert FileSource(tmp_path / "nothing-*.csv").estimated_records() is None
    assert FileSource(tmp_path / "a.csv", fields=["n"]).estimated_records() == 101


def test_info() -> None:
    """It is bounded, can resume, and its files outlive the process."""
    info = FileSource("in/*.csv").info
    assert (info.kind, info.target, info.mode) == ("file", "in/*.csv", JobMode.BATCH_ROLLER)
    assert info.resumable
    assert info.durable


# --- what cannot be opened ---------------------------------------------------------------------------


def test_a_missing_file(tmp_path, monkeypatch) -> None:
    """The message tells where a relative path started."""
    monkeypatch.chdir(tmp_path)
    error = error_of(FileSource("nothing-*.csv"))
    assert f"no file matches nothing-*.csv (from {tmp_path})" in str(error)
    assert not error.retryable
    error = error_of(FileSource("nothing.csv"))
    assert "cannot read nothing.csv: No such file or directory" in str(error)
    assert not error.retryable


def test_a_folder(tmp_path) -> None:
    error = error_of(FileSource(tmp_path, "csv"))
    assert f"{tmp_path} is a folder" in str(error)
    assert f"{tmp_path}/*.csv" in str(error.hint)


def test_no_regular_file() -> None:
    assert "/dev/null is not a regular file" in str(error_of(FileSource("/dev/null", "csv")))


def test_compressed_files_are_refused_by_name_and_by_content(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"compressed files \(.gz\) are not supported"):
        FileSource("in.csv.gz")
    path = tmp_path / "in.csv"
    path.write_bytes(gzip.compress(b"n\n1\n"))
    assert "is compressed (gzip), which is not supported" in str(error_of(FileSource(path)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": "data.dat"}, "the suffix '.dat' implies no known format"),
        ({"path": "data.csv", "format": "xml"}, "format must be one of csv, jsonl, text, not 'xml'"),
        ({"path": "data.csv", "delimiter": "ab"}, "delimiter must be one character"),
        ({"path": "data.csv", "encoding": "utf-16"}, "the encoding utf-16 is not supported"),
        ({"path": "data.csv", "encoding": "utf-99"}, "unknown encoding 'utf-99'"),
        ({"path": "data.jsonl", "fields": ["a"]}, "options of csv, not of jsonl"),
        ({"path": "data.csv", "fields": ["a", "a"]}, "must be different names"),
        ({"path": "data.csv", "fields": "ab"}, "must be different names"),
        ({"path": "data.csv", "fields": []}, "must be different names"),
        ({"path": "data.csv", "quoting": "all"}, "quoting must be one of minimal, none, not 'all'"),
        ({"path": "data.csv", "max_record_lines": 0}, "max_record_lines must be at least 1, not 0"),
        ({"path": "data.log", "null": "-", "quoting": "none"}, "quoting, null: options of csv, not of text"),
        ({"path": "data.jsonl", "encoding": "latin-1"}, "an option of csv and text, not of jsonl"),
        ({"path": "data.csv", "on_error": "skip"}, "on_error must be an ErrorPolicy, not 'skip'"),
        ({"path": "data.csv", "on_error": ErrorPolicy.retry(2)}, "must be fail, skip or dead_letter"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_starts(arguments, message) -> None:
    with pytest.raises(ConfigError, match=message):
        FileSource(**arguments)
