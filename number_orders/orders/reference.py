"""The reference that an order has at its carrier: derived from its producer and key, not from chance.

A ledger that fell back in time forgets orders. When a producer sends a forgotten key again, the new order has the
reference of the forgotten one, so the carrier's own records show whether it was bought.
"""

import hashlib
from typing import Final
from uuid import UUID

_VERSION: Final = 8 << 76
"""RFC 9562, section 5.8: a UUID whose digits its maker chooses."""
_VARIANT: Final = 2 << 62
_CHOSEN: Final = ~((15 << 76) | (3 << 62))


def derive_reference(producer: str, key: str) -> str:
    """Return the reference of the order with this key of this producer: a UUID, which every carrier takes."""
    digest = hashlib.sha256(f"number-orders\0{producer}\0{key}".encode()).digest()
    return str(UUID(int=int.from_bytes(digest[:16]) & _CHOSEN | _VERSION | _VARIANT))
