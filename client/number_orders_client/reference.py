"""The id that a producer gives to an order: derived from its name and its key, so that a lost one is found again."""

import hashlib
from typing import Final
from uuid import UUID

DERIVED_VERSION: Final = 8
"""RFC 9562, section 5.8: a UUID whose digits its maker chooses."""
_VERSION: Final = DERIVED_VERSION << 76
_VARIANT: Final = 2 << 62
_CHOSEN: Final = ~((15 << 76) | (3 << 62))


def derive_order_id(producer: str, key: str) -> UUID:
    """Return the id that the client gives to the order with this key. Another than its reference at the carrier."""
    digest = hashlib.sha256(f"number-orders order\0{producer}\0{key}".encode()).digest()
    return UUID(int=int.from_bytes(digest[:16]) & _CHOSEN | _VERSION | _VARIANT)
