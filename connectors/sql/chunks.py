"""A stream of rows that comes in chunks, and the value in it that Python cannot hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.abc import Transformer
from psycopg.adapt import Transformer as LoadingTransformer
from psycopg.pq import Format
from psycopg.pq.abc import PGresult
from psycopg.rows import TupleRow


@dataclass(frozen=True, slots=True)
class UnloadableValue:
    """A value of a row that could not be loaded.

    Args:
        column: its column.
        reason: what was raised for it.
        row: the values of its row, by column, as far as they can be loaded.
    """

    column: str
    reason: Exception
    row: dict[str, Any]


class ChunkCursor(psycopg.Cursor[TupleRow]):
    """A cursor that can name the value in its stream that could not be loaded.

    Once that has happened, psycopg receives what is left of the stream before it raises, and forgets
    which chunk it was. So chunks are kept here until `forget`: as a rule this is one.
    """

    def __init__(self, connection: psycopg.Connection[TupleRow]) -> None:
        self._chunks: list[PGresult] = []
        super().__init__(connection)

    @property
    def pgresult(self) -> PGresult | None:
        return self._chunks[-1] if self._chunks else None

    @pgresult.setter
    def pgresult(self, result: PGresult | None) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        if result is None:
            self._chunks.clear()
        else:
            self._chunks.append(result)

    def forget(self) -> None:
        """Drop the chunks of which all rows are loaded."""
        del self._chunks[:-1]

    def unloadable(self) -> UnloadableValue | None:
        """Find the first value that cannot be loaded; None if all that is kept can be."""
        transformer: Transformer = LoadingTransformer(self.connection)
        for chunk in self._chunks:
            for row in range(chunk.ntuples):
                found = _unloadable_in(chunk, row, transformer)
                if found is not None:
                    return found
        return None


def _unloadable_in(chunk: PGresult, row: int, transformer: Transformer) -> UnloadableValue | None:
    loaded: dict[str, Any] = {}
    failed: tuple[str, Exception] | None = None
    for column in range(chunk.nfields):
        name = (chunk.fname(column) or b"").decode(errors="replace")
        data = chunk.get_value(row, column)
        loader = transformer.get_loader(chunk.ftype(column), Format(chunk.fformat(column)))
        try:
            loaded[name] = None if data is None else loader.load(data)
        except Exception as error:  # noqa: BLE001 - whatever a loader raises is the answer
            failed = failed or (name, error)
    return None if failed is None else UnloadableValue(*failed, loaded)
