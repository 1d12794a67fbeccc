"""A TCP proxy that can cut, stall, reset and slow down what passes, to play a bad network."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Coroutine
from threading import Event, Thread
from types import TracebackType
from typing import Any, Self

CHUNK = 1 << 16  # bytes

Filter = Callable[[bytes], bytes]
"""Takes what arrived in one direction and returns what is passed on now; it may hold bytes back."""


class TcpProxy:
    """Listens on a loopback port and passes bytes to a server and back, until told otherwise.

    It runs an event loop in a thread of its own, `tcp-proxy`. Faults hold for the connections that
    are open and for those to come, until `heal`.

    Args:
        upstream: `(host, port)`, or the path of a Unix socket.
    """

    def __init__(self, upstream: tuple[str, int] | str) -> None:
        self._upstream = upstream
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="tcp-proxy")
        self._connections: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()  # of new connections; each keeps the one it began with
        self._stalled: list[asyncio.Event] = []
        self._latency = 0.0
        self._budget: int | None = None
        self._cut = Event()
        self.port = 0

    def heal(self) -> None:
        """Pass everything, at once."""
        self._call(self._heal())

    def cut_after(self, count: int) -> None:
        """Reset all connections when the server has sent `count` more bytes, and each new one at once."""
        self._call(self._limit(count))

    def blackhole(self) -> None:
        """Pass nothing in either direction, and keep the connections open."""
        self._call(self._stall())

    def forget_connections(self) -> None:
        """Pass nothing on the connections that are open now, and keep them open; new ones are served."""
        self._call(self._forget())

    def slow_down(self, seconds: float) -> None:
        """Hold each chunk for `seconds`."""
        self._call(self._delay(seconds))

    def reset(self) -> None:
        """Reset the connections that are open now."""
        self._call(self._reset())

    def wait_cut(self, timeout: float) -> bool:
        """Wait until `cut_after` has done it; False if it has not within `timeout` seconds."""
        return self._cut.wait(timeout)

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=10)

    async def _listen(self) -> None:
        self._flowing.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _heal(self) -> None:
        self._budget, self._latency = None, 0.0
        self._cut.clear()
        self._flowing.set()
        while self._stalled:
            self._stalled.pop().set()

    async def _limit(self, count: int) -> None:
        self._budget = count

    async def _stall(self) -> None:
        self._flowing.clear()

    async def _forget(self) -> None:
        self._flowing.clear()
        self._stalled.append(self._flowing)
        self._flowing = asyncio.Event()
        self._flowing.set()

    async def _delay(self, seconds: float) -> None:
        self._latency = seconds

    async def _reset(self) -> None:
        for writer in list(self._connections):
            # Closing a socket that lingers for no time sends RST instead of FIN.
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()

    async def _close(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._connections.add(writer)
        try:
            await self._pass_on(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # one side has gone, or the test has ended
        finally:
            writer.transport.abort()
            self._connections.discard(writer)
            self._tasks.discard(task)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        flowing = self._flowing
        await flowing.wait()
        if isinstance(self._upstream, str):
            server = await asyncio.open_unix_connection(self._upstream)
        else:
            server = await asyncio.open_connection(*self._upstream)
        server_reader, server_writer = server
        there, back = self._filters()
        try:
            pumps = (
                asyncio.ensure_future(self._pump(reader, server_writer, there, flowing)),
                asyncio.ensure_future(self._pump(server_reader, writer, back, flowing, counted=True)),
            )
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        finally:
            server_writer.transport.abort()

    def _filters(self) -> tuple[Filter, Filter]:
        """Return what the bytes of a new connection pass through: to the server, and back."""
        return bytes, bytes

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        through: Filter,
        flowing: asyncio.Event,
        *,
        counted: bool = False,
    ) -> None:
        while chunk := await reader.read(CHUNK):
            chunk = through(chunk)
            if self._latency:
                await asyncio.sleep(self._latency)
            await flowing.wait()
            if counted and self._budget is not None:
                chunk = chunk[: self._budget]
                self._budget -= len(chunk)
            writer.write(chunk)
            await writer.drain()
            if counted and self._budget == 0:
                await self._reset()
                self._cut.set()
                return
