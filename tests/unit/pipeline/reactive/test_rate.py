"""Events a second, lately."""

from __future__ import annotations

import pytest

from pipeline.reactive.rate import Rate


class TestRate:
    def test_a_steady_stream_has_its_rate(self) -> None:
        now = 0.0
        rate = Rate(lambda: now)
        for _ in range(1000):
            now += 0.01
            rate.add(5)
        assert rate.value == pytest.approx(500, rel=0.02)

    def test_it_halves_in_a_second_of_silence(self) -> None:
        now = 0.0
        rate = Rate(lambda: now)
        rate.add(100)
        before = rate.value
        now = 1.0
        assert rate.value == pytest.approx(before / 2)

    def test_nothing_is_none(self) -> None:
        assert Rate().value == 0
