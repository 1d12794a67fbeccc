"""FileSource: a job that continues reads the files it has read before, or says which one is another."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from connectors import FileSource
from connectors.files.file_mark import SAMPLE_BYTES
from pipeline.core.errors import Fault, SourceError
from pipeline.core.policy import ErrorPolicy
from pipeline.testing.connectors import SourceDriver, SourceSnapshot

from .reading import continued, error_of, read_all, stop_after


@pytest.fixture
def numbers(tmp_path: Path) -> Path:
    path = tmp_path / "numbers.csv"
    path.write_bytes(b"n\n10\n20\n30\n")
    return path


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def day(number: int, records: int = 5000) -> bytes:
    """A file of one day, as long as that of any other."""
    return b"at\n" + b"".join(b"2026-11-%02d %05d\n" % (number, n) for n in range(records))


# --- replaced ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stop", [1, 40, 3396, 5000])
def test_another_file_of_equal_length_is_refused(stop: int, tmp_path: Path) -> None:
    """Today's file under the name of yesterday's: line for line as long, so that every offset fits."""
    path = tmp_path / "day.csv"
    path.write_bytes(day(29))
    snapshot = stop_after(FileSource(path), stop)
    path.write_bytes(day(30))
    error = error_of(FileSource(path), snapshot)
    assert f"{path} is not the file that was read before" in error.message
    assert "--fresh" in str(error.hint)
    assert error.fault is Fault.USER
    assert not error.retryable


def test_a_finished_one_of_several_is_looked_at_again(tmp_path: Path) -> None:
    """Replaced by another, its records would be missing."""
    for number in (1, 2):
        (tmp_path / f"{number}.csv").write_bytes(day(number, 20))
    source = FileSource(tmp_path / "*.csv")
    snapshot = stop_after(source, 25)
    (tmp_path / "1.csv").write_bytes(day(3, 20))
    assert f"{tmp_path}/1.csv is not the file that was read before" in error_of(source, snapshot).message


def test_what_differs_is_named(tmp_path: Path) -> None:
    """The beginning, what comes before the position, or the length."""
    path = tmp_path / "n.csv"
    lines = [b"n\n", *(b"%06d\n" % n for n in range(3000))]
    path.write_bytes(b"".join(lines))
    snapshot = stop_after(FileSource(path), 2000)
    offset = 2 + 7 * 2000

    def found(change: int) -> str:
        path.write_bytes(b"".join([*lines[:change], b"%06d\n" % 999_999, *lines[change + 1 :]]))
        return error_of(FileSource(path), snapshot).message

    assert f"{offset:,} bytes of that were read, and its first {SAMPLE_BYTES:,} bytes are others" in found(5)
    assert f"and the {SAMPLE_BYTES:,} bytes before byte {offset:,} are others" in found(1999)
    path.write_bytes(b"".join(lines[:1000]))
    assert f"and it has {2 + 7 * 999:,} bytes" in error_of(FileSource(path), snapshot).message


def test_the_same_bytes_are_the_same_file(numbers: Path) -> None:
    """A file that was copied back, on another disk or by a backup, has another inode and another time."""
    snapshot = stop_after(FileSource(numbers), 2)
    data = numbers.read_bytes()
    numbers.rename(numbers.with_name("kept"))
    numbers.write_bytes(data)
    assert continued(FileSource(numbers), snapshot) == [{"n": "30"}]


def test_a_refusal_comes_before_anything_is_emitted(numbers: Path) -> None:
    """While a job restores, not once it runs."""
    snapshot = stop_after(FileSource(numbers), 2)
    numbers.write_bytes(b"n\n99\n98\n97\n")
    source = FileSource(numbers)
    source.open(None)  # type: ignore[arg-type]
    with pytest.raises(SourceError, match="is not the file"):
        source.restore_state(json.loads(snapshot.state))


def test_a_position_of_another_form_is_named(numbers: Path) -> None:
    """As a release before this one stored it."""
    before = {"files": {str(numbers): 8}, "current": str(numbers), "line": 3, "record": 2}
    error = error_of(FileSource(numbers), SourceSnapshot(json.dumps(before), 2))
    assert "a position that this release cannot read" in error.message
    assert "--fresh" in str(error.hint)


# --- gone ----------------------------------------------------------------------------------------------


def test_a_vanished_file_is_refused(numbers: Path) -> None:
    numbers.with_name("zzz.csv").write_text("n\n40\n")
    source = FileSource(numbers.parent / "*.csv")
    snapshot = stop_after(source, 2)
    numbers.unlink()
    assert f"{numbers} is gone: 8 of its 11 bytes were read before" in str(error_of(source, snapshot))


def test_a_finished_file_may_vanish_and_a_new_one_is_read(numbers: Path) -> None:
    """What was read to its end is not needed; what appears before it in the order is read all the same."""
    numbers.with_name("last.csv").write_text("n\n40\n50\n")
    last = FileSource(numbers.parent / "*s*.csv")
    numbers.rename(numbers.with_name("a-s.csv"))
    snapshot = stop_after(last, 4)
    numbers.with_name("a-s.csv").unlink()
    numbers.with_name("as-new.csv").write_text("n\n60\n")
    assert continued(last, snapshot) == [{"n": "50"}, {"n": "60"}]


def test_a_vanished_file_stays_known(numbers: Path) -> None:
    """Over a second stop as well: put back, it is not read again."""
    numbers.with_name("z.csv").write_text("n\n40\n50\n60\n")
    source = FileSource(numbers.parent / "*.csv")
    snapshot = stop_after(source, 4)
    numbers.rename(numbers.with_name("moved"))
    snapshot = stop_after(source, 1, snapshot)
    numbers.with_name("moved").rename(numbers)
    assert continued(source, snapshot) == [{"n": "60"}]


# --- appended ------------------------------------------------------------------------------------------


def test_what_is_appended_to_the_current_file_is_read(numbers: Path) -> None:
    source = FileSource(numbers)
    snapshot = stop_after(source, 3)
    append(numbers, b"40\n")
    assert continued(source, snapshot) == [{"n": "40"}]


def test_what_is_appended_to_a_finished_file_is_read(numbers: Path) -> None:
    """By a job that continues, with the numbers that the records have in their file; once."""
    other = numbers.with_name("z.csv")
    other.write_text("n\n50\n60\n70\n")
    source = FileSource(numbers.parent / "*.csv")
    snapshot = stop_after(source, 4)
    append(numbers, b"40\n41\n")
    with SourceDriver(source, snapshot) as driver:
        assert driver.take(1) == [{"n": "40"}]
        driver.wait_until_idle()
        assert str(driver.origins[0]) == f"{numbers}@4"
        snapshot = driver.snapshot()
    append(other, b"80\n")
    assert continued(source, snapshot) == [{"n": n} for n in ("41", "60", "70", "80")]


def test_what_was_begun_is_remembered_before_it_is_reached(numbers: Path) -> None:
    """Two files have grown; the job stops again in the first of them."""
    for name in ("p.csv", "q.csv"):
        numbers.with_name(name).write_text(f"n\n{name}\n")
    source = FileSource(numbers.parent / "?.csv")
    snapshot = stop_after(source, 2)
    for name in ("p.csv", "q.csv"):
        append(numbers.with_name(name), b"1\n2\n")
    snapshot = stop_after(source, 1, snapshot)
    assert continued(source, snapshot) == [{"n": n} for n in ("2", "1", "2")]


def test_a_last_line_without_end_may_get_it_later(numbers: Path) -> None:
    """Then the lines after it are read; one that continues instead was half a record."""
    for line_end in (b"\n", b"\r\n"):
        numbers.write_bytes(b"n\n1\n22")
        source = FileSource(numbers)
        snapshot = stop_after(source, 2)
        append(numbers, line_end + b"3\n")
        assert continued(source, snapshot) == [{"n": "3"}]
    numbers.write_bytes(b"n\n1\n22")
    snapshot = stop_after(source, 2)
    append(numbers, b"5\n3\n")
    error = error_of(source, snapshot)
    assert f"{numbers} was read up to byte 6, in the middle of a line" in error.message
    assert error.fault is Fault.USER


def test_text_continues_without_an_empty_line(tmp_path: Path) -> None:
    """The line end that has come since belongs to the line before it."""
    path = tmp_path / "a.log"
    path.write_text("one\ntwo")
    snapshot = stop_after(FileSource(path), 2)
    append(path, b"\nthree\n")
    assert continued(FileSource(path), snapshot) == ["three"]


# --- renamed -------------------------------------------------------------------------------------------


def test_a_rotated_log_is_read_on_under_its_new_name(tmp_path: Path) -> None:
    """And what is new under the old name is a new file."""
    log = tmp_path / "access.log"
    log.write_text("1\n2\n3\n")
    source = FileSource(tmp_path / "access.log*", "text")
    snapshot = stop_after(source, 2)
    log.rename(tmp_path / "access.log.1")
    append(tmp_path / "access.log.1", b"4\n")
    log.write_text("5\n")
    assert continued(source, snapshot) == ["3", "4", "5"]


def test_a_file_that_was_read_is_not_read_again_under_another_name(numbers: Path) -> None:
    numbers.with_name("z.csv").write_text("n\n40\n50\n")
    source = FileSource(numbers.parent / "*.csv")
    snapshot = stop_after(source, 4)
    numbers.rename(numbers.with_name("done-numbers.csv"))
    assert continued(source, snapshot) == [{"n": "50"}]


def test_the_number_of_a_removed_file_does_not_make_another_of_it(numbers: Path) -> None:
    """A new file may get the inode of one that is gone, and even the same bytes; not its time."""
    numbers.with_name("z.csv").write_text("n\n40\n50\n")
    source = FileSource(numbers.parent / "*.csv")
    snapshot = stop_after(source, 4)
    numbers.rename(numbers.with_name("new.csv"))
    os.utime(numbers.with_name("new.csv"), ns=(1, 1))
    assert continued(source, snapshot) == [{"n": "50"}, {"n": "10"}, {"n": "20"}, {"n": "30"}]


# --- while it is read ----------------------------------------------------------------------------------


def test_a_file_that_is_cut_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    """Its end is not the end of what there was."""
    path = tmp_path / "n.jsonl"
    path.write_bytes(b"".join(b"%d\n" % n for n in range(100)))
    with SourceDriver(FileSource(path)) as driver:
        driver.take(50)
        os.truncate(path, 10)
        with pytest.raises(SourceError, match=r"n\.jsonl has 10 bytes, of which \d+ have been read"):
            driver.take(100)


def test_a_file_that_is_replaced_while_it_is_read_is_read_to_its_end(tmp_path: Path) -> None:
    """Also where a bad line makes the reader go back: it never mixes the two."""
    path = tmp_path / "n.csv"
    path.write_bytes(b"n\n" + b"".join(b"%d\n" % n for n in range(50)) + b"1,2\n60\n")
    with SourceDriver(FileSource(path, on_error=ErrorPolicy.skip())) as driver:
        assert len(driver.take(40)) == 40
        other = tmp_path / "other"
        other.write_bytes(b"n\n" + b"x\n" * 1000)
        other.rename(path)
        assert driver.take(100) == [{"n": str(n)} for n in (*range(40, 50), 60)]


def test_a_listing_names_each_file_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Links of either kind, to files and to folders; the log says what is left out."""
    (tmp_path / "2026").mkdir()
    (tmp_path / "2026" / "b.csv").write_text("n\n1\n")
    (tmp_path / "2026" / "latest.csv").symlink_to("b.csv")
    (tmp_path / "2026" / "a.csv").symlink_to("b.csv")
    (tmp_path / "2026" / "hard.csv").hardlink_to(tmp_path / "2026" / "b.csv")
    (tmp_path / "now").symlink_to("2026")
    with SourceDriver(FileSource(tmp_path / "*" / "*.csv")) as driver:
        assert driver.take(10) == [{"n": "1"}]
        assert str(driver.origins[0]) == f"{tmp_path}/2026/b.csv@1"
    assert len(caplog.messages) == 7
    assert f"latest.csv is left out: it is another name of {tmp_path}/2026/b.csv" in caplog.text


def test_a_link_that_was_read_stays_the_file_it_led_to(tmp_path: Path) -> None:
    """Whatever name of it the checkpoint has."""
    path = tmp_path / "b.csv"
    path.write_text("n\n1\n2\n")
    snapshot = stop_after(FileSource(tmp_path / "*.csv"), 1)
    path.rename(tmp_path / "c.csv")
    path.symlink_to("c.csv")
    assert continued(FileSource(tmp_path / "*.csv"), snapshot) == [{"n": "2"}]
    assert read_all(FileSource(path)) == [{"n": "1"}, {"n": "2"}]


def test_what_is_appended_to_a_file_of_a_byte_order_mark_only_is_read(tmp_path: Path) -> None:
    """Its mark is not a line that was left without its end."""
    first, second = tmp_path / "1.txt", tmp_path / "2.txt"
    first.write_bytes(b"\xef\xbb\xbf")
    second.write_bytes(b"a\nb\n")
    source = FileSource(tmp_path / "*.txt")
    snapshot = stop_after(source, 1)
    append(first, b"c\n")
    assert continued(source, snapshot) == ["c", "b"]
