"""More lines than a pipe holds, on the standard output."""

from __future__ import annotations

from connectors import CollectionSource, ConsoleSink
from pipeline import StreamJob

job = StreamJob.builder().name("printed").source(CollectionSource(range(100_000))).sink(ConsoleSink()).build()
