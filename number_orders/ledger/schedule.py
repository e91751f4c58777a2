"""Hand out due work under leases, and read what orders wait for."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from number_orders.ledger import rows
from number_orders.ledger.connection import Database
from number_orders.ledger.pauses import HeldBy, Hold
from number_orders.orders.model import CarrierName, Kind, Lane, Order, OrderId
from number_orders.orders.serialization import moment_to_json

_PROBE_LASTS = timedelta(minutes=1)
"""After this long without an answer to a probe, another order may be the probe."""


@dataclass(frozen=True, slots=True)
class Claim:
    """An order whose work_item on one lane is ours alone until the lease ends."""

    order: Order
    attempts: int
    generation: int
    limit_group: str | None = None
    """What its requests draw on at the carrier."""
    rate_slot_at: datetime | None = None
    """When its first request may leave; None: at once, since nothing limits it."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What one claim brought in. `now` is the ledger's time; `token` guards every write about it."""

    lane: Lane
    now: datetime
    token: UUID
    claims: Sequence[Claim]
    clock: datetime
    """The ledger's time when it had done this, which is later than `now` by what it waited for."""
    recovering: bool = False
    """Whether the carrier was out of reach lately, so that an answer of its is news to `reset_breaker`."""
    reached: datetime | None = None
    """All that was due before this was taken, here or by others; None, where something held some of it back."""


@dataclass(frozen=True, slots=True)
class WorkItem:
    """What an order waits for."""

    lane: Lane
    not_before: datetime
    attempts: int
    reason: str | None
    in_hand: bool
    """A worker has it now; `not_before` is the end of its lease."""
    holds: tuple[Hold, ...] = ()
    """What holds it back although it is due."""
    waits_for_lock: bool = False
    """Another order has to be done with something at the carrier first; `reason` names it."""


class Schedule:
    """Hand out due work under leases, and read what orders wait for."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._limited: set[tuple[CarrierName, Lane]] = set()

    async def claim(
        self, carrier: CarrierName, lane: Lane, *, limit: int, lease: timedelta, since: datetime | None = None
    ) -> Claims | None:
        """Take up to `limit` work_items that are due on a lane, and may be worked on now; None, when there is none.

        A carrier that is out of reach gives one at most, the probe; a limit with a rate as many as it has places.

        Args:
            carrier: Whose.
            lane: Which.
            limit: How many at most.
            lease: How long they are ours.
            since: Leave out what was due before, where nothing is limited. It is cheaper while somebody holds an old
                snapshot; whoever gives it must look without it now and then, for work_items may be written down late.
        """
        token = uuid4()
        params = {
            "carrier": carrier,
            "lane": lane,
            "limit": limit,
            "lease": lease,
            "token": token,
            "probe": _PROBE_LASTS,
            "kinds": list(Kind),
            "since": since,
        }
        found = await self._claimed((carrier, lane), params)
        if not found:
            return None
        claims = [
            Claim(rows.order_from_row(row), row["attempts"], row["generation"], row["limit_group"], row["rate_slot_at"])
            for row in found
        ]
        first = found[0]
        return Claims(lane, first["now"], token, claims, first["clock"], first["recovering"], first["reached"])

    async def _claimed(self, where: tuple[CarrierName, Lane], params: Mapping[str, Any]) -> list[DictRow]:
        """Claim, with the short statement where that may do. It sees for itself whether it does; ours is a guess."""
        if where not in self._limited:
            found = await self._database.run("claim_unlimited", params)
            if found[0]["plain"]:
                return [row for row in found if row["order_id"]]
            self._limited.add(where)
        found = await self._database.run("claim", params)
        if found and not any(row["recovering"] or row["rate_slot_at"] for row in found):
            self._limited.discard(where)
        return found

    async def postpone(self, claims: Claims, later: Iterable[tuple[OrderId, datetime, str | None]]) -> None:
        """Give claimed work_items back, due later."""
        entries = [
            {"order_id": str(order_id), "not_before": moment_to_json(not_before), "reason": reason}
            for order_id, not_before, reason in later
        ]
        if entries:
            await self._database.run("postpone", {"later": Jsonb(entries), "lane": claims.lane, "token": claims.token})

    async def release(self, claims: Claims, order_ids: Sequence[OrderId]) -> None:
        """Give claimed work_items back untouched, due at once."""
        if order_ids:
            params = {"order_ids": list(order_ids), "lane": claims.lane, "token": claims.token}
            await self._database.run("release", params)

    async def open_lanes(self, carriers: Sequence[CarrierName]) -> None:
        """Make sure that the sweep looks at every lane of these carriers."""
        await self._database.run("open_lanes", {"carriers": list(carriers), "lanes": list(Lane)})

    async def due_lanes(self) -> list[tuple[CarrierName, Lane]]:
        """Return the lanes on which something is due now."""
        found = await self._database.run("due_lanes", {"kinds": list(Kind)})
        return [(CarrierName(row["carrier"]), Lane(row["lane"])) for row in found]

    async def carriers(self) -> dict[CarrierName, tuple[Lane, ...]]:
        """Return the carriers whose lanes were ever opened."""
        found = await self._database.run("carriers", {})
        return {CarrierName(row["carrier"]): tuple(Lane(lane) for lane in row["lanes"]) for row in found}

    async def work_items(self, order_ids: Sequence[OrderId]) -> dict[OrderId, list[WorkItem]]:
        """Return what these orders wait for."""
        owed: dict[OrderId, list[WorkItem]] = {order_id: [] for order_id in order_ids}
        for row in await self._database.run("work_items_of", {"order_ids": list(order_ids)}):
            owed[row["order_id"]].append(_work_item(row))
        return owed

    async def waiting_at(
        self, carrier: CarrierName, lane: Lane | None, *, after: OrderId | None, limit: int
    ) -> list[OrderId]:
        """Return orders that wait for their time at a carrier, in a fixed order, from behind `after` on."""
        params = {"carrier": carrier, "lane": lane, "after": after, "limit": limit}
        return [row["order_id"] for row in await self._database.run("waiting_at", params)]


def _work_item(row: Mapping[str, Any]) -> WorkItem:
    return WorkItem(
        lane=Lane(row["lane"]),
        not_before=row["not_before"],
        attempts=row["attempts"],
        reason=row["reason"],
        in_hand=row["lease_token"] is not None,
        holds=tuple(_holds_of(row)),
        waits_for_lock=row["serial_key"] is not None,
    )


def _holds_of(row: Mapping[str, Any]) -> Iterator[Hold]:
    if row["paused_at"]:
        yield Hold(HeldBy.PERSON, row["paused_why"], since=row["paused_at"], who=row["paused_by"])
    if row["held_until"]:
        yield Hold(HeldBy.BREAKER, row["held_why"], since=row["opened_at"], until=row["held_until"])
    if row["limited_until"] and row["limited_until"] > row["now"]:
        yield Hold(HeldBy.LIMIT, row["limited_why"], until=row["limited_until"], limit_group=row["limit_group"])
