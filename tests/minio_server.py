"""A real S3 server for tests and benchmarks: MinIO, which `tools/minio` builds from its source."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from minio import Minio

from checkpoint.storage.objects.s3 import S3Options, S3Store
from pipeline.core.errors import ConfigError

PROGRAMS = Path.home() / ".cache" / "pipeline" / "go"
ACCESS_KEY, SECRET_KEY = "pipeline", "pipeline-tests"

_numbers = itertools.count()


@dataclass(frozen=True)
class S3Server:
    """A server, and how it is reached.

    Args:
        endpoint: its URL.
        access_key, secret_key: of a user who may do everything.
    """

    endpoint: str
    access_key: str
    secret_key: str

    @property
    def options(self) -> S3Options:
        return S3Options(self.endpoint, "us-east-1", self.access_key, self.secret_key)

    @property
    def environment(self) -> dict[str, str]:
        """What a job finds it by."""
        return {
            "PIPELINE_S3_ENDPOINT": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
        }

    def new_bucket(self) -> str:
        """Create a new bucket."""
        name = f"test-{os.getpid()}-{next(_numbers)}"
        host = self.endpoint.partition("://")[2]
        client = Minio(host, self.access_key, self.secret_key, secure=self.endpoint.startswith("https"))
        client.make_bucket(name)
        return name

    def open(self, bucket: str) -> S3Store:
        """A store of its own, as another process has it."""
        return S3Store(bucket, self.options)


class MinioProcess:
    """Runs MinIO on a free loopback port while a `with` block lasts.

    Args:
        folder: for its data.

    Raises:
        ConfigError: it is not there and cannot be built, or does not start.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> S3Server:
        environment = {
            **os.environ,
            "MINIO_ROOT_USER": ACCESS_KEY,
            "MINIO_ROOT_PASSWORD": SECRET_KEY,
            "MINIO_BROWSER": "off",
        }
        program = _program()
        # It takes no port 0, so two may want the same one: the loser says so and another is tried.
        for _ in range(5):
            with socket.create_server(("127.0.0.1", 0)) as taken:
                port = taken.getsockname()[1]
            self._process = subprocess.Popen(
                [program, "server", "--address", f"127.0.0.1:{port}", str(self._folder)],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            if self._is_up():
                return S3Server(f"http://127.0.0.1:{port}", ACCESS_KEY, SECRET_KEY)
        raise ConfigError(f"MinIO did not start: {''.join(self._lines)}")

    def __exit__(self, *_: object) -> None:
        self._process.kill()  # at once: it has nothing to keep
        self._process.wait()
        self._drain.join()
        self._said.close()

    def _is_up(self) -> bool:
        assert self._process.stdout is not None
        self._said = self._process.stdout
        self._lines: list[str] = []
        for line in self._said:
            self._lines.append(line)
            if re.search(r"^API: ", line):
                # The pipe has to be read while it lives: it would block once the pipe is full.
                self._drain = Thread(target=self._said.read, name="minio-log", daemon=True)
                self._drain.start()
                return True
        self._process.wait()
        self._said.close()
        return False


def _program() -> str:
    found = shutil.which("minio") or shutil.which("minio", path=PROGRAMS)
    if found is not None:
        return found
    raise ConfigError(
        "no S3 server can be started: run tools/minio, which builds MinIO with Go 1.24; or set "
        "PIPELINE_TEST_S3, PIPELINE_TEST_S3_ACCESS_KEY and PIPELINE_TEST_S3_SECRET_KEY"
    )
