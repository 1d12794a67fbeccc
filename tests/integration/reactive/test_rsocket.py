"""Demand across a network and into somebody else's code: RSocket's Python client and server, on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from reactivestreams.publisher import Publisher
from rsocket.helpers import single_transport_provider
from rsocket.payload import Payload
from rsocket.request_handler import BaseRequestHandler
from rsocket.rsocket_client import RSocketClient
from rsocket.rsocket_server import RSocketServer
from rsocket.transports.tcp import TransportTCP

from pipeline import reactive
from pipeline.reactive import Flux, limit_rate, take
from pipeline.testing import AssertSubscriber, TestPublisher

SECONDS = 10


class Served(Publisher):
    """A Flux of bytes as RSocket's Publisher."""

    def __init__(self, flux: Flux[bytes]) -> None:
        self.flux = flux

    def subscribe(self, subscriber: Any) -> None:
        self.flux.subscribe(_Foreign(subscriber))  # pyright: ignore[reportArgumentType]


class _Foreign:
    """RSocket's Subscriber as one of ours: it says on_complete, and wraps records."""

    def __init__(self, subscriber: Any) -> None:
        self.on_subscribe = subscriber.on_subscribe
        self.on_error = subscriber.on_error
        self.on_completed = subscriber.on_complete
        self._subscriber = subscriber

    def on_next(self, value: bytes) -> None:
        self._subscriber.on_next(Payload(value))


def received(request: Callable[[], Any]) -> Flux[bytes]:
    """Make a Flux of RSocket's Publisher, which wants to know the first demand when it is subscribed."""
    return Flux(lambda subscriber: subscriber.on_subscribe(_Requester(request(), subscriber)))


class _Requester:
    """To our subscriber the subscription, to RSocket's publisher the subscriber."""

    def __init__(self, publisher: Any, subscriber: Any) -> None:
        self._publisher = publisher
        self._subscriber = subscriber
        self._subscribed = False

    def request(self, n: int) -> None:
        if self._subscribed:
            self._publisher.request(n)
        else:
            self._subscribed = True
            self._publisher.initial_request_n(n).subscribe(self)

    def cancel(self) -> None:
        self._publisher.cancel()

    def on_subscribe(self, subscription: Any) -> None: ...

    def on_next(self, value: Payload, is_complete: bool = False) -> None:
        assert value.data is not None
        self._subscriber.on_next(bytes(value.data))
        if is_complete:
            self._subscriber.on_completed()

    def on_error(self, exception: Exception) -> None:
        self._subscriber.on_error(exception)

    def on_complete(self) -> None:
        self._subscriber.on_completed()


@asynccontextmanager
async def client_of(flux: Flux[bytes]) -> AsyncGenerator[RSocketClient]:
    """Serve a Flux and connect to it."""

    class Handler(BaseRequestHandler):
        async def request_stream(self, payload: Payload) -> Publisher:
            return Served(flux)

    servers: list[RSocketServer] = []

    def accept(*streams: Any) -> None:
        servers.append(RSocketServer(TransportTCP(*streams), handler_factory=Handler))

    listening = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        connection = await asyncio.open_connection(*listening.sockets[0].getsockname())
        async with RSocketClient(single_transport_provider(TransportTCP(*connection))) as client:
            yield client
        for server in servers:
            await server.close()
    finally:
        listening.close()
        await listening.wait_closed()


class Awaited(AssertSubscriber[bytes]):
    """Says in the event loop when it has heard enough."""

    def __init__(self, n: int, values: int | None = None) -> None:
        super().__init__(n)
        self.enough = asyncio.Event()
        self._values_enough = values

    def on_next(self, value: bytes) -> None:
        super().on_next(value)
        if len(self.values) == self._values_enough:
            self.enough.set()

    def on_error(self, error: Exception) -> None:
        super().on_error(error)
        self.enough.set()

    def on_completed(self) -> None:
        super().on_completed()
        self.enough.set()

    async def heard(self) -> Awaited:
        await asyncio.wait_for(self.enough.wait(), SECONDS)
        return self


def numbers(count: int) -> TestPublisher[int]:
    return TestPublisher[int].create_cold().emit(*range(1, count + 1))


def encoded(publisher: TestPublisher[int]) -> Flux[bytes]:
    return publisher.pipe(reactive.map(lambda number: b"%d" % number))


def test_records_cross_the_network_as_they_are_asked_for() -> None:
    """The 75 % rule of the client is what the server's publisher is asked for, over RSocket's frames."""
    publisher = numbers(22)

    async def scenario() -> Awaited:
        async with client_of(encoded(publisher)) as client:
            subscriber = Awaited(100)
            stream = received(lambda: client.request_stream(Payload(b"")))
            stream.pipe(reactive.map(int), limit_rate(8)).subscribe(subscriber)  # pyright: ignore[reportArgumentType]
            return await subscriber.heard()

    subscriber = asyncio.run(scenario())
    subscriber.assert_values(*range(1, 23)).assert_complete()  # pyright: ignore[reportArgumentType]
    assert publisher.requests == [8, 6, 6, 6]
    publisher.assert_no_request_overflow()


def test_nothing_comes_that_was_not_asked_for() -> None:
    """The server's publisher has more, and keeps it until the client asks again."""
    publisher = numbers(20)

    async def scenario() -> None:
        async with client_of(encoded(publisher)) as client:
            subscriber = Awaited(3, values=3)
            received(lambda: client.request_stream(Payload(b""))).subscribe(subscriber)  # pyright: ignore[reportArgumentType]
            await subscriber.heard()
            assert publisher.requests == [3]
            subscriber.enough = asyncio.Event()
            subscriber._values_enough = 5
            subscriber.request(2)
            await subscriber.heard()
            assert publisher.requests == [3, 2]
            subscriber.assert_values(b"1", b"2", b"3", b"4", b"5").assert_not_terminated()

    asyncio.run(scenario())


def test_a_cancel_reaches_the_publisher_on_the_other_side() -> None:
    left = asyncio.Event()

    class Noticing(TestPublisher[int]):
        def leave(self, subscription: Any) -> None:
            super().leave(subscription)
            left.set()

    publisher = Noticing.create_cold().emit(*range(1, 21))

    async def scenario() -> None:
        async with client_of(encoded(publisher)) as client:
            subscriber = Awaited(5)
            received(lambda: client.request_stream(Payload(b""))).pipe(take(1)).subscribe(subscriber)  # pyright: ignore[reportArgumentType]
            (await subscriber.heard()).assert_values(b"1").assert_complete()
            await asyncio.wait_for(left.wait(), SECONDS)

    asyncio.run(scenario())
    publisher.assert_cancelled()


def test_an_error_crosses_too() -> None:
    async def scenario() -> Awaited:
        async with client_of(encoded(TestPublisher[int]().error(RuntimeError("of the test")))) as client:
            subscriber = Awaited(5)
            received(lambda: client.request_stream(Payload(b""))).subscribe(subscriber)  # pyright: ignore[reportArgumentType]
            return await subscriber.heard()

    asyncio.run(scenario()).assert_no_values().assert_error(match="of the test")


@pytest.mark.parametrize("n", [1, 2**31 - 1])
def test_each_demand_that_its_frames_can_carry_arrives(n: int) -> None:
    """31 bits on the wire: more than that is for the bridge to cut."""
    publisher = numbers(3)

    async def scenario() -> None:
        async with client_of(encoded(publisher)) as client:
            subscriber = Awaited(n, values=min(n, 3))
            received(lambda: client.request_stream(Payload(b""))).subscribe(subscriber)  # pyright: ignore[reportArgumentType]
            await subscriber.heard()

    asyncio.run(scenario())
    assert publisher.requests == [n]
