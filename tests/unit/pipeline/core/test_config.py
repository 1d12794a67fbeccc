"""Settings: which layer wins, what the mode decides, and what is refused in which words."""

from __future__ import annotations

import inspect
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.config import (
    UNSET,
    BackpressureStrategy,
    JobConfig,
    ResolvedConfig,
    parse_setting,
    resolve,
)
from pipeline.core.errors import ConfigError
from pipeline.core.job import JobMode
from pipeline.core.restart import RestartStrategy
from pipeline.core.settings import parse_duration

SECOND = timedelta(seconds=1)
NAMES = [field.name for field in fields(JobConfig)]

TEXTS: dict[str, tuple[str, Any]] = {
    "checkpoint_interval": ("30s", 30 * SECOND),
    "checkpoint_rows": ("500", 500),
    "checkpoint_dir": ("/data/checkpoints", Path("/data/checkpoints")),
    "checkpoint_timeout": ("5m", 300 * SECOND),
    "checkpoint_min_pause": ("250", timedelta(milliseconds=250)),
    "checkpoint_retention": ("7", 7),
    "tolerable_checkpoint_failures": ("0", 0),
    "retain_on_cancel": ("no", False),
    "state_backend": ("memory", "memory"),
    "parallelism": ("4", 4),
    "max_parallelism": ("256", 256),
    "backpressure": ("latest", BackpressureStrategy.LATEST),
    "buffer_size": ("100", 100),
    "accept_loss": ("true", True),
    "source_batch_size": ("100", 100),
    "sink_batch_size": ("100", 100),
    "restart": ("5", RestartStrategy.fixed_delay(attempts=5)),
    "cancel_timeout": ("1h", 3600 * SECOND),
    "chains": ("interpreted", "interpreted"),
    "s3_endpoint": ("https://host:9000", "https://host:9000"),
    "s3_region": ("eu-west-1", "eu-west-1"),
    "s3_access_key": ("user", "user"),
    "s3_secret_key": ("pass", "pass"),
    "s3_session_token": ("token", "token"),
}
"""Each setting as text, and what that means."""


def resolved(
    config: JobConfig | None = None, mode: JobMode = JobMode.STREAMING, *, durable: bool = True, **layers: Any
) -> ResolvedConfig:
    return resolve(config or JobConfig(), mode, durable=durable, **{"environment": {}, **layers})


class TestLayers:
    @pytest.mark.parametrize("name", NAMES)
    def test_each_setting_can_be_given_in_the_environment(self, name: str) -> None:
        """`PIPELINE_<SETTING>`; a setting added to JobConfig must be added to TEXTS, and so be readable."""
        text, value = TEXTS[name]
        found = resolved(environment={f"PIPELINE_{name.upper()}": f" {text} "})
        assert getattr(found.values, name) == value
        assert found.provenance[name] == "environment"
        assert {layer for other, layer in found.provenance.items() if other != name} == {"default"}

    def test_each_layer_outranks_those_below_it(self) -> None:
        """Default, code, stored, environment, command line; and each value says where it came from."""
        layers: dict[str, Any] = {}
        config = JobConfig()
        ranked = [(config.checkpoint_retention, "default")]
        config = JobConfig(checkpoint_retention=4)
        ranked.append((4, "JobConfig"))
        found = [resolved(), resolved(config)]
        for value, (argument, layer, key) in enumerate(
            [
                ("stored", "stored", "checkpoint_retention"),
                ("environment", "environment", "PIPELINE_CHECKPOINT_RETENTION"),
                ("command_line", "command line", "checkpoint_retention"),
            ],
            start=5,
        ):
            layers[argument] = {key: str(value)}
            ranked.append((value, layer))
            found.append(resolved(config, **layers))
        assert [
            (each.values.checkpoint_retention, each.provenance["checkpoint_retention"]) for each in found
        ] == ranked

    def test_the_process_has_an_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PIPELINE_PARALLELISM", "3")
        assert resolve(JobConfig(), JobMode.STREAMING, durable=True).values.parallelism == 3

    @pytest.mark.parametrize(
        "other",
        [
            *("DSN", "KAFKA", "KAFKA_CONFIG", "SCHEMA_REGISTRY", "TEST_DSN", "TEST_KAFKA", "RUN", "KILLS"),
            *("SIMULATIONS", "FAULTPOINT", "FAULTPOINT_LOG", "FAULTPOINT_SIGNAL", "SERVICE_PORT", "HOME"),
        ],
    )
    def test_other_variables_are_not_settings(self, other: str) -> None:
        """Our own that are none, and what an orchestrator sets for a service of this name."""
        environment = {f"PIPELINE_{other}": "x", "PARALLELISM": "5"}
        assert resolved(environment=environment).values == resolved().values

    @pytest.mark.parametrize(
        ("variable", "meant"),
        [
            ("PIPELINE_CHECKPOINT_ROW", "PIPELINE_CHECKPOINT_ROWS"),
            ("PIPELINE_RESTRT", "PIPELINE_RESTART"),
            ("PIPELINE_CHECKPOINT_INTERVAL_MS", "PIPELINE_CHECKPOINT_INTERVAL"),
        ],
    )
    def test_but_one_that_is_almost_a_setting_is_refused(self, variable: str, meant: str) -> None:
        """It would be overlooked otherwise, and the job run without it."""
        with pytest.raises(ConfigError, match=f"^the environment variable {variable} is no") as raised:
            resolved(environment={variable: "5", "PIPELINE_RESTART": "1"})
        assert raised.value.hint == f"did you mean {meant}?"

    @pytest.mark.parametrize("order", [1, -1])
    def test_settings_that_hang_together_come_in_any_order(self, order: int) -> None:
        """200 subtasks need 200 groups; the outcome is checked, not a step on the way to it."""
        items = [("parallelism", "200"), ("max_parallelism", "256")][::order]
        assert resolved(command_line=dict(items)).values.parallelism == 200
        assert resolved(stored=dict(items[:1]), command_line=dict(items[1:])).values.max_parallelism == 256

    def test_the_code_is_left_as_it_was(self) -> None:
        config = JobConfig(parallelism=2)
        resolved(config, command_line={"parallelism": "3"})
        assert config == JobConfig(parallelism=2)

    def test_what_is_read_is_checked_as_in_the_code(self) -> None:
        with pytest.raises(ConfigError, match=r"^parallelism must be at least 1, not 0$"):
            resolved(environment={"PIPELINE_PARALLELISM": "0"})


class TestDefaults:
    @pytest.mark.parametrize(
        ("settings", "milliseconds"),
        [
            ({}, 500),
            ({"checkpoint_rows": 7}, 500),
            ({"checkpoint_interval": SECOND}, 500),
            ({"checkpoint_interval": SECOND / 10}, 50),
            ({"checkpoint_interval": SECOND / 10, "checkpoint_min_pause": SECOND}, 1000),
        ],
    )
    def test_a_short_interval_is_not_stretched_by_a_pause_nobody_set(
        self, settings: dict[str, Any], milliseconds: int
    ) -> None:
        found = resolved(JobConfig(**settings), JobMode.SQL_TASK).values
        assert found.checkpoint_min_pause == timedelta(milliseconds=milliseconds)

    @pytest.mark.parametrize(
        ("mode", "durable", "settings", "interval", "rows"),
        [
            (JobMode.STREAMING, True, {}, 60 * SECOND, None),
            (JobMode.STREAMING, False, {}, 60 * SECOND, None),
            (JobMode.STREAMING, True, {"checkpoint_rows": 7}, 60 * SECOND, 7),
            (JobMode.SQL_TASK, True, {}, None, 10_000),
            (JobMode.BATCH_ROLLER, True, {}, None, 10_000),
            (JobMode.SQL_TASK, False, {}, None, None),
            (JobMode.SQL_TASK, False, {"checkpoint_dir": "c"}, None, 10_000),
            (JobMode.SQL_TASK, False, {"checkpoint_rows": 7}, None, 7),
            (JobMode.SQL_TASK, True, {"checkpoint_rows": None}, None, None),
            (JobMode.SQL_TASK, True, {"checkpoint_interval": SECOND}, SECOND, None),
            (JobMode.SQL_TASK, True, {"checkpoint_interval": None}, None, None),
            (
                JobMode.SQL_TASK,
                True,
                {"checkpoint_interval": SECOND, "checkpoint_rows": 7},
                SECOND,
                7,
            ),
        ],
    )
    def test_when_checkpoints_are_taken(
        self,
        mode: JobMode,
        durable: bool,
        settings: dict[str, Any],
        interval: timedelta | None,
        rows: int | None,
    ) -> None:
        """A stream by time, a bounded job by rows, and only if a later run could continue; None is off."""
        found = resolved(JobConfig(**settings), mode, durable=durable)
        assert (found.values.checkpoint_interval, found.values.checkpoint_rows) == (interval, rows)
        assert found.checkpoints == (interval is not None or rows is not None)

    @pytest.mark.parametrize("durable", [True, False])
    def test_who_takes_checkpoints_restarts(self, durable: bool) -> None:
        """Without one, a restart would read and write everything twice."""
        strategy = RestartStrategy.fixed_delay() if durable else RestartStrategy.none()
        assert resolved(mode=JobMode.SQL_TASK, durable=durable).values.restart == strategy

    def test_a_strategy_that_is_set_stays(self) -> None:
        strategy = RestartStrategy.failure_rate()
        assert resolved(JobConfig(restart=strategy)).values.restart == strategy
        assert resolved(command_line={"restart": "off"}).values.restart == RestartStrategy.none()

    def test_nothing_is_left_unset(self) -> None:
        """But the size of hand-overs, which then adapts; None is without a bound."""
        for mode in JobMode:
            values = resolved(mode=mode).values
            assert [name for name in NAMES if getattr(values, name) is UNSET] == ["buffer_size"]
            assert values.checkpoint_dir == Path(".pipeline/checkpoints")

    @pytest.mark.parametrize(
        "layers",
        [{"config": JobConfig(checkpoint_interval=None)}, {"stored": {"checkpoint_interval": "off"}}],
    )
    def test_a_stream_without_checkpoints_is_refused(self, layers: dict[str, Any]) -> None:
        with pytest.raises(ConfigError, match="needs a checkpoint interval, found none") as raised:
            resolved(**layers)
        assert raised.value.hint == "set JobConfig(checkpoint_interval=timedelta(seconds=60))"


class TestText:
    @pytest.mark.parametrize(
        ("text", "duration"),
        [
            ("500ms", timedelta(milliseconds=500)),
            ("10s", 10 * SECOND),
            ("5m", timedelta(minutes=5)),
            ("2h", timedelta(hours=2)),
            ("1d", timedelta(days=1)),
            ("1.5 s", timedelta(milliseconds=1500)),
            ("250", timedelta(milliseconds=250)),
        ],
    )
    def test_durations(self, text: str, duration: timedelta) -> None:
        assert parse_duration(text) == duration

    @given(st.integers(0, 10**9), st.sampled_from(["ms", "s", "m", "h", "d"]))
    def test_a_unit_is_what_it_says(self, count: int, unit: str) -> None:
        names = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
        count %= 10**6 if unit == "d" else 10**9
        assert parse_duration(f"{count}{unit}") == timedelta(**{names[unit]: count})

    @pytest.mark.parametrize(
        "name",
        ["checkpoint_interval", "checkpoint_rows", "buffer_size", "source_batch_size", "sink_batch_size"],
    )
    @pytest.mark.parametrize("text", ["off", "OFF", "none"])
    def test_off_is_none(self, name: str, text: str) -> None:
        assert parse_setting(name, text) is None

    @pytest.mark.parametrize(
        ("text", "strategy"),
        [
            ("0", RestartStrategy.none()),
            ("00", RestartStrategy.none()),
            ("None", RestartStrategy.none()),
            ("off", RestartStrategy.none()),
            ("2", RestartStrategy.fixed_delay(2)),
        ],
    )
    def test_restart_counts_attempts(self, text: str, strategy: RestartStrategy) -> None:
        assert parse_setting("restart", text) == strategy

    @pytest.mark.parametrize(
        ("text", "value"), [("true", True), ("Yes", True), ("1", True), ("FALSE", False), ("0", False)]
    )
    def test_yes_and_no(self, text: str, value: bool) -> None:
        assert parse_setting("retain_on_cancel", text) is value

    @pytest.mark.parametrize(
        ("name", "text", "expected"),
        [
            ("checkpoint_timeout", "soon", "expected a duration such as 500ms, 10s or 5m"),
            ("checkpoint_timeout", "-5s", "expected a duration such as 500ms, 10s or 5m"),
            ("checkpoint_timeout", "5 weeks", "expected a duration such as 500ms, 10s or 5m"),
            ("checkpoint_timeout", "", "expected a duration such as 500ms, 10s or 5m"),
            ("checkpoint_interval", "soon", "expected a duration such as 500ms, 10s or 5m, or off"),
            ("parallelism", "four", "expected a whole number"),
            ("parallelism", "1.5", "expected a whole number"),
            ("buffer_size", "10k", "expected a whole number, or off"),
            ("retain_on_cancel", "maybe", "expected true or false"),
            ("backpressure", "block", "expected one of BUFFER, DROP, LATEST, ERROR"),
            ("restart", "often", "expected a number of attempts, or off"),
            ("restart", "-1", "expected a number of attempts, or off"),
            ("checkpoint_dir", " ", "expected the path of a folder"),
        ],
    )
    def test_what_cannot_be_read_is_refused(self, name: str, text: str, expected: str) -> None:
        """The message names the setting, shows the text and says what was expected."""
        with pytest.raises(ConfigError) as raised:
            parse_setting(name, text)
        assert str(raised.value) == f"{name}: cannot read {text!r}: {expected}"

    def test_a_duration_beyond_all_bounds_is_refused(self) -> None:
        with pytest.raises(ConfigError, match=r"^cancel_timeout: cannot read '9999999999d'"):
            parse_setting("cancel_timeout", "9999999999d")

    def test_an_unknown_setting_is_refused_with_the_nearest(self) -> None:
        layers: list[dict[str, Any]] = [
            {"stored": {"paralelism": "2"}},
            {"command_line": {"paralelism": "2"}},
        ]
        for layer in layers:
            with pytest.raises(ConfigError, match="unknown setting 'paralelism'") as raised:
                resolved(**layer)
            assert raised.value.hint == "did you mean 'parallelism'?"

    def test_an_unknown_setting_like_no_other_lists_all(self) -> None:
        with pytest.raises(ConfigError) as raised:
            parse_setting("xyz", "2")
        assert raised.value.hint == f"known are {', '.join(sorted(NAMES))}"


class TestOutOfRange:
    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"checkpoint_retention": 0}, "checkpoint_retention must be at least 1, not 0"),
            ({"parallelism": 0}, "parallelism must be at least 1, not 0"),
            ({"parallelism": 2.0}, "parallelism must be a whole number, not 2.0"),
            ({"parallelism": True}, "parallelism must be a whole number, not True"),
            ({"max_parallelism": 0}, "max_parallelism must be at least 1, not 0"),
            ({"parallelism": 129}, "parallelism is 129, above max_parallelism 128"),
            (
                {"tolerable_checkpoint_failures": -1},
                "tolerable_checkpoint_failures must be at least 0, not -1",
            ),
            ({"checkpoint_rows": 0}, "checkpoint_rows must be at least 1, not 0"),
            ({"buffer_size": 0}, "buffer_size must be at least 1, not 0"),
            ({"source_batch_size": "8"}, "source_batch_size must be a whole number, not '8'"),
            ({"sink_batch_size": -8}, "sink_batch_size must be at least 1, not -8"),
            (
                {"checkpoint_interval": SECOND / 1000},
                "checkpoint_interval must be at least 0.01 s, not 0.001 s",
            ),
            ({"checkpoint_interval": 60}, "checkpoint_interval must be a timedelta, not 60"),
            ({"checkpoint_timeout": -SECOND}, "checkpoint_timeout must be at least 0.01 s, not -1 s"),
            ({"checkpoint_min_pause": -SECOND}, "checkpoint_min_pause must be at least 0 s, not -1 s"),
            ({"cancel_timeout": "30s"}, "cancel_timeout must be a timedelta, not '30s'"),
            ({"checkpoint_dir": 5}, "checkpoint_dir must be a str or Path, not 5"),
            ({"retain_on_cancel": "no"}, "retain_on_cancel must be a bool, not 'no'"),
            ({"backpressure": "DROP"}, "backpressure must be a BackpressureStrategy, not 'DROP'"),
            ({"restart": 3}, "restart must be a RestartStrategy, not 3"),
            ({"state_backend": "rocksdb"}, "state_backend must be one of memory, not 'rocksdb'"),
            ({"chains": "fast"}, "chains must be one of generated, interpreted, not 'fast'"),
        ],
    )
    def test_it_is_refused_by_name(self, settings: dict[str, Any], message: str) -> None:
        with pytest.raises(ConfigError) as raised:
            JobConfig(**settings)
        assert str(raised.value) == message

    @pytest.mark.parametrize(
        "settings",
        [
            {"parallelism": 128},
            {"checkpoint_interval": timedelta(milliseconds=10)},
            {"checkpoint_min_pause": timedelta(), "cancel_timeout": timedelta()},
            {"tolerable_checkpoint_failures": 0},
            {"buffer_size": 1, "source_batch_size": 1, "sink_batch_size": 1, "checkpoint_rows": 1},
        ],
    )
    def test_its_bounds_are_allowed(self, settings: dict[str, Any]) -> None:
        JobConfig(**settings)


def test_every_setting_is_explained() -> None:
    """In the docstring of `JobConfig`, where a user looks them up."""
    documented = inspect.getdoc(JobConfig) or ""
    assert [name for name in NAMES if f"    {name}: " not in documented] == []
