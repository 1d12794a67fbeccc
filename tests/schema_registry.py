"""A real Schema Registry for the tests: Apicurio's, which speaks Confluent's API, fetched as Kafka is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from threading import Thread

import pytest

from connectors.kafka.java import OLDEST_JAVA, Artifact, Program, find_java

VERSION = "3.0.9"
PROGRAM = Program(
    f"apicurio-registry-{VERSION}", archive=Artifact("io.apicurio", "apicurio-registry-app", VERSION)
)
API = "/apis/ccompat/v7"
OPTIONS = [
    "-Xmx384m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Dquarkus.http.host=127.0.0.1",
    "-Dquarkus.http.port=0",
    '-Dquarkus.log.category."io.quarkus".level=INFO',  # says which port it got
]


class Registry:
    """Runs a registry on a free loopback port while a `with` block lasts; its schemas are in memory."""

    def __enter__(self) -> Registry:
        java, maven = find_java(), shutil.which("mvn")
        if java is None or (maven is None and not PROGRAM.place.is_dir()):
            pytest.fail(
                f"no Schema Registry can be started: it needs Java {OLDEST_JAVA} and Maven; "
                "or set PIPELINE_TEST_SCHEMA_REGISTRY",
                pytrace=False,
            )
        if maven is not None:
            PROGRAM.fetch(maven)
        jar = next(PROGRAM.place.glob("*-runner.jar"))
        self._process = subprocess.Popen(
            [java, *OPTIONS, "-jar", str(jar)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.port = self._await_port()
        # The pipe has to be read while it lives: it would block once the pipe is full.
        self._drain = Thread(target=self._said.read, name="registry-log", daemon=True)
        self._drain.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()  # at once: it has nothing to keep
        self._process.wait()
        self._drain.join()
        self._said.close()

    def _await_port(self) -> int:
        assert self._process.stdout is not None
        self._said = self._process.stdout
        lines: list[str] = []
        for line in self._said:
            lines.append(line)
            if found := re.search(r"Listening on: http://127\.0\.0\.1:(\d+)", line):
                return int(found[1])
        pytest.fail("the Schema Registry did not start:\n" + "".join(lines), pytrace=False)


@pytest.fixture(scope="session")
def registry() -> Iterator[str]:
    """The URL of a Schema Registry: the one `PIPELINE_TEST_SCHEMA_REGISTRY` names, else one started here."""
    given = os.environ.get("PIPELINE_TEST_SCHEMA_REGISTRY")
    if given:
        yield given
        return
    with Registry() as server:
        yield f"http://127.0.0.1:{server.port}{API}"
