"""Generates the demo's orders for CM.com: numbers in stock, numbers that a person has to find, and rejections.

Knows the geography and the magic inputs of CM.com's sandbox (docs/sandbox.md). Expects no particular outcome.
"""

from collections.abc import Sequence
from itertools import cycle, islice
from random import Random
from typing import Any, Final

Body = dict[str, Any]

_PLACES: Final[Sequence[Body]] = (
    {"country": "NLD", "number_type": "local", "npa": "020"},
    {"country": "NLD", "number_type": "local", "city": "Den Haag"},
    {"country": "NLD", "number_type": "national", "npa": "085"},
    {"country": "BEL", "number_type": "local", "npa": "02", "city": "Brussel"},
    {"country": "GBR", "number_type": "local", "city": "London"},
    {"country": "DEU", "number_type": "local", "npa": "030"},
    {"country": "USA", "number_type": "local", "npa": "646", "state": "NY"},
    {"country": "NLD", "number_type": "local", "npa": "010"},  # none in stock: a person looks for them
)
_MAGIC: Final = ("0111", "0113", "0115")
"""Rejected; half of the numbers; an unknown status."""


def bodies(orders: int, dice: Random) -> list[Body]:
    """Return `orders` order bodies, those with unusual outcomes first."""
    magic: list[Body] = [_order(_dutch(npa), 4) for npa in _MAGIC]
    in_ranges = {**_order(_PLACES[0], 20), "range_size": 10}
    plain = (_order(place, dice.choice((1, 2, 5))) for place in cycle(_PLACES))
    return [*magic, in_ranges, *islice(plain, max(0, orders - len(magic) - 1))][:orders]


def _order(criteria: Body, quantity: int) -> Body:
    return {"criteria": criteria, "quantity": quantity}


def _dutch(npa: str) -> Body:
    return {"country": "NLD", "number_type": "local", "npa": npa}
