"""load_job: the one job that is meant is found, or the user is told what was found instead."""

from __future__ import annotations

import pickle
import sys
import traceback
from pathlib import Path

import pytest

from pipeline.cli.load import load_job
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

    def test_a_job_that_was_never_built_is_none(self, write_job: WriteJob) -> None:
        """`build()` forgotten: the builder is not taken for a job."""
        path = write_job("job = StreamJob.builder().name('totals').source(CollectionSource([1]))")
        with pytest.raises(ConfigError, match="expected one job, found none"):
            load_job(str(path))

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
    def test_it_comes_through_with_the_line_that_raised(self, write_job: WriteJob) -> None:
        """As Python shows it, not wrapped: the user looks for a line of their own."""
        path = write_job("import no_such_module_of_anyone")
        with pytest.raises(ModuleNotFoundError, match="no_such_module_of_anyone") as raised:
            load_job(str(path))
        assert traceback.extract_tb(raised.value.__traceback__)[-1].filename == str(path)

    def test_so_does_a_job_that_is_refused(self, write_job: WriteJob) -> None:
        with pytest.raises(GraphError, match="cannot be a job's name"):
            load_job(str(write_job("job = make('a/b')")))

    def test_and_a_file_that_does_not_parse(self, write_job: WriteJob) -> None:
        with pytest.raises(SyntaxError):
            load_job(str(write_job("job = = 5")))
