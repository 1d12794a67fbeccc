"""The running reduce of windows."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from functools import partial
from typing import Any

from pipeline.core.policy import ErrorPolicy
from pipeline.core.records import Batch
from pipeline.operators.failure import DROPPED, Failures
from pipeline.operators.window_fold import OpenWindow, Windowing, WindowOperator
from pipeline.spi.operator import OperatorContext
from pipeline.windows.assigners import Window


class WindowReduceOperator(WindowOperator):
    """A key's first record in a window is what the next one is folded into."""

    def __init__(
        self,
        windowing: Windowing,
        window_function: Callable[[Any, Window, Any], Any] | None,
        policy: ErrorPolicy,
        value_type: Any,
        function: Callable[[Any, Any], Any],
    ) -> None:
        super().__init__(windowing, window_function, policy, value_type)
        self._function = function

    def open(self, ctx: OperatorContext) -> None:
        super().open(ctx)
        self._reducing = Failures(self._function, self._policy, ctx.uid, ctx)

    def _fold(
        self, open_window: OpenWindow, keys: Sequence[Any], batch: Batch[Any], starts: Sequence[int]
    ) -> int:
        reduce = self._function
        left = iter(starts)
        current: int | None = None
        state: MutableMapping[Any, Any] = {}
        dropped = 0
        for start, key, value in zip(left, keys, batch.values, strict=True):
            if start != current:
                current, state = start, open_window(start)
            if key in state:
                known = state[key]
                try:
                    value = reduce(known, value)  # noqa: PLW2901 - the name is the quickest place for it
                except Exception as error:  # noqa: BLE001 - whatever the user's function raises
                    again = partial(reduce, known, value)
                    value = self._recover(self._reducing, error, again, batch, left)  # noqa: PLW2901
                    if value is DROPPED:
                        dropped += 1
                        continue
            state[key] = value
        return dropped
