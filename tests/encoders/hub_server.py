"""A loopback stand-in for the Hugging Face hub, with faults to choose from."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Say nothing of clients that hang up: some tests do."""


class HubServer:
    """Serves ``files`` at ``/<repo>/resolve/main/<name>``, redirecting to a store."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.status = 0  # answered instead of any file
        self.cut_after = -1  # bytes sent before the line goes dead
        self.stated_sha256: str | None = None  # instead of the true one
        self.stated_size = 0  # instead of the true one
        self.knows_ranges = True
        self.page = b""  # sent instead of whatever is asked for
        self.silent = False  # the store takes the call and says nothing
        self.drips = False  # the store sends a byte now and then
        self.closing = threading.Event()
        self.requests: list[tuple[str, dict[str, str]]] = []
        self._server = _Quiet(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        # Where files are redirected to: another host, as with the true hub.
        self.store = f"http://localhost:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )

    def __enter__(self) -> HubServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def ranges(self) -> list[str]:
        """Return the Range headers that the store was asked with."""
        asked = [headers for path, headers in self.requests if "/store/" in path]
        return [headers["range"] for headers in asked if "range" in headers]

    def _handler(hub) -> Any:  # noqa: N805 - the handler needs both selves
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                """Keep the tests' output clean."""

            def do_HEAD(self) -> None:
                self.do_GET()

            def do_GET(self) -> None:
                headers = {k.lower(): v for k, v in self.headers.items()}
                hub.requests.append((self.path, headers))
                key = self.path.replace("/store/", "/", 1).lstrip("/")
                body = hub.files.get(key)
                if hub.page:
                    self._answer(200, len(hub.page), {"Content-Type": "text/html"})
                    if self.command == "GET":
                        self.wfile.write(hub.page)
                elif hub.status or body is None:
                    self._answer(hub.status or 404, 0, {})
                elif self.path.startswith("/store/"):
                    self._send(body, headers.get("range", ""))
                else:
                    self._redirect(body)

            def _answer(self, status: int, size: int, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(size))
                self.end_headers()

            def _redirect(self, body: bytes) -> None:
                digest = hub.stated_sha256 or hashlib.sha256(body).hexdigest()
                about = {
                    "Location": f"{hub.store}/store{self.path}",
                    "X-Linked-ETag": f'"{digest}"',
                    "X-Linked-Size": str(hub.stated_size or len(body)),
                }
                self._answer(302, 0, about)

            def _send(self, body: bytes, asked: str) -> None:
                begin = 0
                if asked and hub.knows_ranges:
                    begin = int(asked.removeprefix("bytes=").rstrip("-"))
                if hub.silent:
                    hub.closing.wait()
                    return
                self._answer(206 if begin else 200, len(body) - begin, {})
                end = len(body) if hub.cut_after < 0 else begin + hub.cut_after
                while hub.drips and not hub.closing.wait(0.02) and begin < end:
                    self.wfile.write(body[begin : begin + 1])
                    begin += 1
                self.wfile.write(body[begin:end])
                if end < len(body):
                    self.close_connection = True

        return Handler
