"""What is sent to a producer's URL: the order document, with the id and the signatures of Standard Webhooks.

Source: the specification at standardwebhooks.com, version 1; the library of that name signs.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from standardwebhooks.webhooks import Webhook

from number_orders.orders.model import OrderId

SECRET_PREFIX: Final = "whsec_"  # noqa: S105  how secrets begin, no secret
_SECRET_BYTES: Final = 32
_TEXT: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class WebhookMessage:
    """One document as it is sent. Id and body are the same however often it is."""

    message_id: str
    body: bytes

    def headers(self, signing_secrets: Sequence[str], at: datetime) -> dict[str, str]:
        """Return the headers of one attempt: signed with every secret of the producer, so that it can change them."""
        body = self.body.decode()
        signatures = (_signer(secret).sign(self.message_id, at, body) for secret in signing_secrets)
        return {
            "webhook-id": self.message_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": " ".join(signatures),
            "content-type": "application/json; charset=utf-8",
        }


def webhook_message(order_id: OrderId, version: int, document: Mapping[str, Any]) -> WebhookMessage:
    """Return the message for a document.

    The id holds a digest of the document: a ledger that fell back in time gives versions out again, and a producer that
    knows the id of the forgotten document would drop the new one as a repetition.
    """
    body = _TEXT.encode(document).encode()
    return WebhookMessage(f"msg_{order_id}_{version}_{hashlib.sha256(body).hexdigest()[:8]}", body)


def new_secret() -> str:
    """Return a new secret, `whsec_` and 32 random bytes in base64."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


@lru_cache(maxsize=1024)
def _signer(secret: str) -> Webhook:
    return Webhook(secret)
