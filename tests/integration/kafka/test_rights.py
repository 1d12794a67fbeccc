"""What a user lacks the right to is named: on a broker that has users and grants them nothing unasked."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin._acl import AclBinding, AclBindingFilter, AclOperation, AclPermissionType
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType

from connectors.kafka.embedded import EmbeddedKafka, Listener
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

    def write(self) -> dict[str, Any]:
        """Write one epoch as that user; return the error, if there is one, and whether a retry helps."""
        writer = [sys.executable, "-m", "tests.integration.kafka.guarded_writer"]
        arguments = [self.broker.address("PASSWORD"), TOPIC, MARKS]
        root = Path(__file__).parents[3]
        done = subprocess.run(
            [*writer, *arguments], cwd=root, check=True, stdout=subprocess.PIPE, text=True, timeout=100
        )
        return json.loads(done.stdout or "{}")


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
    assert guarded.write() == {}
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
    said = guarded.write()
    assert hint in said["error"]
    assert not said["retryable"]
    assert len(read_committed(guarded.broker.address(), TOPIC)) == before
