"""A customer's server that receives notices, with or without a challenge for credentials."""

import base64
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@dataclass
class NoticeReceiver:
    """The requests received, in order: the Authorization header and the body of each."""

    url: str
    password: str | None = None
    """Asked for by a challenge; None: no credentials are wanted."""
    challenges: bool = True
    answer: int = 200
    requests: list[tuple[str, bytes]] = field(default_factory=list)

    @property
    def bodies(self) -> list[bytes]:
        """The bodies of the notices that were taken."""
        return [body for authorization, body in self.requests if self.admits(authorization)]

    def admits(self, authorization: str) -> bool:
        wanted = base64.b64encode(f"us:{self.password}".encode()).decode()
        return self.password is None or authorization == f"Basic {wanted}"

    def wait_for(self, count: int) -> list[bytes]:
        deadline = time.monotonic() + 60
        while len(self.bodies) < count:
            assert time.monotonic() < deadline, self.requests
            time.sleep(0.01)
        return self.bodies


@contextmanager
def receiving_notices() -> Iterator[NoticeReceiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            authorization = self.headers.get("Authorization", "")
            receiver.requests.append((authorization, body))
            is_admitted = receiver.admits(authorization)
            self.send_response(receiver.answer if is_admitted else 401)
            if not is_admitted and receiver.challenges:
                self.send_header("WWW-Authenticate", "Basic realm=x")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it so
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver = NoticeReceiver(f"http://127.0.0.1:{server.server_address[1]}/notices/bandwidth")
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield receiver
        server.shutdown()
        thread.join()
