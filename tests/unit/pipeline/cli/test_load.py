"""load_job: the one job that is meant is found, or the user is told what was found instead."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import pytest

from pipeline.cli.load import JobFileError, load_job
from pipeline.core.errors import ConfigError, GraphError

from .conftest import WriteJob


class TestFinding:
    def test_the_only_job_whatever_its_name(self, write_job: WriteJob) -> None:
        assert load_job(str(write_job("report = make('totals')"))).name == "totals"

    def test_the_one_that_is_named(self, write_job: WriteJob) -> None:
        path = write_job("a = make('first'); b = make('second'); job = make('third')")
        assert load_job(f"{path}:b").name == "second"

    def test_the_one_called_job_among_several(self, write_job: WriteJob) -> None:
        assert load_job(str(write_job("a = make('first'); job = make('second')"))).name == "second"

    def test_one_job_with_two_names_is_one(self, write_job: WriteJob) -> None:
        assert load_job(str(write_job("report = totals = make('totals')"))).name == "totals"

    def test_a_colon_in_the_path_is_part_of_it(self, write_job: WriteJob) -> None:
        """What follows the last one must be able to be a name."""
        path = write_job(name="12:30/totals.py")
        assert load_job(str(path)).name == "totals"
        assert load_job(f"{path}:job").name == "totals"


class TestImporting:
    def test_modules_beside_the_file_can_be_imported(self, write_job: WriteJob, tmp_path: Path) -> None:
        (tmp_path / "prices_of_this_test.py").write_text("name = 'priced'", encoding="utf-8")
        path = write_job("import prices_of_this_test; job = make(prices_of_this_test.name)")
        assert load_job(str(path)).name == "priced"

    def test_but_hide_nothing_of_ours(self, write_job: WriteJob, tmp_path: Path) -> None:
        """The folder is searched last, and once: a `state` folder of the user's is common."""
        for _ in range(2):
            load_job(str(write_job()))
        assert sys.path[-1] == str(tmp_path)
        assert sys.path.count(str(tmp_path)) == 1

    def test_its_classes_can_be_pickled(self, write_job: WriteJob) -> None:
        """The module can be imported under its name by who unpickles."""
        path = write_job("class Order: pass\njob = make('totals'); job.order = Order()")
        order = vars(load_job(str(path)))["order"]
        assert type(pickle.loads(pickle.dumps(order))) is type(order)

    def test_a_relative_path_is_fine(self, write_job: WriteJob, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(write_job().parent)
        assert load_job("totals.py:job").name == "totals"


class TestRefused:
    @pytest.mark.parametrize("suffix", ["", ":job"])
    def test_no_such_file(self, tmp_path: Path, suffix: str) -> None:
        with pytest.raises(ConfigError, match=f"there is no file {tmp_path}/none.py") as raised:
            load_job(f"{tmp_path}/none.py{suffix}")
        assert raised.value.hint == "expected: pipeline run FILE.py[:job]"

    def test_a_folder_is_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="there is no file"):
            load_job(str(tmp_path))

    def test_no_python_file(self, tmp_path: Path) -> None:
        (tmp_path / "orders.csv").write_text("id\n", encoding="utf-8")
        with pytest.raises(ConfigError, match=r"orders\.csv is not a Python file"):
            load_job(str(tmp_path / "orders.csv"))

    def test_no_job(self, write_job: WriteJob) -> None:
        with pytest.raises(ConfigError, match="expected one job, found none") as raised:
            load_job(str(write_job("make('totals')")))
        assert raised.value.hint == "assign the built job to a name"

    @pytest.mark.parametrize("end", ["", ".sink(CollectSink())"])
    @pytest.mark.parametrize("suffix", ["", ":job"])
    def test_a_job_that_was_never_built_is_none(self, write_job: WriteJob, end: str, suffix: str) -> None:
        """`build()` forgotten: the builder is not taken for a job, and the hint says what is missing."""
        path = write_job(f"job = StreamJob.builder().name('totals').source(CollectionSource([1])){end}")
        with pytest.raises(ConfigError, match=r"expected (one job, found none|a StreamJob)") as raised:
            load_job(f"{path}{suffix}")
        assert raised.value.hint == "end the chain with .build() and assign what it returns to a name"

    def test_several_jobs(self, write_job: WriteJob) -> None:
        path = write_job("b = make('first'); a = make('second')")
        with pytest.raises(ConfigError, match=r"expected one job, found a, b") as raised:
            load_job(str(path))
        assert raised.value.hint == f"name it: pipeline run {path}:NAME"

    @pytest.mark.parametrize(
        ("name", "found"), [("jbo", "nothing"), ("double", "a function"), ("n", "a int")]
    )
    def test_a_name_that_is_no_job(self, write_job: WriteJob, name: str, found: str) -> None:
        path = write_job("n = 5; job = make('totals')")
        with pytest.raises(ConfigError, match=f"expected a StreamJob called '{name}', found {found}$"):
            load_job(f"{path}:{name}")


class TestWhatTheFileRaises:
    @pytest.mark.parametrize(
        ("code", "cause"),
        [
            ("1 / 0", ZeroDivisionError),
            ("import no_such_module_of_anyone", ModuleNotFoundError),
            ("StreamJob(nmae='totals')", TypeError),
            ("job = = 5", SyntaxError),
        ],
    )
    def test_is_an_error_of_the_configuration(
        self, write_job: WriteJob, code: str, cause: type[Exception]
    ) -> None:
        """It says the file and what it raised; that is kept, for its lines."""
        path = write_job(code)
        with pytest.raises(JobFileError) as raised:
            load_job(str(path))
        assert type(raised.value.__cause__) is cause
        assert raised.value.message == f"{path} raised {cause.__name__}: {raised.value.__cause__}"

    def test_a_file_must_not_end_the_process(self, write_job: WriteJob) -> None:
        with pytest.raises(JobFileError, match=r"ended the process: sys.exit\(3\)") as raised:
            load_job(str(write_job("raise SystemExit(3)")))
        assert raised.value.hint == 'what runs the job belongs under if __name__ == "__main__"'

    def test_a_job_that_is_refused_comes_through_as_it_is(self, write_job: WriteJob) -> None:
        with pytest.raises(GraphError, match="cannot be a job's name"):
            load_job(str(write_job("job = make('a/b')")))
