"""Two scenes at a time: a job that waits for its records and its disk leaves the other one room."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def side_by_side(scene: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Play the scene for each item, two at once; the first failure is raised once both have ended."""
    with ThreadPoolExecutor(2, "scene") as pool:
        try:
            return list(pool.map(scene, items))
        finally:
            pool.shutdown(cancel_futures=True)
