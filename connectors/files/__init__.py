"""Files as source and as sink: csv and jsonl, read from any record on and written exactly once."""

from connectors.files.rolling import RollingPolicy
from connectors.files.sink import FileSink
from connectors.files.source import FileSource

__all__ = ["FileSink", "FileSource", "RollingPolicy"]
