"""Which files a pattern names, and whether those of two parts of a job are the same."""

from __future__ import annotations

import glob
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors import CollectionSource, CollectSink, FileSink, FileSource, RollingPolicy
from connectors.files.listing import list_files, would_list
from pipeline.api.job import StreamJob
from pipeline.core.errors import GraphError

parts = st.sampled_from(["*", "**", "a", "a?", "[ab]*", ".*", "*.csv", "all.csv"])
names = st.sampled_from(["a", "ab", "b", ".a", "all.csv", ".all.csv"])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pattern=st.lists(parts, min_size=1, max_size=3), path=st.lists(names, min_size=1, max_size=3))
def test_a_missing_file_is_named_as_glob_will_name_it(pattern, path, tmp_path_factory) -> None:
    """The pattern is matched against its name, then the file is made and looked for."""
    folder = tmp_path_factory.mktemp("d")
    written, file = str(folder.joinpath(*pattern)), folder.joinpath(*path)
    foreseen = would_list(written, file)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    assert foreseen == (str(file) in glob.glob(written, recursive=True))  # noqa: PTH207 - the model


def test_a_pattern_of_files_does_not_take_what_is_staged(tmp_path: Path) -> None:
    """Though it names hidden ones."""
    staged = tmp_path / ".o.csv.job-0123456789ab.1-00ff00ff.staged"
    for path in (staged, tmp_path / ".own.csv"):
        path.touch()
    assert list_files(str(tmp_path / ".*")).files == [str(tmp_path / ".own.csv")]


# --- a job's own output --------------------------------------------------------------------------------


def job(source: FileSource, sink: FileSink) -> StreamJob:
    made = StreamJob("copy")
    made.source(source).sink(sink)
    return made


def refused(made: StreamJob) -> str:
    with pytest.raises(GraphError, match="the job would read its own output") as caught:
        made.stream_graph()
    assert "another folder" in str(caught.value.hint)
    return caught.value.message


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one input, and the working directory beside it."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "1.csv").write_text("n\n1\n")
    return folder


@pytest.mark.parametrize(
    ("read", "written"),
    [
        ("data/*.csv", "data/all.csv"),
        ("data/*.csv", "./data/../data/all.csv"),
        ("**/*.csv", "data/deep/all.csv"),
        ("data/1.csv", "data/1.csv"),
        ("link/*.csv", "data/all.csv"),
        ("data/*.csv", "link/all.csv"),
        ("data/hard.csv", "data/1.csv"),
        ("~/data/*.csv", "data/all.csv"),
    ],
)
def test_a_job_that_would_read_what_it_writes_is_refused(
    read: str, written: str, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it has written anything: run twice, it would double its rows."""
    monkeypatch.setenv("HOME", str(data.parent))
    (data.parent / "link").symlink_to("data")
    (data / "hard.csv").hardlink_to(data / "1.csv")
    assert f"{data}/" in refused(job(FileSource(read), FileSink(written)))


def test_so_is_one_that_would_read_its_parts(data: Path) -> None:
    """Those to come, and those that are there."""
    sink = FileSink("data/all.csv", rolling=RollingPolicy())
    assert "all-0-000000.csv" in refused(job(FileSource("data/*.csv"), sink))
    (data / "all-1-000007.csv").touch()
    assert "all-1-000007.csv" in refused(job(FileSource("data/all-1-*.csv"), sink))


def test_one_found_through_a_folder_that_is_a_link_is_refused_once_it_is_there(data: Path) -> None:
    (data / "now").symlink_to(data.parent / "elsewhere")
    made = job(FileSource("data/*/*.csv"), FileSink("elsewhere/all.csv"))
    made.stream_graph()  # nothing tells yet
    (data.parent / "elsewhere").mkdir()
    (data.parent / "elsewhere" / "all.csv").touch()
    refused(made)


def test_output_beside_the_input_is_fine(data: Path) -> None:
    for written in ("out/all.csv", "data/all.jsonl", "data/.all.csv"):
        job(FileSource("data/*.csv"), FileSink(written)).stream_graph()
    job(FileSource("missing/*.csv"), FileSink("out/all.csv")).stream_graph()


def test_patterns_that_overlap_are_refused_where_they_meet(data: Path) -> None:
    """One file would be read twice into one output."""
    (data / "12.csv").touch()
    made = StreamJob("both")
    first = made.source(FileSource("data/1*.csv"))
    first.union(made.source(FileSource("data/*2.csv"))).sink(FileSink("out.csv"))
    with pytest.raises(GraphError, match=r"two sources would read data/12\.csv into one output"):
        made.stream_graph()


def test_other_parts_share_no_files() -> None:
    source = FileSource("data/*.csv")
    assert source.overlap(CollectSink()) is None
    assert source.overlap(CollectionSource([1])) is None
