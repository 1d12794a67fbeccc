"""Sources and sinks that live in this process: for tests, demos and benchmarks."""

from connectors.memory.collect import CollectSink
from connectors.memory.collection import CollectionSource
from connectors.memory.console import ConsoleSink
from connectors.memory.generator import GeneratorSource

__all__ = ["CollectSink", "CollectionSource", "ConsoleSink", "GeneratorSource"]
