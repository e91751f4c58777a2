"""The schedule: work items (table `owed`), and claims that lease the due ones to one worker.

A work item says on which lane an order is to be worked on, and not before when. A claim sets `not_before` to the end of
its lease, so the work of a dead worker falls due again by itself. The claim's token guards every later write about it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from number_orders.ledger import rows
from number_orders.ledger.connection import Database
from number_orders.ledger.pauses import HeldBy, Hold
from number_orders.orders.model import CarrierName, Kind, Lane, Order, OrderId
from number_orders.orders.serialization import moment_to_json

PROBE_LASTS: Final = timedelta(minutes=1)
"""How long a probe may go without an answer before another order may be the probe."""


@dataclass(frozen=True, slots=True)
class Claim:
    """An order whose work item on one lane is ours alone until the lease ends."""

    order: Order
    attempts: int
    """How often the item was claimed since it was added or renewed, this claim included."""
    generation: int
    """How often the item was renewed."""
    confirmed: int = 0
    """In how many looks since it was added or renewed the carrier showed the same again."""
    limit_group: str | None = None
    """The limit group in which the carrier counts its requests."""
    rate_slot_at: datetime | None = None
    """The slot of its first request; None: no rate, so it may leave at once."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What one claim took. `now` is the ledger's time; `token` guards every write about it."""

    lane: Lane
    now: datetime
    token: UUID
    claims: Sequence[Claim]
    clock: datetime
    """The ledger's time at the end of the statement; later than `now` if it waited for locks."""
    guarded_since: datetime | None = None
    """On the lane submit, when the guard period began that is in force: an order that was not looked for since then is
    looked for before it is sent."""
    recovering: bool = False
    """Whether the carrier's breaker counts faults or is open, so that an answer must be reported (`Breakers.reset`)."""
    reached: datetime | None = None
    """All work that was due before this moment is claimed by now; None if a limit may have held some of it back."""


@dataclass(frozen=True, slots=True)
class Later:
    """When claimed work falls due again."""

    order_id: OrderId
    not_before: datetime
    reason: str | None = None
    """Why, for the people who look at the order; None keeps the reason given before."""
    confirms: bool = False
    """Whether the carrier showed the same again (`Claim.confirmed`)."""
    looked: bool = True
    """False: the attempt only found out that it must wait, so it does not count as a look at the order."""


@dataclass(frozen=True, slots=True)
class ListWait:
    """A carrier's list that an order waits for, and how far its reading has come."""

    list_name: str
    pages: int
    trouble: str | None
    """What the last attempt to go on with it has met."""


@dataclass(frozen=True, slots=True)
class WorkItem:
    """Work to be done for an order on one lane, not before a moment."""

    lane: Lane
    not_before: datetime
    attempts: int
    reason: str | None
    in_hand: bool
    """A worker has claimed it; `not_before` is the end of its lease."""
    holds: tuple[Hold, ...] = ()
    """What keeps it from being claimed although it is due."""
    waits_for_lock: bool = False
    """It waits for the serial lock that the order named in `reason` has."""
    waits_for_list: ListWait | None = None
    """It is due when this list is read whole, and at `not_before` at the latest."""


class Schedule:
    """Leases due work items to workers, and reads what orders wait for."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._limited: set[tuple[CarrierName, Lane]] = set()

    async def claim(
        self, carrier: CarrierName, lane: Lane, *, limit: int, lease: timedelta, since: datetime | None = None
    ) -> Claims | None:
        """Claim work items that are due on a lane and may be worked on now; return None if there are none.

        Nothing is claimed on a paused lane or of a paused limit group, at most one item (the probe) while the carrier's
        breaker is open, and of a limit group with a rate as many as it has rate slots.

        Args:
            carrier: The carrier of the lane.
            lane: The lane.
            limit: How many items at most.
            lease: How long they are ours.
            since: Leave out what fell due before, where nothing is limited. That is cheaper while a transaction holds
                an old snapshot. Claim without it now and then: an item may be written later than it falls due.
        """
        token = uuid4()
        params = {
            "carrier": carrier,
            "lane": lane,
            "limit": limit,
            "lease": lease,
            "token": token,
            "probe": PROBE_LASTS,
            "kinds": list(Kind),
            "since": since,
        }
        found = await self._claimed((carrier, lane), params)
        if not found:
            return None
        claims = [
            Claim(
                order=rows.order_from_row(row),
                attempts=row["attempts"],
                generation=row["generation"],
                confirmed=row["confirmed"],
                limit_group=row["limit_group"],
                rate_slot_at=row["rate_slot_at"],
            )
            for row in found
        ]
        first = found[0]
        return Claims(
            lane=lane,
            now=first["now"],
            token=token,
            claims=claims,
            clock=first["clock"],
            guarded_since=first["guarded_since"],
            recovering=first["recovering"],
            reached=first["reached"],
        )

    async def _claimed(self, where: tuple[CarrierName, Lane], params: Mapping[str, Any]) -> list[DictRow]:
        """Claim, with the cheap statement unless the lane was limited last time.

        The cheap statement takes nothing from a lane that is limited now, and says so.
        """
        if where not in self._limited:
            found = await self._database.run("claim_unlimited", params)
            if found[0]["unlimited"]:
                return [row for row in found if row["order_id"]]
            self._limited.add(where)
        found = await self._database.run("claim", params)
        if found and not any(row["recovering"] or row["rate_slot_at"] for row in found):
            self._limited.discard(where)
        return found

    async def postpone(self, claims: Claims, later: Iterable[Later]) -> None:
        """Give claimed work items back, due later."""
        await self._give_back("postpone", claims, later)

    async def put_off(self, claims: Claims, later: Iterable[Later]) -> None:
        """Give claimed work items back, due later, as if they had not been claimed: the order was not looked at.

        An order that waits for a reading is due at once if that has become whole meanwhile.
        """
        await self._give_back("put_off", claims, later)

    async def _give_back(self, statement: str, claims: Claims, later: Iterable[Later]) -> None:
        entries = [
            {
                "order_id": str(one.order_id),
                "not_before": moment_to_json(one.not_before),
                "reason": one.reason,
                "confirms": one.confirms,
            }
            for one in later
        ]
        if entries:
            await self._database.run(statement, {"later": Jsonb(entries), "lane": claims.lane, "token": claims.token})

    async def release(self, claims: Claims, order_ids: Sequence[OrderId]) -> None:
        """Give claimed work items back as if they had not been claimed, due at once."""
        if order_ids:
            params = {"order_ids": list(order_ids), "lane": claims.lane, "token": claims.token}
            await self._database.run("release", params)

    async def open_lanes(self, carriers: Sequence[CarrierName]) -> None:
        """Add every lane of these carriers to those that the sweep looks at."""
        await self._database.run("open_lanes", {"carriers": list(carriers), "lanes": list(Lane)})

    async def due_lanes(self) -> list[tuple[CarrierName, Lane]]:
        """Return the lanes on which something is due and may be claimed."""
        found = await self._database.run("due_lanes", {"kinds": list(Kind)})
        return [(CarrierName(row["carrier"]), Lane(row["lane"])) for row in found]

    async def carriers(self) -> dict[CarrierName, tuple[Lane, ...]]:
        """Return the carriers whose lanes were ever opened, with these lanes."""
        found = await self._database.run("carriers", {})
        return {CarrierName(row["carrier"]): tuple(Lane(lane) for lane in row["lanes"]) for row in found}

    async def work_items(self, order_ids: Sequence[OrderId]) -> dict[OrderId, list[WorkItem]]:
        """Return the work items of each order, the one that is due first in front."""
        items: dict[OrderId, list[WorkItem]] = {order_id: [] for order_id in order_ids}
        for row in await self._database.run("work_items_of", {"order_ids": list(order_ids)}):
            items[row["order_id"]].append(_work_item(row))
        return items

    async def waiting_at(
        self, carrier: CarrierName, lane: Lane | None, *, after: OrderId | None, limit: int
    ) -> list[OrderId]:
        """Return a page of the orders at a carrier that are due later, by id, starting after `after`.

        Claimed work and orders that wait for a serial lock are left out.
        """
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
        waits_for_list=ListWait(row["list_name"], row["list_pages"], row["list_trouble"]) if row["list_name"] else None,
    )


def _holds_of(row: Mapping[str, Any]) -> Iterator[Hold]:
    if row["paused_at"]:
        yield Hold(HeldBy.PERSON, row["paused_why"], since=row["paused_at"], who=row["paused_by"])
    if row["held_until"]:
        yield Hold(HeldBy.BREAKER, row["held_why"], since=row["opened_at"], until=row["held_until"])
    if row["limited_until"] and row["limited_until"] > row["now"]:
        yield Hold(HeldBy.LIMIT, row["limited_why"], until=row["limited_until"], limit_group=row["limit_group"])
