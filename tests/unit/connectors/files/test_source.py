"""FileSource: positions in bytes, records that are never split, and errors that name file and line."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors import FileSource
from connectors.files import lines
from pipeline.core.errors import ConfigError, Fault, SourceError
from pipeline.core.job import JobMode
from pipeline.testing.connectors import SourceDriver, SourceSnapshot


def read_all(source: FileSource) -> list[Any]:
    with SourceDriver(source) as driver:
        return driver.take(1_000_000)


def stop_after(source: FileSource, records: int, restore: SourceSnapshot | None = None) -> SourceSnapshot:
    with SourceDriver(source, restore) as driver:
        driver.take(records)
        driver.wait_until_idle()
        return driver.snapshot()


def continued(source: FileSource, snapshot: SourceSnapshot) -> list[Any]:
    with SourceDriver(source, snapshot) as driver:
        return driver.take(1_000_000)


def error_of(source: FileSource, snapshot: SourceSnapshot | None = None) -> SourceError:
    with pytest.raises(SourceError) as caught, SourceDriver(source, snapshot) as driver:
        driver.take(1_000_000)
    return caught.value


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
    """As the checkpoint's tables document it, with what messages need beside it."""
    (tmp_path / "a.csv").write_bytes(b"n\n1\n2\n")
    (tmp_path / "b.csv").write_bytes(b'n\n"3\n"\n4\n')
    source = FileSource(tmp_path / "*.csv")
    a, b = str(tmp_path / "a.csv"), str(tmp_path / "b.csv")
    assert json.loads(stop_after(source, 1).state) == {
        "files": {a: 4},
        "current": a,
        "line": 2,
        "record": 1,
    }
    assert json.loads(stop_after(source, 3).state) == {
        "files": {a: 6, b: 7},
        "current": b,
        "line": 3,
        "record": 1,
    }


def test_origins_name_the_file_and_count_its_records_from_one(tmp_path) -> None:
    """Also behind a restore, and without counting empty lines."""
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
    """And a restore finds the records behind it."""
    path = tmp_path / "table.csv"
    path.write_bytes(b'"two\nlines",b\n1,2\n3,4\n')
    source = FileSource(path)
    assert continued(source, stop_after(source, 1)) == [{"two\nlines": "3", "b": "4"}]


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


# --- files that change ------------------------------------------------------------------------------


@pytest.fixture
def numbers(tmp_path) -> Path:
    path = tmp_path / "numbers.csv"
    path.write_bytes(b"n\n10\n20\n30\n")
    return path


def test_a_shrunk_file_is_refused(numbers) -> None:
    source = FileSource(numbers)
    snapshot = stop_after(source, 2)
    numbers.write_bytes(b"n\n1\n")
    error = error_of(source, snapshot)
    assert f"{numbers} was shrunk or replaced: the job stands at byte 8, the file has 4 bytes" in str(error)
    assert not error.retryable


def test_a_replaced_file_is_refused(numbers) -> None:
    """One in which no line starts where the job stands is another file."""
    source = FileSource(numbers)
    snapshot = stop_after(source, 2)
    numbers.write_bytes(b"n\n1000\n2000\n3000\n")
    assert "has no line that starts there" in str(error_of(source, snapshot))


def test_a_vanished_file_is_refused(numbers) -> None:
    other = numbers.with_name("zzz.csv")
    other.write_text("n\n40\n")
    source = FileSource(numbers.parent / "*.csv")
    snapshot = stop_after(source, 2)
    numbers.unlink()
    assert f"{numbers} is gone: the job stands at byte 8 of it" in str(error_of(source, snapshot))


def test_a_finished_file_may_vanish_and_a_new_one_is_read(numbers) -> None:
    """What is behind the position is not needed; what appears before it in the order is read all the same."""
    numbers.with_name("last.csv").write_text("n\n40\n50\n")
    last = FileSource(numbers.parent / "*s*.csv")
    numbers.rename(numbers.with_name("a-s.csv"))
    snapshot = stop_after(last, 4)
    numbers.with_name("a-s.csv").unlink()
    numbers.with_name("as-new.csv").write_text("n\n60\n")
    assert continued(last, snapshot) == [{"n": "50"}, {"n": "60"}]


def test_what_is_appended_to_the_current_file_is_read(numbers) -> None:
    source = FileSource(numbers)
    snapshot = stop_after(source, 3)
    with open(numbers, "ab") as file:
        file.write(b"40\n")
    assert continued(source, snapshot) == [{"n": "40"}]


# --- what cannot be read ------------------------------------------------------------------------------


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
        ("t.csv", b"a,b,a\n", ":1: the header names a more than once"),
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
    assert f"{path}{message}" in str(error)
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


def test_the_line_is_right_behind_a_restore(tmp_path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b'a\n"two\nlines"\n2\n\n1,2\n')
    source = FileSource(path)
    with SourceDriver(source, batch_limit=1) as driver:
        driver.take(2)
        driver.wait_until_idle()
        snapshot = driver.snapshot()
    assert f"{path}:6: expected 1 fields, found 2" in str(error_of(source, snapshot))


def test_a_line_without_end_is_no_line(tmp_path, monkeypatch) -> None:
    """Instead of filling the memory, it is an error that names the file."""
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 1 << 20)
    path = tmp_path / "t.csv"
    path.write_bytes(b"\0" * (2 << 20))
    assert "has a line of more than 1 MiB" in str(error_of(FileSource(path)))


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
        ({"path": "data.txt"}, "the suffix '.txt' does not tell the format"),
        ({"path": "data.csv", "format": "xml"}, "format must be one of csv, jsonl, not 'xml'"),
        ({"path": "data.csv", "delimiter": "ab"}, "delimiter must be one character"),
        ({"path": "data.csv", "encoding": "utf-16"}, "the encoding utf-16 is not supported"),
        ({"path": "data.csv", "encoding": "utf-99"}, "unknown encoding 'utf-99'"),
        ({"path": "data.jsonl", "fields": ["a"]}, "options of csv, not of jsonl"),
        ({"path": "data.csv", "fields": ["a", "a"]}, "must be different names"),
        ({"path": "data.csv", "fields": "ab"}, "must be different names"),
        ({"path": "data.csv", "fields": []}, "must be different names"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_starts(arguments, message) -> None:
    with pytest.raises(ConfigError, match=message):
        FileSource(**arguments)
