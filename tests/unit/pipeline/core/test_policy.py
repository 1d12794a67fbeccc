"""Error policies: what they are made of, and which make no sense."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from pipeline.core.errors import ConfigError
from pipeline.core.policy import DEAD_LETTERS, ErrorPolicy, SideTag

DELAY = timedelta(milliseconds=50)
TAG: SideTag[int] = SideTag("rejected")


@pytest.mark.parametrize(
    ("policy", "kind", "tag", "words"),
    [
        (ErrorPolicy(), "fail", None, "fail"),
        (ErrorPolicy.fail(), "fail", None, "fail"),
        (ErrorPolicy.skip(), "skip", None, "skip"),
        (ErrorPolicy.dead_letter(), "dead_letter", DEAD_LETTERS, "dead-letter"),
        (ErrorPolicy.dead_letter(TAG), "dead_letter", TAG, "dead-letter"),
    ],
)
def test_each_can_follow_repetitions(policy: ErrorPolicy, kind: str, tag: SideTag | None, words: str) -> None:
    """A retry ends as the policy after it says, dead letters to its tag."""
    assert (policy.kind, policy.attempts, policy.tag, policy.describe()) == (kind, 0, tag, words)
    retried = ErrorPolicy.retry(3, DELAY, then=policy)
    assert (retried.kind, retried.attempts, retried.delay, retried.tag) == (kind, 3, DELAY, tag)
    assert retried.describe() == f"retry 3×, then {words}"


def test_a_retry_fails_in_the_end_unless_told_otherwise() -> None:
    assert ErrorPolicy.retry(1) == ErrorPolicy("fail", attempts=1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ErrorPolicy.retry(0), "ErrorPolicy.retry: attempts must be at least 1, not 0"),
        (lambda: ErrorPolicy.retry(1, -DELAY), "ErrorPolicy.retry: delay must be at least 0 s, not -0.05 s"),
        (
            lambda: ErrorPolicy.retry(2, then=ErrorPolicy.retry(3, then=ErrorPolicy.skip())),
            "ErrorPolicy.retry: then must be fail, skip or dead_letter, not retry 3×, then skip",
        ),
        (
            lambda: ErrorPolicy.retry(2.5),  # pyright: ignore[reportArgumentType]
            "ErrorPolicy.retry: attempts must be a whole number, not 2.5",
        ),
        (
            lambda: ErrorPolicy.retry(2, 0.5),  # pyright: ignore[reportArgumentType]
            "ErrorPolicy.retry: delay must be a timedelta, not 0.5 — write timedelta(seconds=1), for example",
        ),
        (
            lambda: ErrorPolicy.retry(2, then="skip"),  # pyright: ignore[reportArgumentType]
            "ErrorPolicy.retry: then must be an ErrorPolicy, not 'skip' — such as ErrorPolicy.skip()",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(make: Callable[[], ErrorPolicy], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        make()
    assert str(raised.value) == message


def test_tags_of_one_name_are_one_side_output() -> None:
    """Also one that says its type: the writer and the reader may each make their own."""
    assert SideTag[int]("rejected") == TAG
    assert len({SideTag("rejected"), TAG, SideTag("late")}) == 2
