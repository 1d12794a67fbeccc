"""Where jobs read from and write to; each connector is imported when it is first asked for."""

from __future__ import annotations

from pathlib import Path
from runpy import run_path
from typing import TYPE_CHECKING, Final

run_path(f"{Path(__file__).parents[1]}/pipeline/core/siblings.py")["require_siblings"]()

from pipeline.core.exports import lazy_exports  # noqa: E402 - a module of the user's called `pipeline` is named first

if TYPE_CHECKING:
    from connectors.files.rolling import RollingPolicy
    from connectors.files.sink import FileSink
    from connectors.files.source import FileSource
    from connectors.kafka.sink import KafkaSink
    from connectors.kafka.source import KafkaSource
    from connectors.memory.collect import CollectSink
    from connectors.memory.collection import CollectionSource
    from connectors.memory.console import ConsoleSink
    from connectors.memory.generator import GeneratorSource
    from connectors.sql.source import SqlQuerySource

__all__ = [
    "CollectSink",
    "CollectionSource",
    "ConsoleSink",
    "FileSink",
    "FileSource",
    "GeneratorSource",
    "KafkaSink",
    "KafkaSource",
    "RollingPolicy",
    "SqlQuerySource",
]

_HOMES: Final = {
    "CollectSink": "connectors.memory.collect",
    "CollectionSource": "connectors.memory.collection",
    "ConsoleSink": "connectors.memory.console",
    "FileSink": "connectors.files.sink",
    "FileSource": "connectors.files.source",
    "GeneratorSource": "connectors.memory.generator",
    "KafkaSink": "connectors.kafka.sink",
    "KafkaSource": "connectors.kafka.source",
    "RollingPolicy": "connectors.files.rolling",
    "SqlQuerySource": "connectors.sql.source",
}

__getattr__ = lazy_exports(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__
