"""ULIDs: a timestamp and random bits in 26 characters that sort by time."""

from datetime import datetime
from random import Random
from typing import Final

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's: no I, L, O, U
_LENGTH: Final = 26
_RANDOM_BITS: Final = 80


def ulid(moment: datetime, dice: Random) -> str:
    """Return an identifier for something created at `moment`."""
    value = int(moment.timestamp() * 1000) << _RANDOM_BITS | dice.getrandbits(_RANDOM_BITS)
    return "".join(_ALPHABET[value >> 5 * position & 31] for position in reversed(range(_LENGTH)))
