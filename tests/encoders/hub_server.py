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
        self.names_hash = True
        self.stated_size = 0  # told without a hash
        self.knows_ranges = True
        self.requests: list[tuple[str, dict[str, str]]] = []
        self._server = _Quiet(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> HubServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
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

            def do_GET(self) -> None:
                headers = {k.lower(): v for k, v in self.headers.items()}
                hub.requests.append((self.path, headers))
                key = self.path.replace("/store/", "/", 1).lstrip("/")
                body = hub.files.get(key)
                if hub.status or body is None:
                    self.send_response(hub.status or 404)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                elif self.path.startswith("/store/"):
                    self._send(body, headers.get("range", ""))
                else:
                    self._redirect(body)

            def _redirect(self, body: bytes) -> None:
                self.send_response(302)
                self.send_header("Location", f"{hub.url}/store{self.path}")
                if hub.names_hash:
                    digest = hub.stated_sha256 or hashlib.sha256(body).hexdigest()
                    self.send_header("X-Linked-ETag", f'"{digest}"')
                    self.send_header("X-Linked-Size", str(len(body)))
                elif hub.stated_size:
                    self.send_header("X-Linked-Size", str(hub.stated_size))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def _send(self, body: bytes, asked: str) -> None:
                begin = 0
                if asked and hub.knows_ranges:
                    begin = int(asked.removeprefix("bytes=").rstrip("-"))
                self.send_response(206 if begin else 200)
                self.send_header("Content-Length", str(len(body) - begin))
                self.end_headers()
                end = len(body) if hub.cut_after < 0 else begin + hub.cut_after
                self.wfile.write(body[begin:end])
                if end < len(body):
                    self.close_connection = True

        return Handler
