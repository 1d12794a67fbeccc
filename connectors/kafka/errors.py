"""The client's errors as ours: what happened, whether a retry can help, what the user can do."""

from __future__ import annotations

from typing import Final, NamedTuple, TypeVar

from confluent_kafka import KafkaError, KafkaException

from connectors.kafka.config import ClientSettings
from pipeline.core.errors import ConfigError, ConnectorError

E = TypeVar("E", bound=ConnectorError)

ANSWER_TIMEOUT: Final = 10.0
"""Seconds the brokers have for an answer; a wait for one can be cancelled."""


class _Verdict(NamedTuple):
    retryable: bool
    hint: str | None = None


_REACH: Final = "check that the brokers run, the address, and what they advertise"
_UNREACHED: Final = _Verdict(True, _REACH)
_CREDENTIALS: Final = _Verdict(
    False, "check security.protocol, sasl.mechanisms, sasl.username and sasl.password"
)
_TLS: Final = _Verdict(False, "check security.protocol, ssl.ca.pem and the broker's certificate")
_TOPIC: Final = _Verdict(False, "create the topic, or correct its name")
_OLD: Final = _Verdict(False, "the broker is too old for this: Kafka 2.5 or newer is needed")

COORDINATOR_MOVES: Final = frozenset(
    {
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
    }
)
"""Errors of a group or a transaction for a while after a broker has started or stopped."""

_BY_CODE: Final[dict[int, _Verdict]] = {
    **dict.fromkeys(COORDINATOR_MOVES, _Verdict(True)),
    KafkaError._ALL_BROKERS_DOWN: _UNREACHED,
    KafkaError._AUTHENTICATION: _CREDENTIALS,
    KafkaError._AUTO_OFFSET_RESET: _Verdict(False, "records that the job has not read were deleted"),
    KafkaError._FENCED: _Verdict(False, "another run of this job writes with the same transactional id"),
    KafkaError._MSG_TIMED_OUT: _UNREACHED,
    KafkaError._RESOLVE: _UNREACHED,
    KafkaError._SSL: _TLS,
    KafkaError._TIMED_OUT: _UNREACHED,
    KafkaError._TRANSPORT: _UNREACHED,
    KafkaError._UNKNOWN_PARTITION: _TOPIC,
    KafkaError._UNKNOWN_TOPIC: _TOPIC,
    KafkaError._UNSUPPORTED_FEATURE: _OLD,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: _Verdict(False, "allow the user IdempotentWrite on the cluster"),
    KafkaError.GROUP_AUTHORIZATION_FAILED: _Verdict(False, "allow the user Read on the group"),
    KafkaError.INVALID_PRODUCER_EPOCH: _Verdict(False, "another run of this job writes with the same id"),
    KafkaError.INVALID_RECORD: _Verdict(
        False, "a compacted topic takes no record without a key: give the sink key="
    ),
    KafkaError.INVALID_TIMESTAMP: _Verdict(
        False,
        "let timestamp= return milliseconds UTC, within the topic's message.timestamp.before.max.ms and "
        "message.timestamp.after.max.ms; check the clocks of this machine and the broker's",
    ),
    KafkaError.INVALID_TRANSACTION_TIMEOUT: _Verdict(
        False, "the broker's transaction.max.timeout.ms is lower: raise it, or lower the job's"
    ),
    KafkaError.MSG_SIZE_TOO_LARGE: _Verdict(False, "raise the topic's max.message.bytes"),
    KafkaError.OFFSET_OUT_OF_RANGE: _Verdict(False, "records that the job has not read were deleted"),
    KafkaError.PRODUCER_FENCED: _Verdict(False, "another run of this job writes with the same id"),
    KafkaError.SASL_AUTHENTICATION_FAILED: _CREDENTIALS,
    KafkaError.TOPIC_AUTHORIZATION_FAILED: _Verdict(
        False, "allow the user Read (a sink: Write) on the topic"
    ),
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: _Verdict(
        False, "allow the user Write and Describe on the transactional id"
    ),
    KafkaError.UNKNOWN_TOPIC_ID: _TOPIC,
    KafkaError.UNKNOWN_TOPIC_OR_PART: _TOPIC,
    KafkaError.UNSUPPORTED_SASL_MECHANISM: _CREDENTIALS,
    KafkaError.UNSUPPORTED_VERSION: _OLD,
}
"""What is known of a code. For others the client's own word counts."""

_REFUSALS: Final = frozenset(
    {KafkaError._AUTHENTICATION, KafkaError._SSL, KafkaError.SASL_AUTHENTICATION_FAILED}
)


def is_refusal(error: KafkaError) -> bool:
    """Say whether what a client reports beside its calls, and tries again for ever, never passes by itself.

    A broker that goes away in the middle of a handshake has refused nothing.
    """
    return error.code() in _REFUSALS and "isconnected" not in error.str()


def kafka_error(kind: type[E], doing: str, error: KafkaError | KafkaException, settings: ClientSettings) -> E:
    """Translate `error`; the caller raises the result from it.

    Args:
        doing: what was tried, as in `cannot {doing}`.
        settings: know the secrets that the message must not show.
    """
    cause: KafkaError = error.args[0] if isinstance(error, KafkaException) else error
    # A transaction that has to be aborted is written again in another one.
    retryable = (cause.retriable() or cause.txn_requires_abort()) and not cause.fatal()
    verdict = _BY_CODE.get(cause.code(), _Verdict(retryable))
    reason = " ".join(settings.redacted(cause.str() or cause.name()).split())
    return kind(f"cannot {doing}: {reason} ({cause.name()})", retryable=verdict.retryable, hint=verdict.hint)


def refusal(kind: type[E], error: KafkaError, settings: ClientSettings) -> E:
    """Translate what `is_refusal` is true of."""
    return kafka_error(kind, f"connect to {settings.servers}", error, settings)


def unanswered(kind: type[E], doing: str, why: str, settings: ClientSettings) -> E:
    """Build the error for a wait that ended without an answer."""
    return kind(f"cannot {doing}: {why} from {settings.servers}", retryable=True, hint=_REACH)


def config_error(error: KafkaException, settings: ClientSettings) -> ConfigError:
    """Translate what a client's constructor raised: an unknown setting, or a wrong value."""
    cause: KafkaError = error.args[0]
    return ConfigError(
        f"the Kafka client rejects its settings: {settings.redacted(cause.str())}",
        hint="the names are librdkafka's: see its CONFIGURATION.md",
    )
