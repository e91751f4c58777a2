"""Which numbers producers may remove: their own, as the ledger knows whose order brought each.

The same statement judges new removals at intake, and waiting ones before they are sent: a number may have come to
somebody else meanwhile.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from psycopg.types.json import Jsonb

from number_orders.ledger.connection import Database
from number_orders.ledger.holdings import ADOPTER
from number_orders.ledger.rows import Row
from number_orders.orders.model import OrderId
from number_orders.orders.numbers import E164
from number_orders.orders.removal_right import RemovalRight

_TOGETHER: Final = 20_000
"""How many numbers one statement judges. A batch may have a quarter of a million: too many for one statement."""


@dataclass(frozen=True, slots=True)
class Removal:
    """A removal to be judged, of a producer that has proven itself."""

    order_id: OrderId
    producer: str
    numbers: Sequence[E164]


@dataclass(frozen=True, slots=True)
class NotRemovable:
    """The numbers of a removal that its producer may not remove, by their places in the order."""

    places: tuple[int, ...]
    right: RemovalRight
    """What the producer may remove."""
    guarded_until: datetime | None = None
    """Until then the ledger, which fell back in time, may have forgotten who brought the numbers."""


class RemovalStore:
    """Judges removals."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find_not_removable(self, removals: Sequence[Removal]) -> dict[OrderId, NotRemovable]:
        """Return which of these removals name numbers that their producers may not remove."""
        places: dict[OrderId, list[int]] = {}
        rows: dict[OrderId, Row] = {}
        for group in _groups(removals):
            params = {"removals": Jsonb([_removal(one) for one in group]), "adopter": ADOPTER}
            for row in await self._database.run("find_not_removable", params):
                places.setdefault(row["order_id"], []).append(row["place"])
                rows[row["order_id"]] = row
        return {
            order_id: NotRemovable(tuple(places[order_id]), RemovalRight(row["removals"]), row["guarded_until"])
            for order_id, row in rows.items()
        }


def _groups(removals: Sequence[Removal]) -> Iterator[Sequence[Removal]]:
    """Yield the removals in as few groups as have at most `_TOGETHER` numbers each, or one order that has more."""
    group: list[Removal] = []
    for one in removals:
        if group and sum(len(each.numbers) for each in group) + len(one.numbers) > _TOGETHER:
            yield group
            group = []
        group.append(one)
    if group:
        yield group


def _removal(one: Removal) -> dict[str, object]:
    return {"order_id": str(one.order_id), "producer": one.producer, "numbers": list(one.numbers)}
