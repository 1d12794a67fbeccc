"""The records the benchmarks work on: made once, the same in every run."""

from __future__ import annotations

import random
from typing import Any

Event = dict[str, Any]


def events(count: int, keys: int = 1000, seed: int = 7) -> list[Event]:
    """Return `count` events of `keys` users, amounts 1 to 999, in the order of their time."""
    rng = random.Random(seed)
    time = 0
    made: list[Event] = []
    for number in range(count):
        time += rng.randrange(0, 20)
        made.append(
            {"id": number, "user": f"u{rng.randrange(keys)}", "ts": time, "amount": rng.randrange(1, 1000)}
        )
    return made
