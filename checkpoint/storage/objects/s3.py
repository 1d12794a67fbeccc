"""Objects on Amazon S3, MinIO, or another server that speaks its protocol."""

from __future__ import annotations

import io
import os
import random
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.credentials.providers import (
    AWSConfigProvider,
    ChainedProvider,
    EnvAWSProvider,
    EnvMinioProvider,
    IamAwsProvider,
    MinioClientConfigProvider,
    Provider,
    StaticProvider,
)
from minio.deleteobjects import DeleteObject
from minio.error import MinioException, S3Error, ServerError

from checkpoint.storage.objects.store import Stored
from pipeline.core.errors import CheckpointError, ConfigError

T = TypeVar("T")

CONNECT_S: Final = 3
ANSWER_S: Final = 10
"""Limits of one try: for the connection, and for each wait for the server's next bytes."""

TRIES: Final = 4
_FIRST_PAUSE_S: Final = 0.2
"""Doubles with each try; half of it is random, so that many jobs do not return at the same moment."""

_TAKEN: Final = 412
_AT_ONCE: Final = 409
"""Two conditional writes of one object at the same time: the loser has to try again."""

_PASSING: Final = frozenset({408, 429, 500, 502, 503, 504, _AT_ONCE})
_REFUSED: Final = frozenset({"AccessDenied", "AllAccessDisabled", "AccountProblem"})
_UNKNOWN: Final = frozenset(
    {
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "InvalidToken",
        "AuthorizationHeaderMalformed",
    }
)


@dataclass(frozen=True, slots=True)
class S3Options:
    """How the server is reached.

    Args:
        endpoint: `http://…` or `https://…`; None for Amazon's.
        region: None to ask the server.
        access_key, secret_key, session_token: None for what the environment has: variables
            `AWS_ACCESS_KEY_ID` or `MINIO_ACCESS_KEY`, the files of `aws` and `mc`, or the machine's role.
    """

    endpoint: str | None = None
    region: str | None = None
    access_key: str | None = None
    secret_key: str | None = None
    session_token: str | None = None

    def __repr__(self) -> str:
        return (
            f"S3Options(endpoint={self.endpoint!r}, region={self.region!r}, access_key={self.access_key!r})"
        )


class S3Store:
    """A bucket; see `checkpoint.storage.objects.store.ObjectStore`.

    Args:
        bucket: must exist.
        options: how the server is reached.

    Raises:
        ConfigError: the endpoint is not a URL.
    """

    def __init__(self, bucket: str, options: S3Options | None = None) -> None:
        options = options or S3Options()
        self._bucket = bucket
        self._http = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=CONNECT_S, read=ANSWER_S),
            retries=False,
            maxsize=8,
            cert_reqs="CERT_REQUIRED",
            ca_certs=os.environ.get("SSL_CERT_FILE"),
        )
        self._client = _client(options, self._http)
        self._closed = threading.Event()

    @property
    def location(self) -> str:
        return f"s3://{self._bucket}"

    def create(self, key: str, data: bytes) -> bool:
        def once() -> bool:
            # The client turns headers that it does not know into metadata, so it signs a URL instead.
            url = self._client.get_presigned_url("PUT", self._bucket, key, timedelta(minutes=5))
            headers = {"If-None-Match": "*", "Content-Type": "application/json"}
            answer = self._http.request("PUT", url, body=data, headers=headers)
            if answer.status == _TAKEN:
                return False
            if answer.status not in {200, 204}:
                raise _Answered(answer.status, answer.data)
            return True

        created = self._tried("create", key, once)
        if created and self.get(key) != data:
            raise self._not_kept(key)
        return created

    def put(self, key: str, data: bytes) -> None:
        def once() -> None:
            self._client.put_object(self._bucket, key, io.BytesIO(data), len(data), part_size=0)

        self._tried("write", key, once)
        stored = self.stat(key)
        if stored is None or stored.size_bytes != len(data):
            raise self._not_kept(key)

    def get(self, key: str) -> bytes | None:
        def once() -> bytes:
            answer = self._client.get_object(self._bucket, key)
            try:
                return answer.read()
            finally:
                answer.close()
                answer.release_conn()

        return self._if_there("read", key, once)

    def stat(self, key: str) -> Stored | None:
        def once() -> Stored:
            found: Any = self._client.stat_object(self._bucket, key)
            now = parsedate_to_datetime(found.metadata["date"])
            age = (now - found.last_modified) // timedelta(milliseconds=1)
            return Stored(found.size, found.etag, max(0, age))

        return self._if_there("look at", key, once)

    def list(self, prefix: str) -> Iterator[str]:
        def once() -> list[str]:
            found = self._client.list_objects(self._bucket, prefix, recursive=True)
            return [one.object_name for one in found if one.object_name is not None]

        yield from self._tried("list", prefix, once)

    def delete(self, keys: Iterable[str]) -> None:
        doomed = list(keys)

        def once() -> None:
            for error in self._client.remove_objects(self._bucket, map(DeleteObject, doomed)):
                raise _Failed(f"{error.code}: {error.message}")

        if doomed:
            self._tried("delete", doomed[0], once)

    def close(self) -> None:
        self._closed.set()
        self._http.clear()

    # --- tries -------------------------------------------------------------------------------------

    def _if_there(self, action: str, key: str, once: Callable[[], T]) -> T | None:
        def found() -> T | None:
            try:
                return once()
            except S3Error as error:
                if error.code in {"NoSuchKey", "NoSuchObject"}:
                    return None
                raise

        return self._tried(action, key, found)

    def _tried(self, action: str, key: str, once: Callable[[], T]) -> T:
        """Make a request until it is answered, or tries are used up, or what it met does not pass."""
        pause = _FIRST_PAUSE_S
        for left in reversed(range(TRIES)):
            try:
                return once()
            except (MinioException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
                failure = self._failure(action, key, error)
                if not failure.retryable or left == 0 or self._closed.wait(pause * random.uniform(0.5, 1)):
                    raise failure from error
                pause *= 2
        raise AssertionError("unreachable")

    def _failure(self, action: str, key: str, error: Exception) -> CheckpointError:
        code = error.code if isinstance(error, S3Error) else ""
        retryable, hint = True, None
        if code in _REFUSED:
            retryable, hint = False, "let this user read, write, list and delete there"
        elif code in _UNKNOWN:
            retryable, hint = False, "check the access key, the secret key and the region"
        elif code == "NoSuchBucket":
            retryable, hint = False, f"create the bucket {self._bucket}, or name another in checkpoint_dir"
        elif isinstance(error, ValueError):  # such as no credentials anywhere, or an impossible bucket name
            retryable = False
        elif (status := _status(error)) is not None:
            retryable = status in _PASSING
        return CheckpointError(
            f"cannot {action} {self.location}/{key}: {_told(error)}", retryable=retryable, hint=hint
        )

    def _not_kept(self, key: str) -> CheckpointError:
        return CheckpointError(f"{self.location}/{key} was written with success and is not there as written")


class _Failed(MinioException):
    """The server could not do a part of what was asked."""


class _Answered(MinioException):
    """The server answered with an error to a request that the client only signed."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"status {status}: {body[:200].decode(errors='replace')}")
        self.status = status


def _status(error: Exception) -> int | None:
    """The HTTP status that an error came with, if it says."""
    if isinstance(error, S3Error):
        return error.response.status
    if isinstance(error, ServerError):
        return error.status_code
    return error.status if isinstance(error, _Answered) else None


def _told(error: Exception) -> str:
    if isinstance(error, S3Error):
        return f"{error.code}: {error.message}"
    return f"{type(error).__name__}: {error}"


def _client(options: S3Options, http: urllib3.PoolManager) -> Minio:
    url = urlsplit(options.endpoint or "https://s3.amazonaws.com")
    if url.scheme not in {"http", "https"} or not url.netloc or url.path not in {"", "/"}:
        raise ConfigError(
            f"the S3 endpoint must be a URL such as https://host:9000, not {options.endpoint!r}"
        )
    return Minio(
        url.netloc,
        secure=url.scheme == "https",
        region=options.region,
        http_client=http,
        credentials=_credentials(options),
    )


def _credentials(options: S3Options) -> Provider:
    if options.access_key is not None:
        if options.secret_key is None:
            raise ConfigError("there is an S3 access key without a secret key")
        return StaticProvider(options.access_key, options.secret_key, options.session_token)
    environment: list[Provider] = [EnvAWSProvider(), EnvMinioProvider()]
    files: list[Provider] = [AWSConfigProvider(), MinioClientConfigProvider()]
    return ChainedProvider([*environment, *files, IamAwsProvider()])
