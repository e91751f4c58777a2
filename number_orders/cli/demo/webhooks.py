"""A producer's receiver of webhooks: HTTPS on loopback, which believes only what is signed with the producer's secret.

Answers one request in eight with 503 at first, so that documents are sent again.
"""

import ssl
import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, Self

import httpx
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from number_orders.embedded.ports import LOOPBACK
from number_orders.fulfilment.webhooks.messages import new_secret
from workers.clock import machine_now

CERTIFICATE: Final = Path(__file__).parent / "certificate" / "webhooks.pem"
"""Public, for 127.0.0.1, and no authority: it signs no other certificate, and only the demo's processes trust it."""
_KEY: Final = CERTIFICATE.with_suffix(".key")
_REFUSED_FIRST: Final = 8
_TIMEOUT_S: Final = 10

Document = Mapping[str, Any]


@dataclass(slots=True)
class Deliveries:
    """What the receiver was sent. `lock` guards it: each connection has a thread."""

    secret: str = field(default="", repr=False)
    lock: threading.Lock = field(default_factory=threading.Lock)
    heard: defaultdict[str, list[Document]] = field(default_factory=lambda: defaultdict(list))
    """The verified documents by order id, each message once."""
    ids: set[str] = field(default_factory=set)
    """The `webhook-id` of every verified message that was taken."""
    put_off: set[str] = field(default_factory=set)
    """The `webhook-id` of every message that was answered 503 at first."""
    repeated: int = 0
    refused: int = 0
    """How many requests were not signed with the secret."""

    def take(self, body: bytes, headers: Mapping[str, str]) -> HTTPStatus:
        """Verify one message and keep its document, as a producer does; return the answer."""
        with self.lock:
            try:
                document = Webhook(self.secret).verify(body, dict(headers))
            except WebhookVerificationError:
                self.refused += 1
                return HTTPStatus.UNAUTHORIZED
            message = headers["webhook-id"]
            if message in self.ids:
                self.repeated += 1
            elif (len(self.ids) + len(self.put_off)) % _REFUSED_FIRST == 0 and message not in self.put_off:
                self.put_off.add(message)
                return HTTPStatus.SERVICE_UNAVAILABLE
            else:
                self.ids.add(message)
                self.heard[document["order_id"]].append(document)
            return HTTPStatus.NO_CONTENT


class WebhookReceiver:
    """Serves while the context is open."""

    def __init__(self) -> None:
        self.deliveries = Deliveries()
        self._server = _Server(self.deliveries)
        self._thread = threading.Thread(target=self._server.serve_forever, name="demo-webhooks", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def port(self) -> int:
        """The port, chosen when it was made."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Where documents are to be sent."""
        return f"https://{LOOPBACK}:{self.port}/hooks"

    def heard(self) -> dict[str, list[Document]]:
        """Return the verified documents so far by order id, each order's in the order of arrival."""
        with self.deliveries.lock:
            return {order_id: list(documents) for order_id, documents in self.deliveries.heard.items()}

    def ends(self) -> int:
        """Return for how many orders a final document was verified."""
        return sum(any(document["final"] for document in documents) for documents in self.heard().values())

    def send_forgery(self) -> HTTPStatus:
        """Send a message that is signed with another secret, and return the answer to it."""
        forger = Webhook(new_secret())
        body, moment = '{"order_id": "forged", "final": true}', machine_now()
        headers = {
            "webhook-id": "forged",
            "webhook-timestamp": str(int(moment.timestamp())),
            "webhook-signature": forger.sign("forged", moment, body),
        }
        trusted = ssl.create_default_context(cafile=CERTIFICATE)
        with httpx.Client(verify=trusted, trust_env=False, timeout=_TIMEOUT_S) as client:
            return HTTPStatus(client.post(self.url, content=body, headers=headers).status_code)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, deliveries: Deliveries) -> None:
        self.deliveries = deliveries
        super().__init__((LOOPBACK, 0), _Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE, _KEY)
        # Each connection's thread shakes hands, so that none keeps others waiting.
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, *_: object) -> None:
        """Say nothing: a worker that was killed in the middle of a request is part of the demo."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _TIMEOUT_S
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.send_response(self.server.deliveries.take(body, headers))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Write nothing: the summary counts."""
