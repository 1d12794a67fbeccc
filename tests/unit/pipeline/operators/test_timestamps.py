"""The event time of records: what counts as one, and what becomes of records that have none."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from pipeline.core.counts import FAILED
from pipeline.core.elements import BEGINNING
from pipeline.core.errors import SourceError, UserFunctionError
from pipeline.core.policy import DEAD_LETTERS, ErrorPolicy, SideTag
from pipeline.core.records import Batch, DeadLetter, Origin, OriginRange
from pipeline.operators.timestamps import LAST_INSTANT, Timestamps
from pipeline.runtime.contexts import Identity, VertexContext
from pipeline.testing import ManualClock
from pipeline.windows.watermarks import WatermarkStrategy

NOW = round(datetime(2026, 6, 1, tzinfo=UTC).timestamp() * 1000)
POLICIES = pytest.mark.parametrize("policy", [ErrorPolicy.skip(), ErrorPolicy.dead_letter()])


class Bench:
    """Stamps records whose function is given; `letters` are the dead ones."""

    def __init__(self, timestamp: Any, policy: ErrorPolicy | None = None) -> None:
        clock = ManualClock(start_ms=NOW)
        self.letters: list[DeadLetter] = []
        self.ctx = VertexContext(Identity("job", "lineage", 1), 0, 1, clock)
        self.ctx.send_side = lambda side, values: self.letters.extend(values)
        self.ctx.pause = lambda delay: None
        strategy = WatermarkStrategy.monotonic(timestamp=timestamp, on_error=policy or ErrorPolicy())
        self._timestamps = Timestamps(strategy, "in", self.ctx, clock)

    def stamp(self, values: Sequence[Any]) -> list[tuple[Any, int, Origin]]:
        batch = Batch(values, None, OriginRange("f", 7, len(values)))
        stamped, greatest = self._timestamps.stamp(batch)
        assert stamped.timestamps is not None
        assert stamped.origins is not None
        assert greatest == max(stamped.timestamps, default=BEGINNING)
        return list(zip(stamped.values, stamped.timestamps, stamped.origins, strict=True))


def own(record: Any) -> Any:
    return record


def test_a_datetime_with_its_zone_is_a_time() -> None:
    """The same instant in any zone, to the millisecond; beside numbers, too."""
    east = timezone(timedelta(hours=8))
    times = [
        datetime(1970, 1, 1, 0, 0, 1, 999, tzinfo=UTC),
        datetime(1970, 1, 1, 8, 0, 2, tzinfo=east),
        3000,
        datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC),
    ]
    assert [at for _, at, _ in Bench(own).stamp(times)] == [1000, 2000, 3000, -1000]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (datetime(2026, 6, 1), "needs its time zone, found datetime.datetime"),  # noqa: DTZ001 - that is the case
        (date(2026, 6, 1), r"or a datetime, found .* \(date\)"),
        ("12", r"found '12' \(str\)"),
        (None, r"found None \(NoneType\)"),
        (float("nan"), r"found nan \(float\)"),
        (NOW / 1000, r"\(float\); in seconds it is 2026-06-01: return milliseconds"),
        (NOW * 1000, "after the year 9999; in microseconds it is 2026-06-01: return milliseconds"),
        (NOW * 1_000_000, "after the year 9999; in nanoseconds it is 2026-06-01: return milliseconds"),
        (LAST_INSTANT + 1, "found 253402300800000, which is after the year 9999 "),
        (10**400, "after the year 9999"),
    ],
)
def test_what_is_not_a_time_is_named_with_the_record(value: Any, message: str) -> None:
    with pytest.raises(UserFunctionError, match=message) as refused:
        Bench(own).stamp([3, value, 4])
    assert (refused.value.operator, refused.value.position) == ("in", "f@8")
    assert "ErrorPolicy.skip()" in str(refused.value.hint)
    with pytest.raises(SourceError, match=message):
        of_the_source().stamp(Batch(["a"], [value]))


def test_a_function_that_raises_is_named_with_the_record() -> None:
    with pytest.raises(UserFunctionError, match="int raised ValueError: invalid literal") as refused:
        Bench(int).stamp([1, "x"])
    assert (refused.value.operator, refused.value.position) == ("in", "f@8")


@POLICIES
@pytest.mark.parametrize("wrong", [None, "x", float("inf"), NOW * 1000])
def test_a_record_without_a_time_follows_the_policy_and_no_other_does(
    policy: ErrorPolicy, wrong: Any
) -> None:
    """Whether the function raises or returns a wrong value; first, last, in the middle or all of them."""

    def timestamp(record: dict[str, Any]) -> int:
        return record["ts"]

    bench = Bench(timestamp, policy)
    good = [{"ts": at} for at in range(3)]
    batches = [[*good, {}], [{}, *good], [good[0], {"ts": wrong}, {}, *good[1:]], [{}], [{"ts": wrong}] * 2]
    for values in batches:
        stamped = bench.stamp(values)
        assert [(value, at) for value, at, _ in stamped] == [
            (value, value["ts"]) for value in values if value in good
        ]
        assert [origin.position for *_, origin in stamped] == [
            7 + index for index, value in enumerate(values) if value in good
        ]
    assert bench.ctx.counters[FAILED] == 7
    if policy.kind == "dead_letter":
        assert len(bench.letters) == 7
        assert bench.letters[0].value == {}
        assert bench.letters[0].error == "KeyError: 'ts'"
        assert bench.letters[0].origin == Origin("f", 10)


def test_a_call_is_repeated_for_its_record_alone() -> None:
    calls: list[int] = []

    def flaky(record: int) -> int:
        calls.append(record)
        if record == 2 and calls.count(2) < 3:
            raise ConnectionError("not yet")
        return record

    bench = Bench(flaky, ErrorPolicy.retry(5))
    assert [at for _, at, _ in bench.stamp([1, 2, 3])] == [1, 2, 3]
    assert calls == [1, 2, 2, 2, 3]


def test_a_call_is_repeated_for_its_record_also_after_others_were_dropped() -> None:
    calls: list[int] = []

    def flaky(record: int) -> int:
        calls.append(record)
        if record == 1 or (record == 3 and calls.count(3) < 2):
            raise ConnectionError("not yet")
        return record

    bench = Bench(flaky, ErrorPolicy.retry(1, then=ErrorPolicy.skip()))
    assert [(value, at) for value, at, _ in bench.stamp([1, 2, 3, 4])] == [(2, 2), (3, 3), (4, 4)]
    assert calls == [1, 1, 2, 3, 3, 4]


def test_a_dead_letter_goes_to_the_tag_of_the_policy() -> None:
    found: list[SideTag] = []
    for policy in (ErrorPolicy.dead_letter(), ErrorPolicy.dead_letter(SideTag("timeless"))):
        bench = Bench(own, policy)
        bench.ctx.send_side = lambda side, values: found.append(side.tag)
        bench.stamp([None])
    assert found == [DEAD_LETTERS, SideTag("timeless")]


@pytest.mark.parametrize(("value", "said"), [(NOW // 1000, True), (1000, False), (NOW, False)])
def test_seconds_are_questioned_once(value: int, said: bool, caplog: pytest.LogCaptureFixture) -> None:
    """As milliseconds they are days of January 1970, so that all records are in a few windows."""
    bench = Bench(own)
    bench.stamp([value])
    bench.stamp([value])
    expected = (
        f"the timestamps of in look wrong: {value} is 1970-01-21 in milliseconds; in seconds it is 2026-"
    )
    assert [record.getMessage()[: len(expected)] for record in caplog.records] == ([expected] if said else [])


def of_the_source() -> Timestamps:
    """Timestamps without a function."""
    clock = ManualClock(start_ms=NOW)
    ctx = VertexContext(Identity("job", "lineage", 1), 0, 1, clock)
    return Timestamps(WatermarkStrategy.monotonic(), "in", ctx, clock)


def test_a_source_may_bring_its_timestamps() -> None:
    timestamps, batch = of_the_source(), Batch(["a", "b"], [9, 7])
    assert timestamps.stamp(batch) == (batch, 9)
    with pytest.raises(SourceError, match="have no timestamps") as refused:
        timestamps.stamp(Batch(["a"]))
    assert "timestamp=lambda" in str(refused.value.hint)
