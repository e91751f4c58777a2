"""Notices: what a carrier's notice is about, and the address that it is sent to.

A notice is a hint to ask now. Nothing in it is believed: whatever it says about an end or a number is left unread.
"""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, Protocol, runtime_checkable
from urllib.parse import quote

from number_orders.orders.model import CarrierName, CarrierOrderId

NOTICES_PATH: Final = "/notices"
"""Below it, the receiver has a path for each carrier."""
_TOKEN_BYTES: Final = 18
"""144 bits, which nobody guesses."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Whose order a notice is about."""

    carrier_order_id: CarrierOrderId | None = None
    reference: str | None = None


class CarrierNotices(Protocol):
    """How one carrier's notices are sent and read."""

    @property
    def per_order(self) -> bool:
        """Whether each order has an address of its own; otherwise one address takes all, and asks for credentials."""
        ...

    def read(self, body: bytes, reference: str | None) -> Notice:
        """Return whose order a notice is about. `reference` is that of the address, if each order has its own.

        Raises:
            UnreadableAnswer: It is not what the carrier's documents describe, or names no order.
        """
        ...


@runtime_checkable
class SendsNotices(Protocol):
    """An adapter whose carrier sends notices."""

    @property
    def notices(self) -> CarrierNotices:
        """How they are sent and read."""
        ...


@dataclass(frozen=True, slots=True)
class NoticeAddresses:
    """The addresses at which the receiver takes notices: one for each carrier, or one for each order.

    The address of an order is unguessable: it has a token that is derived from a secret and the order's reference, so
    nothing has to be stored, and a ledger that fell back in time still knows every address.
    """

    public_url: str
    """Where the receiver is reached from outside: scheme, host, and the path before `/notices` if a proxy adds one."""
    secret: bytes = field(default=b"", repr=False)
    """Empty: orders have no addresses."""
    secret_before: bytes = field(default=b"", repr=False)
    """Addresses that were made with it are still valid. Empty: there are none."""

    def of_carrier(self, carrier: CarrierName) -> str:
        """Return the address for all notices of a carrier."""
        return f"{self.public_url.rstrip('/')}{NOTICES_PATH}/{carrier}"

    def of_order(self, carrier: CarrierName, reference: str) -> str | None:
        """Return the address for the notices about one order; None without a secret."""
        if not self.secret:
            return None
        return f"{self.of_carrier(carrier)}/{quote(reference, safe='')}/{_token(self.secret, carrier, reference)}"

    def is_genuine(self, carrier: CarrierName, reference: str, token: str) -> bool:
        """Return whether a token belongs to the order. Takes the same time for any token of the same length."""
        given = token.encode(errors="replace")
        matches = [hmac.compare_digest(_token(secret, carrier, reference).encode(), given) for secret in self._secrets]
        return any(matches)

    @property
    def _secrets(self) -> Iterator[bytes]:
        return filter(None, (self.secret, self.secret_before))


def _token(secret: bytes, carrier: str, reference: str) -> str:
    text = f"number-orders notices\0{carrier}\0{reference}".encode(errors="replace")
    return urlsafe_b64encode(hmac.digest(secret, text, sha256)[:_TOKEN_BYTES]).decode()
