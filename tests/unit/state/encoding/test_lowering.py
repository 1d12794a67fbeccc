"""Taking values apart: how deep, what stays plain, who is named when it fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.core.errors import EncodingError
from state.encoding import Codec, from_json, to_json
from state.encoding.lowering import MAX_DEPTH, fits_64_bits, is_utf8, naming
from tests.unit.state.values import picture

codec = Codec("x")


def nested(depth: int, wrap: Callable[[Any], Any]) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = wrap(value)
    return value


@pytest.mark.parametrize(
    ("wrap", "levels"),
    [(lambda v: [v], 1), (lambda v: {"a": v}, 1), (lambda v: (v,), 2), (lambda v: {(1,): v}, 3)],
    ids=["list", "dict", "tuple", "dict of pairs"],
)
def test_as_deep_as_promised_and_no_deeper(wrap: Callable[[Any], Any], levels: int) -> None:
    """What is stored is also read; one level more is refused when it is written."""
    deepest = MAX_DEPTH // levels
    value = nested(deepest, wrap)
    assert picture(codec.decode(codec.encode(value))) == picture(value)
    assert picture(from_json(to_json(value))) == picture(value)
    for encode in (codec.encode, to_json):
        with pytest.raises(EncodingError, match="nested more than 128 levels deep"):
            encode(nested(deepest + 1, wrap))


@pytest.mark.parametrize(
    ("value", "fits"), [(-(2**63), True), (-(2**63) - 1, False), (2**64 - 1, True), (2**64, False)]
)
def test_64_bits(value: int, fits: bool) -> None:
    assert fits_64_bits(value) is fits


@pytest.mark.parametrize(
    ("value", "fine"), [("", True), ("aß𝄞", True), ("a\udc80", False), ("ß\ud800", False)]
)
def test_lone_surrogates(value: str, fine: bool) -> None:
    assert is_utf8(value) is fine


def test_an_error_begins_with_whose_value_it_is_and_keeps_its_hint() -> None:
    with pytest.raises(EncodingError, match=r"^position: no — do this$") as named, naming("position", "deed"):
        raise EncodingError("no", hint="do this")
    assert isinstance(named.value.__cause__, EncodingError)


def test_other_errors_say_what_was_being_done() -> None:
    with (
        pytest.raises(EncodingError, match=r"^position: it cannot be read: KeyError: 1$") as named,
        naming("position", "it cannot be read"),
    ):
        raise KeyError(1)
    assert isinstance(named.value.__cause__, KeyError)
