"""A job whose process gets a SIGTERM while the interpreter takes itself apart."""

from __future__ import annotations

import os
import signal
from functools import partial

from connectors import CollectionSource, CollectSink
from pipeline import StreamJob


class Last:
    """Ends with its module, when Python has already taken its own signal handlers away."""

    def __init__(self) -> None:
        self._signal_us = partial(os.kill, os.getpid(), signal.SIGTERM)

    def __del__(self) -> None:
        self._signal_us()


last = Last()
job = StreamJob.builder().name("signalled").source(CollectionSource([1])).sink(CollectSink()).build()
