"""Serves a worker's metrics from its main process, to those who have the token."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from prometheus_client.exposition import CONTENT_TYPE_LATEST

from number_orders.receiver.bearer import is_token


class MetricsServer(AbstractContextManager["MetricsServer"]):
    """Answers `GET /metrics` in threads of its own."""

    def __init__(self, host: str, port: int, *, read: Callable[[], bytes], token: str | None, is_open: bool) -> None:
        """Listen.

        Raises:
            OSError: The port is taken.
        """

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path.partition("?")[0] != "/metrics":
                    self.send_error(HTTPStatus.NOT_FOUND)
                elif not is_open and not is_token(self.headers.get("Authorization", ""), token):
                    self.send_error(HTTPStatus.UNAUTHORIZED)
                else:
                    body = read()
                    self.send_response(HTTPStatus.OK)
                    self.send_header("Content-Type", CONTENT_TYPE_LATEST)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Log nothing: Prometheus asks all the time."""

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True).start()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.server_address[1]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
