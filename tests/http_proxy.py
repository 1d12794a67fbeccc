"""A network in front of an HTTP server that answers wrongly, late, by halves or not at all."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Rule = Callable[[str, str], "str | int | None"]
"""Says what becomes of a request, by method and path: None lets it through, a number is the status that
it is answered with instead; `hang` keeps the answer back until the proxy closes, `cut` ends the connection
amid the request, `lose` amid the answer, `pretend` answers with success and drops the request."""


class HttpProxy:
    """Forwards to a server while a `with` block lasts.

    Args:
        upstream: host and port of the server.
    """

    def __init__(self, upstream: str) -> None:
        self.rule: Rule = lambda method, path: None
        self.faults: list[str] = []
        self._upstream = upstream
        self._closed = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name it is called by
                """Say nothing."""

        for method in ("GET", "PUT", "POST", "HEAD", "DELETE"):
            setattr(Handler, f"do_{method}", self._handle_any)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="http-proxy", daemon=True)

    @property
    def address(self) -> str:
        host, port = self._server.server_address[:2]
        return f"{host!s}:{port}"

    def __enter__(self) -> HttpProxy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def _handle_any(self) -> Callable[[BaseHTTPRequestHandler], None]:
        def handle(request: BaseHTTPRequestHandler) -> None:
            self._handle(request)

        return handle

    def _handle(self, request: BaseHTTPRequestHandler) -> None:
        fault = self.rule(request.command, request.path)
        if fault is not None:
            self.faults.append(f"{fault} {request.command} {request.path.partition('?')[0]}")
        length = int(request.headers.get("Content-Length") or 0)
        if fault == "cut":
            request.rfile.read(length // 2)
            request.close_connection = True
            request.connection.close()
            return
        body = request.rfile.read(length)
        if fault == "hang":
            self._closed.wait()
            request.close_connection = True
        elif isinstance(fault, int):
            _answer(request, fault, {}, b"")
        elif fault == "pretend":
            _answer(request, 200, {"ETag": '"0"'}, b"")
        else:
            self._forward(request, body, lost=fault == "lose")

    def _forward(self, request: BaseHTTPRequestHandler, body: bytes, *, lost: bool) -> None:
        upstream = http.client.HTTPConnection(self._upstream, timeout=30)
        try:
            headers = dict(request.headers)
            upstream.putrequest(request.command, request.path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                upstream.putheader(name, value)
            upstream.endheaders(body)
            answer = upstream.getresponse()
            data = answer.read()
            if lost:
                request.close_connection = True
                request.connection.close()
                return
            _answer(request, answer.status, dict(answer.headers), data)
        finally:
            upstream.close()


def _answer(request: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes) -> None:
    request.send_response_only(status)
    for name, value in headers.items():
        if name.lower() not in {"transfer-encoding", "connection", "content-length"}:
            request.send_header(name, value)
    length = headers.get("Content-Length") if request.command == "HEAD" else None
    request.send_header("Content-Length", length or str(len(body)))
    request.end_headers()
    if request.command != "HEAD":
        request.wfile.write(body)
