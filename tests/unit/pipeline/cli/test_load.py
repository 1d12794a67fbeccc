"""load_job: the intended job is found, or the error names what was found instead."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import pytest

from pipeline.cli.imports import JobFileError
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
        """The others are named, so that nobody takes them for run."""
        path, told = str(write_job("a = make('first'); job = b = make('second')")), list[str]()
        assert load_job(path, tell=told.append).name == "second"
        assert told == [f"this is job; {path} also has a (pipeline run {path}:NAME)"]

    @pytest.mark.parametrize(
        "code", ["job = make('totals')", "report = make('totals')", "job = b = make('totals')"]
    )
    def test_an_only_job_is_not_mentioned(self, write_job: WriteJob, code: str) -> None:
        told = list[str]()
        assert load_job(str(write_job(code)), tell=told.append).name == "totals"
        assert told == []

    def test_one_job_with_two_names_is_one(self, write_job: WriteJob) -> None:
        assert load_job(str(write_job("report = totals = make('totals')"))).name == "totals"

    def test_a_colon_in_the_path_is_part_of_it(self, write_job: WriteJob) -> None:
        """What follows the last one must be able to be a name."""
        path = write_job(name="12:30/totals.py")
        assert load_job(str(path)).name == "totals"
        assert load_job(f"{path}:job").name == "totals"


class TestFunctions:
    """A job can be made by a function, which is called without arguments."""

    def test_the_one_that_is_named(self, write_job: WriteJob) -> None:
        path = write_job("def nightly(): return make('totals')\njob = make('other')")
        assert load_job(f"{path}:nightly").name == "totals"

    def test_the_one_called_job(self, write_job: WriteJob) -> None:
        assert load_job(str(write_job("def job(): return make('totals')"))).name == "totals"

    def test_a_job_that_is_built_goes_before_a_function_called_job(self, write_job: WriteJob) -> None:
        path = write_job("def job(day): return make('other')\nreport = make('totals')")
        assert load_job(str(path)).name == "totals"

    def test_one_that_takes_arguments_is_refused(self, write_job: WriteJob) -> None:
        path = write_job("def job(day): return make(day)")
        with pytest.raises(ConfigError, match=r"job cannot be called without arguments: .*'day'") as raised:
            load_job(str(path))
        assert raised.value.hint == f"read parameters from sys.argv: pipeline run {path}:job -- PARAMETERS"

    @pytest.mark.parametrize(
        ("returned", "found", "hint"),
        [
            ("5", "int", "return the built job"),
            (
                "StreamJob.builder().name('totals').source(CollectionSource([1])).sink(CollectSink())",
                "SinkHandle",
                "end the chain with .build() and assign what it returns to a name",
            ),
        ],
    )
    def test_one_that_returns_something_else_is_refused(
        self, write_job: WriteJob, returned: str, found: str, hint: str
    ) -> None:
        path = write_job(f"def job(): return {returned}")
        with pytest.raises(
            ConfigError, match=rf"expected job\(\) to return a StreamJob, found a {found}"
        ) as raised:
            load_job(str(path))
        assert raised.value.hint == hint

    def test_what_it_raises_is_an_error_of_the_configuration(self, write_job: WriteJob) -> None:
        path = write_job("def job(): return 1 / 0")
        with pytest.raises(
            JobFileError, match=r"job \(.*totals\.py:\d+\) raised ZeroDivisionError"
        ) as raised:
            load_job(str(path))
        assert isinstance(raised.value.__cause__, ZeroDivisionError)


class TestParameters:
    """What follows `--` is in sys.argv, as under `python job.py`."""

    CODE = """
        import argparse
        parser = argparse.ArgumentParser()
        parser.add_argument("--day", required=True)
        job = make("day-" + parser.parse_args().day)
    """

    def test_the_job_parses_them(self, write_job: WriteJob) -> None:
        assert load_job(str(write_job(self.CODE)), ["--day", "2026-11-30"]).name == "day-2026-11-30"

    def test_a_function_finds_them_too(self, write_job: WriteJob) -> None:
        path = str(write_job("import sys\ndef nightly(): return make(sys.argv[1])"))
        assert load_job(f"{path}:nightly", ["totals"]).name == "totals"
        assert sys.argv == [path, "totals"]

    def test_refused_ones_are_an_error_that_says_where_they_go(
        self, write_job: WriteJob, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = str(write_job(self.CODE))
        with pytest.raises(JobFileError, match=r"ended the process: sys.exit\(2\)") as raised:
            load_job(path)
        assert raised.value.hint == f"the job's own parameters follow --: pipeline run {path} -- PARAMETERS"
        assert "the following arguments are required: --day" in capsys.readouterr().err

    def test_a_job_that_is_asked_for_its_help_ends_well(
        self, write_job: WriteJob, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as raised:
            load_job(str(write_job(self.CODE)), ["--help"])
        assert raised.value.code == 0
        assert "--day" in capsys.readouterr().out


class TestPackages:
    @pytest.fixture
    def project(self, write_job: WriteJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A project: `shared_of_a_test.py` at its root, a package with a module and a job that uses both."""
        monkeypatch.chdir(tmp_path)
        package = tmp_path / "jobs_of_a_test" / "daily"
        package.mkdir(parents=True)
        (package.parent / "__init__.py").touch()
        (package / "__init__.py").touch()
        (package / "names.py").write_text("name = 'daily'", encoding="utf-8")
        (tmp_path / "shared_of_a_test.py").write_text("suffix = '-totals'", encoding="utf-8")
        code = "from .names import name\nfrom shared_of_a_test import suffix\njob = make(name + suffix)"
        return write_job(code, "jobs_of_a_test/daily/totals.py")

    @pytest.mark.parametrize("suffix", ["", ":job"])
    def test_a_file_of_a_package_is_imported_as_a_part_of_it(self, project: Path, suffix: str) -> None:
        """Relative imports work, and imports from the root of the project."""
        assert load_job(f"jobs_of_a_test/daily/totals.py{suffix}").name == "daily-totals"
        assert sys.modules["jobs_of_a_test.daily.totals"].__file__ == str(project)

    def test_wherever_the_command_is_run(
        self, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        assert load_job(str(project)).name == "daily-totals"

    @pytest.mark.parametrize("suffix", ["", ":job"])
    def test_a_module_by_its_name(self, project: Path, suffix: str) -> None:
        assert load_job(f"jobs_of_a_test.daily.totals{suffix}").name == "daily-totals"

    def test_a_module_beside_a_file_without_a_package(self, write_job: WriteJob) -> None:
        path = write_job("from .names import name", "loose/totals.py")
        with pytest.raises(JobFileError, match="no known parent package") as raised:
            load_job(str(path))
        assert raised.value.hint is not None
        assert "add __init__.py to the folder, or run the job as a module" in raised.value.hint

    def test_a_package_that_another_hides_does_not_keep_its_job_from_running(
        self, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """`state/job.py` is a file like any other: our `state` is found first."""
        other = tmp_path / "first" / "jobs_of_a_test"
        other.mkdir(parents=True)
        (other / "__init__.py").touch()
        monkeypatch.syspath_prepend(tmp_path / "first")
        project.write_text(
            project.read_text(encoding="utf-8").replace("from .names", "from names"), encoding="utf-8"
        )
        assert load_job(str(project)).name == "daily-totals"
        del sys.modules["names"]

    @pytest.mark.parametrize("name", ["no_such_module_of_a_test", "jobs_of_a_test.no_such_module:job"])
    def test_no_such_module(self, project: Path, name: str) -> None:
        with pytest.raises(ConfigError, match="there is no file and no module") as raised:
            load_job(name)
        assert raised.value.hint == "expected: pipeline run FILE.py[:JOB] or pipeline run MODULE[:JOB]"

    def test_what_a_module_does_not_find_is_not_the_module(self, project: Path) -> None:
        project.write_text("import no_such_module_of_a_test", encoding="utf-8")
        with pytest.raises(
            JobFileError, match="raised ModuleNotFoundError: No module named 'no_such_module_of_a_test'"
        ):
            load_job("jobs_of_a_test.daily.totals")


class TestImporting:
    def test_modules_beside_the_file_can_be_imported(self, write_job: WriteJob, tmp_path: Path) -> None:
        (tmp_path / "prices_of_this_test.py").write_text("name = 'priced'", encoding="utf-8")
        path = write_job("import prices_of_this_test; job = make(prices_of_this_test.name)")
        assert load_job(str(path)).name == "priced"

    def test_but_hide_nothing_of_ours(self, write_job: WriteJob, tmp_path: Path) -> None:
        """The folder is searched last, then the current one, each once: a `state` folder is common."""
        for _ in range(2):
            load_job(str(write_job()))
        assert [entry for entry in sys.path if entry == str(tmp_path)] == [str(tmp_path)]
        assert set(sys.path[sys.path.index(str(tmp_path)) + 1 :]) <= {str(Path.cwd())}

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
        assert raised.value.hint == "expected: pipeline run FILE.py[:JOB]"

    def test_a_folder_is_not_a_file(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="there is no file"):
            load_job(str(tmp_path))

    def test_no_python_file(self, tmp_path: Path) -> None:
        (tmp_path / "orders.csv").write_text("id\n", encoding="utf-8")
        with pytest.raises(ConfigError, match=r"orders\.csv is not a Python file"):
            load_job(str(tmp_path / "orders.csv"))

    def test_no_job(self, write_job: WriteJob) -> None:
        with pytest.raises(ConfigError, match="expected one job, found none") as raised:
            load_job(str(write_job("make('totals')")))
        assert raised.value.hint == "assign the built job to a name, or return it from a function called job"

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

    @pytest.mark.parametrize(("name", "found"), [("jbo", "nothing"), ("n", "a int"), ("StreamJob", "a type")])
    def test_a_name_that_is_not_a_job(self, write_job: WriteJob, name: str, found: str) -> None:
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
