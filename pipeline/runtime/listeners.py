"""The listeners of a run: none of them can disturb it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from pipeline.runtime.events import JobEvent

Listener = Callable[[JobEvent], None]

_log = logging.getLogger(__name__)


class Listeners:
    """Calls each listener with each event, on the job's thread; what one raises is logged."""

    def __init__(self, listeners: Iterable[Listener] = ()) -> None:
        self._listeners = tuple(listeners)

    def __call__(self, event: JobEvent) -> None:
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:  # noqa: BLE001 - whatever it raises, the job runs on
                _log.exception("a listener failed on %s", type(event).__name__)
