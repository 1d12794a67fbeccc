"""What a job may tell its Kafka client, and what nobody gets to see of it."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from connectors.kafka.config import BOOTSTRAP_VARIABLE, FILE_VARIABLE, ClientConfig, ClientSettings
from connectors.kafka.errors import config_error, is_refusal, kafka_error
from pipeline.core.errors import ConfigError, SourceError


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(BOOTSTRAP_VARIABLE, raising=False)
    monkeypatch.delenv(FILE_VARIABLE, raising=False)


def config(given: dict[str, str] | None = None, servers: str | None = "here:1") -> ClientConfig:
    return ClientConfig(
        servers, given, owned={"isolation.level": "isolation="}, defaults={"fetch.min.bytes": 1}
    )


REFUSED = [
    "plugin.library.paths",
    "ssl.engine.location",
    "ssl.engine.id",
    "ssl.providers",
    "ssl.ca.location",
    "ssl.key.location",
    "ssl.certificate.location",
    "ssl.crl.location",
    "ssl.keystore.location",
    "https.ca.location",
    "sasl.kerberos.keytab",
    "sasl.kerberos.kinit.cmd",
    "sasl.oauthbearer.token.endpoint.url",
    "sasl.oauthbearer.assertion.private.key.file",
    "sasl.oauthbearer.config",
    "sasl.oauthbearer.metadata.authentication.type",
]


@pytest.mark.parametrize("key", REFUSED)
def test_a_job_cannot_use_the_rights_of_the_machine(key: str) -> None:
    with pytest.raises(ConfigError, match="a job may not set"):
        config({key: "/etc/passwd"})


@pytest.mark.parametrize("key", ["bootstrap.servers", "error_cb", "isolation.level"])
def test_what_the_engine_rests_on_is_not_for_config(key: str) -> None:
    with pytest.raises(ConfigError, match="belongs to the engine"):
        config({key: "anything"})


@pytest.mark.parametrize(
    ("key", "value"),
    [("enable.ssl.certificate.verification", "False"), ("ssl.endpoint.identification.algorithm", "none")],
)
def test_a_job_cannot_switch_off_the_verification_of_certificates(key: str, value: str) -> None:
    with pytest.raises(ConfigError, match="may not switch off"):
        config({key: value})


def test_tls_and_sasl_are_for_a_job_to_set() -> None:
    given = {
        "security.protocol": "SASL_SSL",
        "sasl.mechanisms": "SCRAM-SHA-512",
        "sasl.username": "job",
        "sasl.password": "geheim",
        "ssl.ca.pem": "-----BEGIN",
        "ssl.endpoint.identification.algorithm": "https",
    }
    assert config(given).resolve().client().items() >= given.items()


def test_a_value_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="must be text, a number or a bool, not builtin_function"):
        config({"stats_cb": print})  # pyright: ignore[reportArgumentType] - what the test is about


def test_job_over_machine_over_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And the machine's file may set what a job may not, except what belongs to the engine."""
    file = tmp_path / "kafka.properties"
    file.write_text("# TLS\nssl.ca.location = /etc/ca.pem\nfetch.min.bytes=2\nclient.id=machine\n\n")
    monkeypatch.setenv(FILE_VARIABLE, str(file))
    found = config({"client.id": "job"}).resolve().client({"isolation.level": "read_committed"})
    assert found["ssl.ca.location"] == "/etc/ca.pem"
    assert found["fetch.min.bytes"] == "2"
    assert found["client.id"] == "job"
    assert found["isolation.level"] == "read_committed"
    file.write_text("isolation.level=read_uncommitted")
    with pytest.raises(ConfigError, match="belongs to the engine"):
        config().resolve()


def test_a_broken_file_is_named_without_what_it_holds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "kafka.properties"
    file.write_text("client.id=a\nsasl.password geheim\n")
    monkeypatch.setenv(FILE_VARIABLE, str(file))
    with pytest.raises(ConfigError, match=r"kafka\.properties:2: expected key=value") as caught:
        config().resolve()
    assert "geheim" not in str(caught.value)
    file.unlink()
    with pytest.raises(ConfigError, match="cannot read"):
        config().resolve()


def test_brokers_from_the_job_then_the_file_then_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(
        ConfigError, match=f"expected bootstrap_servers= or the variable {BOOTSTRAP_VARIABLE}"
    ):
        config(servers=None).resolve()
    monkeypatch.setenv(BOOTSTRAP_VARIABLE, "environment:1")
    assert config(servers=None).resolve().servers == "environment:1"
    file = tmp_path / "kafka.properties"
    file.write_text("bootstrap.servers=file:1")
    monkeypatch.setenv(FILE_VARIABLE, str(file))
    assert config(servers=None).resolve().servers == "file:1"
    assert config(servers="job:1").resolve().servers == "job:1"


def test_secrets_are_in_no_text() -> None:
    given = {"sasl.password": "geheim", "ssl.key.pem": "-----BEGIN KEY", "sasl.username": "job"}
    settings = config(given).resolve()
    for text in (repr(config(given)), repr(settings), settings.redacted("no user with geheim")):
        assert "geheim" not in text
        assert "BEGIN KEY" not in text
    assert "job" in repr(settings)


def test_an_unknown_setting_is_the_configurations_fault() -> None:
    settings = config({"no.such.setting": "1"}).resolve()
    with pytest.raises(KafkaException) as caught:
        Producer(settings.client())
    error = config_error(caught.value, settings)
    assert "no.such.setting" in str(error)


SETTINGS = ClientSettings({"bootstrap.servers": "here:1", "sasl.password": "geheim"})


def test_an_error_says_what_was_tried_and_whether_trying_again_helps() -> None:
    error = kafka_error(SourceError, "read events", KafkaError(KafkaError._AUTHENTICATION), SETTINGS)
    assert "cannot read events" in str(error)
    assert "sasl.password" in str(error)  # the hint
    assert not error.retryable
    assert kafka_error(SourceError, "read", KafkaError(KafkaError._TRANSPORT), SETTINGS).retryable
    assert pickle.loads(pickle.dumps(error)).hint == error.hint


def test_a_fatal_error_is_not_tried_again_and_repeats_no_secret() -> None:
    cause = KafkaError(KafkaError.UNKNOWN, "wrong\n password geheim", fatal=True)
    error = kafka_error(SourceError, "read", KafkaException(cause), SETTINGS)
    assert not error.retryable
    assert "wrong password ***" in str(error)


@pytest.mark.parametrize(
    ("code", "text", "refusal"),
    [
        (KafkaError._SSL, "SSL handshake failed: certificate verify failed", True),
        (KafkaError._SSL, "SSL handshake failed: Disconnected: connecting to a PLAINTEXT listener?", False),
        (KafkaError._AUTHENTICATION, "SASL authentication error: Invalid username or password", True),
        (KafkaError._AUTHENTICATION, "Broker disconnected during SASL handshake", False),
        (KafkaError._TRANSPORT, "Connection refused", False),
    ],
)
def test_a_broker_that_goes_away_has_refused_nothing(code: int, text: str, refusal: bool) -> None:
    assert is_refusal(KafkaError(code, text)) is refusal
