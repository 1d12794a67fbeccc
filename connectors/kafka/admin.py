"""An admin client that is asked questions, and replaced once it has left one unanswered."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from threading import Event, Lock
from typing import Any, Final, NamedTuple, TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from connectors.kafka.config import ClientSettings
from connectors.kafka.errors import config_error, is_refusal, kafka_error, refusal, unanswered
from pipeline.core.errors import ConnectorError

T = TypeVar("T")
K = TypeVar("K")

FIRST_TRY: Final = 3.0
"""Seconds after which a question is asked again by a new client: the first may wait on a dead connection."""

_UNAWAITED: Final = 5.0
"""Seconds for a question that nobody waits for: it is asked again soon."""

_HEAR_EVERY: Final = 0.1  # seconds until a refusal is noticed; an answer is at once


class _Client(NamedTuple):
    """A client, and whether a question to it was not answered."""

    admin: Any  # its futures have no types
    silent: Event


class Admin:
    """Asks on whichever thread calls; a client that is refused permanently ends every wait.

    Args:
        settings: of the client.
        kind: of the errors it raises.
        cancelled: ends every wait when it is done.
        timeout: seconds that the brokers have for an answer.

    Raises:
        ConfigError: the client refuses its settings.
    """

    def __init__(
        self, settings: ClientSettings, kind: type[ConnectorError], cancelled: Future[None], timeout: float
    ) -> None:
        self._settings = settings
        self._kind = kind
        self._cancelled = cancelled
        self._timeout = timeout
        self._refused: Future[KafkaError] = Future()
        self._lock = Lock()
        self._client: _Client | None = self._new_client()
        self._former: _Client | None = None

    def close(self) -> None:
        """End the client; nothing can be asked afterwards."""
        self._client = self._former = None  # they end with their last reference

    def ask(
        self, question: Callable[[Any, float], dict[K, Future[Any]]], timeout: float | None = None
    ) -> dict[K, Future[Any]]:
        """Ask without waiting.

        Args:
            question: calls the client that it is given with the seconds it has, and returns its futures.
            timeout: seconds; default less than the brokers have for an answer that is waited for.
        """
        with self._lock:
            client = self._answering()
            asked = question(client.admin, timeout or min(_UNAWAITED, self._timeout))
        silent = client.silent

        def hear(one: Future[Any]) -> None:  # it refers to no client: it would keep one that is replaced
            if not one.cancelled() and _is_silence(one.exception()):
                silent.set()

        for one in asked.values():
            one.add_done_callback(hear)
        return asked

    def ask_now(self, question: Callable[[Any, float], T]) -> T:
        """Ask what the client waits for by itself."""
        with self._lock:
            client = self._answering()
        return question(client.admin, self._timeout)

    def insist(self, ask: Callable[[float], T]) -> T:
        """Call `ask` with the seconds it has, and once more with a new client if no answer came.

        Raises:
            ConnectorError: the answer is an error, there is none in time, or the wait was cancelled.
        """
        if self._timeout > FIRST_TRY:
            try:
                return ask(FIRST_TRY)
            except ConnectorError as error:
                if not _is_silence(error.__cause__) or self._cancelled.done() or self._refused.done():
                    raise
        return ask(max(self._timeout - FIRST_TRY, FIRST_TRY))

    def result(self, doing: str, asked: Future[Any]) -> Any:
        """Return the answer.

        Args:
            doing: what it is needed for, as in `cannot {doing}`.

        Raises:
            ConnectorError: as `insist` does.
        """
        self._await(asked)
        if asked.done():
            try:
                return asked.result()
            except KafkaException as error:
                raise kafka_error(self._kind, doing, error, self._settings) from error
        if self._refused.done():
            raise refusal(self._kind, self._refused.result(), self._settings)
        if not self._cancelled.done() and self._client is not None:
            self._client.silent.set()
        why = "cancelled" if self._cancelled.done() else f"no answer in {self._timeout:.0f} s"
        raise unanswered(self._kind, doing, why, self._settings)

    def _await(self, asked: Future[Any]) -> None:
        """Return once there is an answer, or no hope for one."""
        waited_for: list[Future[Any]] = [asked, self._refused, self._cancelled]
        deadline = time.monotonic() + self._timeout + 1  # the client gives up by itself before
        while not any(one.done() for one in waited_for) and time.monotonic() < deadline:
            wait(waited_for, _HEAR_EVERY, FIRST_COMPLETED)
            self._poll()

    def _poll(self) -> None:
        client = self._client
        if client is not None:
            client.admin.poll(0)  # else what it reports beside the answers is not heard

    def _answering(self) -> _Client:
        """Return the client, or a new one in place of a silent one."""
        assert self._client is not None, "it is closed"
        if self._client.silent.is_set():
            # Ended here, with the lock held, and not by the thread that brings its last answer. What else
            # it was asked is over when the next one has fallen silent.
            self._former, self._client = self._client, self._new_client()
        return self._client

    def _new_client(self) -> _Client:
        refused = self._refused

        def hear(error: KafkaError) -> None:  # it refers to the future alone: a client keeps its callbacks
            if is_refusal(error) and not refused.done():
                refused.set_result(error)

        try:
            return _Client(AdminClient(self._settings.client({"error_cb": hear})), Event())
        except KafkaException as error:
            raise config_error(error, self._settings) from error


def _is_silence(error: BaseException | None) -> bool:
    """Say whether an error means that nothing was answered, as it seems to a client."""
    return isinstance(error, KafkaException) and error.args[0].code() in (
        KafkaError._TIMED_OUT,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._TRANSPORT,
    )
