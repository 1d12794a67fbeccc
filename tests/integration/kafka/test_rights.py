"""What a user lacks the right to is named: on a broker that has users and grants them nothing unasked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka.admin._acl import AclBinding, AclBindingFilter, AclOperation, AclPermissionType
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType

from connectors import KafkaSink
from connectors.kafka.embedded import EmbeddedKafka, Listener
from pipeline.core.errors import PipelineError
from pipeline.testing.drivers import VerificationSinkContext
from tests.integration.kafka.readers import read_committed
from tests.kafka_broker import TIMEOUT, Topics

PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule required user_job='geheim';"
TOPIC, MARKS = "guarded", "marks"
RIGHTS = {
    "write on the topic": (ResourceType.TOPIC, TOPIC, AclOperation.WRITE),
    "write on the transactional ids": (ResourceType.TRANSACTIONAL_ID, TOPIC, AclOperation.WRITE),
    "read on the group": (ResourceType.GROUP, TOPIC, AclOperation.READ),
    "read on the marks": (ResourceType.TOPIC, MARKS, AclOperation.READ),
}
"""Each with Describe, which they imply."""


class Guarded:
    """A broker on which the user `job` has the rights it is given."""

    def __init__(self, broker: EmbeddedKafka) -> None:
        self.broker = broker
        self.topics = Topics(broker.address())
        self.topics(name=TOPIC)
        self.topics(name=MARKS)

    def allow(self, rights: set[str]) -> None:
        """Give these rights, and take all others."""
        admin = self.topics.admin
        any_: Any = None
        every = AclBindingFilter(
            ResourceType.ANY,
            any_,
            ResourcePatternType.ANY,
            any_,
            any_,
            AclOperation.ANY,
            AclPermissionType.ANY,
        )
        for done in admin.delete_acls([every], request_timeout=TIMEOUT).values():
            done.result(TIMEOUT)
        whom = ("User:job", "*")
        given = [
            AclBinding(kind, name, ResourcePatternType.PREFIXED, *whom, operation, AclPermissionType.ALLOW)
            for kind, name, operation in (RIGHTS[right] for right in rights)
        ]
        for done in admin.create_acls(given, request_timeout=TIMEOUT).values():
            done.result(TIMEOUT)

    def write(self) -> None:
        """Write one epoch as that user."""
        sink = KafkaSink(
            TOPIC,
            bootstrap_servers=self.broker.address("PASSWORD"),
            transactional_id=TOPIC,
            marks_topic=MARKS,
            config={
                "security.protocol": "SASL_PLAINTEXT",
                "sasl.mechanisms": "PLAIN",
                "sasl.username": "job",
                "sasl.password": "geheim",
            },
        )
        try:
            sink.open(VerificationSinkContext())
            sink.recover_and_abort([])
            txn = sink.begin_transaction()
            sink.invoke_batch(txn, range(3), VerificationSinkContext())
            handle = sink.pre_commit(txn)
            assert handle is not None
            sink.commit(handle)
        finally:
            sink.close()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    sasl = {"sasl.enabled.mechanisms": "PLAIN", "plain.sasl.jaas.config": PLAIN}
    settings = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
    }
    listeners = [Listener("PASSWORD", "SASL_PLAINTEXT", settings=sasl)]
    folder = tmp_path_factory.mktemp("guarded") / "broker"
    with EmbeddedKafka(folder, settings=settings, listeners=listeners) as broker:
        yield Guarded(broker)


def test_the_documented_rights_are_enough(guarded: Guarded) -> None:
    guarded.allow(set(RIGHTS))
    before = len(read_committed(guarded.broker.address(), TOPIC))
    guarded.write()
    assert len(read_committed(guarded.broker.address(), TOPIC)) == before + 3


@pytest.mark.parametrize(
    ("right", "hint"),
    [
        ("write on the topic", f"topic {TOPIC}"),
        ("write on the transactional ids", "transactional id"),
        ("read on the group", "Read on the group"),
        ("read on the marks", MARKS),
    ],
)
def test_a_right_that_is_missing_is_named(guarded: Guarded, right: str, hint: str) -> None:
    """Before anything is written, and not to be tried again."""
    guarded.allow(set(RIGHTS) - {right})
    before = len(read_committed(guarded.broker.address(), TOPIC))
    with pytest.raises(PipelineError) as error:
        guarded.write()
    assert hint in str(error.value)
    assert not error.value.retryable
    assert len(read_committed(guarded.broker.address(), TOPIC)) == before
