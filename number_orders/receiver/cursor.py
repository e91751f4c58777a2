"""Cursors of lists: where a page ended, as one word that callers pass back unread."""

import base64
import binascii
import struct
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from number_orders.ledger.order_views import PageCursor

_URL_SAFE: Final = bytes.maketrans(b"-_+/", b"+/-_")
"""Python's own decoder takes `+` and `/` for letters of the URL-safe alphabet too."""
_SHAPE: Final = struct.Struct(">Bq16s")
_FORMAT: Final = 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def write_cursor(cursor: PageCursor) -> str:
    """Return the cursor as a word for a URL. It holds no secret: it names an order that the caller has seen."""
    micros = (cursor.accepted_at - _EPOCH) // _MICROSECOND
    return base64.urlsafe_b64encode(_SHAPE.pack(_FORMAT, micros, cursor.order_id.bytes)).rstrip(b"=").decode()


def read_cursor(word: str) -> PageCursor:
    """Read a cursor back.

    Raises:
        ValueError: It is none of ours.
    """
    try:
        packed = base64.b64decode(word.encode("ascii").translate(_URL_SAFE) + b"=" * (-len(word) % 4), validate=True)
        number, micros, order_id = _SHAPE.unpack(packed)
        accepted_at = _EPOCH + micros * _MICROSECOND
    except (UnicodeEncodeError, binascii.Error, struct.error, OverflowError) as wrong:
        raise ValueError("is no cursor of this list; use the `next` of a page as it is") from wrong
    cursor = PageCursor(accepted_at, UUID(bytes=order_id))
    if number != _FORMAT or write_cursor(cursor) != word:
        raise ValueError("is no cursor of this list; use the `next` of a page as it is")
    return cursor
