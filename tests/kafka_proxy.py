"""A network that knows Kafka's protocol well enough to answer in a coordinator's place."""

from __future__ import annotations

import struct
from typing import Final

from .tcp_proxy import Filter, TcpProxy

END_TXN: Final = 26
_OFFSET_FETCH: Final = 9
_VERSION: Final = 9  # on which librdkafka 2.16 and Kafka 4.1 agree
_NOT_COORDINATOR: Final = 16


class KafkaProxy(TcpProxy):
    """A `TcpProxy` in front of a broker, in which a group's coordinator can move."""

    def __init__(self, upstream: tuple[str, int]) -> None:
        super().__init__(upstream)
        self._refusals = 0
        self._to_lose: int | None = None

    @property
    def refusals_left(self) -> int:
        """How many of the requests that are to be refused have not come yet."""
        return self._refusals

    def move_coordinator(self, refusals: int) -> None:
        """Answer NOT_COORDINATOR to the next requests for a group's offsets.

        A broker does so while it loads them, which depends on the moment.

        Args:
            refusals: how many requests.
        """
        self._call(self._move(refusals))

    async def _move(self, refusals: int) -> None:
        self._refusals = refusals

    def lose_answer_to(self, request: int) -> None:
        """Reset all connections instead of passing on the next answer to one kind of request.

        Args:
            request: its number in the protocol, such as `END_TXN`.
        """
        self._call(self._lose(request))

    async def _lose(self, request: int) -> None:
        self._to_lose = request

    async def _heal(self) -> None:
        self._refusals = 0
        self._to_lose = None
        await super()._heal()

    def _filters(self) -> tuple[Filter, Filter]:
        groups: dict[int, bytes] = {}  # of the requests for offsets, by their numbers
        to_lose: set[int] = set()  # numbers of requests

        def note(request: bytes) -> bytes:
            key, version, number = struct.unpack_from(">hhi", request)
            if key == _OFFSET_FETCH and version == _VERSION:
                groups[number] = _group(request)
            if key == self._to_lose:
                to_lose.add(number)
            return request

        def refuse(answer: bytes) -> bytes:
            (number,) = struct.unpack_from(">i", answer)
            if number in to_lose:
                self._budget = 0  # of bytes that still pass
            group = groups.pop(number, None)
            if group is None or not self._refusals:
                return answer
            self._refusals -= 1
            return _refusal(number, group)

        return _by_frame(note), _by_frame(refuse)


def _by_frame(change: Filter) -> Filter:
    """Return a filter that changes whole frames of the protocol."""
    held = bytearray()

    def through(chunk: bytes) -> bytes:
        held.extend(chunk)
        passed = bytearray()
        while len(held) >= 4 and len(held) >= (end := 4 + int.from_bytes(held[:4])):
            frame = change(bytes(held[4:end]))
            passed += struct.pack(">i", len(frame)) + frame
            del held[:end]
        return bytes(passed)

    return through


def _group(request: bytes) -> bytes:
    """Return the group that a request asks about, as the protocol writes it: its length + 1, and its name."""
    client_id = int.from_bytes(request[8:10])
    start = 10 + client_id + 2  # the header's tags, and that one group follows
    return request[start : start + request[start]]


def _refusal(number: int, group: bytes) -> bytes:
    tags, throttle_ms, one_group, no_topics = b"\x00", struct.pack(">i", 0), b"\x02", b"\x01"
    error = struct.pack(">h", _NOT_COORDINATOR)
    head = struct.pack(">i", number) + tags
    return head + throttle_ms + one_group + group + no_topics + error + tags + tags
