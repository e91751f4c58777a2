"""Signatures of queue messages: whoever has a producer's signing key proves with it that a message is that producer's.

The scheme is that of Standard Webhooks (https://www.standardwebhooks.com): an HMAC-SHA256 over id, time and body. The
id is the task's; the body is the task's name and its arguments as canonical JSON. Time is not judged: a message may
wait in its queue for hours, and one that is sent twice does no harm, because orders have keys.
"""

import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from standardwebhooks import Webhook

SIGNER_HEADER: Final = "number-orders-signer"
"""Whose key made the signature."""
SIGNED_AT_HEADER: Final = "number-orders-signed-at"
"""When, in seconds since 1970."""
SIGNATURE_HEADER: Final = "number-orders-signature"
"""`v1,` and the signature in base64."""

_CANONICAL: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True, slots=True)
class Message:
    """What of a task message is signed."""

    task: str
    task_id: str
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def body(self) -> str:
        """Return the task and its arguments as canonical JSON.

        Raises:
            TypeError: An argument is no JSON value, such as a UUID: give its text.
            ValueError: An argument is not a number, or contains itself.
        """
        return _CANONICAL.encode([self.task, list(self.args), dict(self.kwargs)])


def sign(message: Message, *, signer: str, secret: str, signed_at: datetime) -> dict[str, str]:
    """Return the headers that sign a message; give them to Celery's `send_task(…, headers=…)`.

    Args:
        message: The message, with the task id with which it is sent.
        signer: The name of the producer or operator.
        secret: Its signing key, as `number-orders producers signing-key` shows it (`whsec_…`).
        signed_at: The time, with a time zone.

    Raises:
        ValueError: The key is none, or as `Message.body`.
        TypeError: As `Message.body`.
    """
    moment = datetime.fromtimestamp(int(signed_at.timestamp()), UTC)
    return {
        SIGNER_HEADER: signer,
        SIGNED_AT_HEADER: str(int(moment.timestamp())),
        SIGNATURE_HEADER: _signature(message, secret, moment),
    }


def is_signed(message: Message, headers: Mapping[str, Any], secrets: Iterable[str]) -> bool:
    """Return whether the headers sign this message with one of these keys. Malformed headers do not."""
    given = headers.get(SIGNATURE_HEADER)
    try:
        moment = datetime.fromtimestamp(int(str(headers.get(SIGNED_AT_HEADER))), UTC)
        expected = [_signature(message, secret, moment).encode() for secret in secrets]
    except (TypeError, ValueError, OverflowError, OSError, RecursionError):
        return False
    signature = given.encode(errors="replace") if isinstance(given, str) else b""
    return any(hmac.compare_digest(one, signature) for one in expected)


def _signature(message: Message, secret: str, moment: datetime) -> str:
    try:
        webhook = Webhook(secret)
    except Exception as fault:
        raise ValueError("the signing key must be base64 text that begins with whsec_") from fault
    return webhook.sign(message.task_id, moment, message.body())
