"""Notices of carriers: stored before they are acknowledged, then applied to the orders that they are about.

A notice moves no order. It makes a question due earlier (`apply`), within the carrier's limits, and at most one in
`every` for each order.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from psycopg.types.json import Jsonb

from number_orders.ledger.connection import Database
from number_orders.ledger.text import storable_text
from number_orders.orders.alarms import Alarm
from number_orders.orders.model import CarrierName, CarrierOrderId, OrderId

BODY_KEPT: Final = 16_384
"""So many characters of a notice are kept. Its digest is of all of it."""
_EVER: Final = datetime.min.replace(tzinfo=UTC)
_APPLIED_AT_ONCE: Final = 500
_FORGOTTEN_AT_ONCE: Final = 10_000


@dataclass(frozen=True, slots=True)
class StoredNotice:
    """A notice as it was received."""

    carrier: CarrierName
    body: bytes
    carrier_order_id: CarrierOrderId | None = None
    reference: str | None = None
    """Of the order, as the notice or the address that it was sent to names it."""
    trouble: str | None = None
    """Why it cannot be read; None if it can."""

    @property
    def digest(self) -> str:
        """What a copy has in common with it: the order that its address names, and the whole body."""
        return sha256(f"{self.reference or ''}\0".encode(errors="replace") + self.body).hexdigest()


@dataclass(frozen=True, slots=True)
class Applied:
    """What came of the notices that waited."""

    looked_at: int
    due: frozenset[CarrierName]
    """The carriers with questions that are due now."""
    more: bool
    """Whether more notices may wait."""


@dataclass(frozen=True, slots=True)
class NoticeCount:
    """What a carrier has sent for some time."""

    carrier: CarrierName
    notices: int
    copies: int
    """The notices, and what came of each again."""
    matched: int
    """Of the copies, those whose order is known."""
    orders: int
    """The orders that they are about."""
    unreadable: int
    waiting: int
    """About no order of ours, as far as is known, or about one that cannot be asked about yet."""
    last_at: datetime


class NoticeStore:
    """Stores notices, and makes the questions due that they call for."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def store(self, notices: Iterable[StoredNotice]) -> None:
        """Store notices, each once however often it comes, and raise an alarm about what cannot be read."""
        entries: dict[tuple[str, str], dict[str, Any]] = {}
        for notice in notices:
            entry = entries.setdefault((notice.digest, notice.carrier), {**_entry(notice), "copies": 0})
            entry["copies"] += 1
        if entries:
            ordered = [entries[key] for key in sorted(entries)]
            await self._database.run("store_notices", {"notices": Jsonb(ordered), "alarm": Alarm.UNREADABLE_NOTICE})

    async def apply(self, *, every: timedelta, limit: int = _APPLIED_AT_ONCE) -> Applied:
        """Make the questions due that waiting notices call for, at most one in `every` for each order."""
        (row,) = await self._database.run("apply_notices", {"every": every, "limit": limit})
        looked_at = int(row["looked_at"])
        return Applied(looked_at, frozenset(map(CarrierName, row["due"])), more=looked_at == limit)

    async def named_orders(
        self, orders: Mapping[OrderId, datetime | None]
    ) -> Mapping[OrderId, Sequence[CarrierOrderId]]:
        """Return the carrier orders that notices about these orders of ours have named since a moment, or ever.

        An order is left out if they have named none.
        """
        if not orders:
            return {}
        params = {"order_ids": list(orders), "since": [since or _EVER for since in orders.values()]}
        named: dict[OrderId, list[CarrierOrderId]] = {}
        for row in await self._database.run("orders_named_in_notices", params):
            named.setdefault(OrderId(row["order_id"]), []).append(CarrierOrderId(row["carrier_order_id"]))
        return named

    async def forget(self, older_than: timedelta, *, at_once: int = _FORGOTTEN_AT_ONCE) -> None:
        """Delete the notices that are older than `older_than`, at most `at_once` with one statement."""
        while True:
            (row,) = await self._database.run("forget_notices", {"older_than": older_than, "at_once": at_once})
            if row["forgotten"] < at_once:
                return

    async def counts(self, since: timedelta) -> list[NoticeCount]:
        """Return what each carrier has sent in the time until now."""
        found = await self._database.run("notices_by_carrier", {"since": since})
        return [_count(row) for row in found]


def _entry(notice: StoredNotice) -> dict[str, Any]:
    return {
        "carrier": notice.carrier,
        "digest": notice.digest,
        "carrier_order_id": _text(notice.carrier_order_id),
        "reference": _text(notice.reference),
        "trouble": _text(notice.trouble),
        "body": storable_text(notice.body.decode(errors="replace")[:BODY_KEPT]),
    }


def _text(given: str | None) -> str | None:
    return None if given is None else storable_text(given)


def _count(row: Mapping[str, Any]) -> NoticeCount:
    numbers = {name: int(row[name]) for name in ("notices", "copies", "matched", "orders", "unreadable", "waiting")}
    return NoticeCount(carrier=CarrierName(row["carrier"]), last_at=row["last_at"], **numbers)
