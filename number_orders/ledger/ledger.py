"""The ledger as the use cases see it: accept, claim, record, postpone, tell, read.

One statement is one transaction. A statement that meets a broken connection is tried once more,
which is safe because each is guarded: by the order's key, its version, or its lease. What cannot be
had at all is `LedgerUnavailable`, and nothing was changed, or nothing that a guard would not notice.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from types import TracebackType
from typing import Any, Final, Self, cast
from uuid import UUID, uuid4

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from number_orders.ledger import rows
from number_orders.ledger.statements import SQL
from number_orders.orders.errors import LedgerUnavailable, UnknownOrder
from number_orders.orders.lifecycle import Step, begins_anew
from number_orders.orders.model import (
    CarrierName,
    CarrierOrderId,
    Kind,
    Lane,
    NumberResult,
    Order,
    OrderId,
    OrderRequest,
    State,
)
from number_orders.orders.numbers import E164

_PROBE_LASTS = timedelta(minutes=1)
"""After so long without a word from a probe, another order may try."""
_OUT_OF_REACH = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError, PoolTimeout)

_LINE: Final[Mapping[str, Any]] = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,  # ms
}
"""How soon a machine that does not answer any more is given up. An address may say otherwise."""

STATEMENT_S: Final = 30.0
"""When PostgreSQL itself gives a statement of ours up, whatever it waits for. Migrations take the time they need."""

_MARGIN_S: Final = 10.0
"""How much longer we wait than PostgreSQL should; after that it is frozen, and we give the connection up."""

_FORGOTTEN_AT_ONCE: Final = 5000
"""So many rows go in far less than a statement's time."""

Connections = AsyncConnectionPool[psycopg.AsyncConnection[DictRow]]


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An order that passed every check and is about to be written down."""

    order_id: OrderId
    producer: str
    request: OrderRequest
    fingerprint: str
    reason: str | None = None
    notification: Mapping[str, Any] | None = None
    channels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Taken:
    """A key or an id that the ledger knows already."""

    order_id: OrderId
    producer: str
    key: str
    fingerprint: str
    state: State


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
    """Whether the carrier was out of reach lately, so that an answer of its is news to `within_reach`."""
    reached: datetime | None = None
    """All that was due before this was taken, here or by others; None, where something held some of it back."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One step to be written: the order as it was read, what was heard, what follows."""

    before: Order
    step: Step
    numbers: tuple[NumberResult, ...] = ()
    notification: Mapping[str, Any] | None = None
    channels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KnownNumber:
    """What the ledger knows of one number at one carrier."""

    e164: E164
    held_since: datetime | None
    held_by: OrderId | None
    named: bool
    """Whether another unfinished order is to bring it."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """One exchange with a carrier, fit to be kept: secrets removed, bodies capped."""

    order_id: OrderId
    request: str
    elapsed_ms: int
    status: int | None = None
    trouble: str | None = None
    sent: str | None = None
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """How many requests a carrier takes of one kind. Without figures: as many as there are, until it says otherwise."""

    group: str
    per_second: float | None = None
    spacing: timedelta | None = None
    """What lies between the places of two requests."""


@dataclass(frozen=True, slots=True)
class RateSlot:
    """One more place in a limit."""

    at: datetime
    clock: datetime
    """The ledger's time when it was given."""
    paused_until: datetime | None
    """The carrier wants nothing before that."""


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When a carrier counts as out of reach, and for how long it is left alone then: twice as long each time."""

    faults_max: int = 10
    hold_first: timedelta = timedelta(seconds=5)
    hold_max: timedelta = timedelta(minutes=5)


class HeldBy(StrEnum):
    """Who or what holds work back, beside its own schedule."""

    PERSON = "person"
    """Somebody has paused the lane, until somebody resumes it."""
    BREAKER = "breaker"
    """The carrier was out of reach again and again; from `until` on one order at a time tries."""
    LIMIT = "limit"
    """The carrier said that it wants no more of these requests before `until`."""


@dataclass(frozen=True, slots=True)
class Hold:
    """What holds work back: a lane, one of a carrier's limits, or all that goes to a carrier."""

    held_by: HeldBy
    why: str | None
    since: datetime | None = None
    until: datetime | None = None
    who: str | None = None
    lane: Lane | None = None
    limit_group: str | None = None
    carrier: CarrierName | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """A lane that somebody has paused, and who resumed it if somebody has."""

    carrier: CarrierName
    lane: Lane
    paused_at: datetime
    paused_by: str
    why: str
    resumed_at: datetime | None = None
    resumed_by: str | None = None
    resumed_why: str | None = None


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


@dataclass(frozen=True, slots=True)
class Story:
    """Everything the ledger knows of one order, for a person."""

    now: datetime
    order: Order
    numbers: tuple[NumberResult, ...]
    work_items: tuple[WorkItem, ...]
    events: tuple[Mapping[str, Any], ...]
    receipts: tuple[Mapping[str, Any], ...] = field(default=())


@dataclass(frozen=True, slots=True)
class HeldSerialLock:
    """A turn that a parked order has, or another for long, and the line behind it."""

    serial_key: str
    order_id: OrderId
    state: State
    since: datetime
    waiting: int
    waiting_since: datetime | None
    """When the first of those who wait was accepted."""


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """One order document that the producer is still to get."""

    order_id: OrderId
    version: int
    document: Mapping[str, Any]


class Ledger:
    """PostgreSQL, through a pool that belongs to one process and one event loop."""

    def __init__(self, pool: Connections, *, silence_s: float = STATEMENT_S + _MARGIN_S) -> None:
        self._pool = pool
        self._silence_s = silence_s
        self._counted: set[tuple[CarrierName, Lane]] = set()

    @classmethod
    def at(
        cls,
        url: str,
        *,
        connections_max: int = 4,
        wait_s: float = 10.0,
        statement_s: float = STATEMENT_S,
        margin_s: float = _MARGIN_S,
    ) -> Self:
        """Make a ledger on `url`; it connects when entered (`async with`).

        Args:
            url: The address, as libpq takes it.
            connections_max: The size of the pool.
            wait_s: How long a connection is waited for.
            statement_s: How long PostgreSQL may work on one statement.
            margin_s: How long after that its silence is borne.
        """
        pool: Connections = AsyncConnectionPool(
            address(url),
            min_size=1,
            max_size=connections_max,
            timeout=wait_s,
            # Pauses between attempts double. Given up this soon, they stay short: whoever needs a connection next
            # begins anew, and a ledger that was away for an hour is found within seconds, not within another hour.
            reconnect_timeout=wait_s,
            open=False,
            configure=partial(_set_up, statement_s),
            kwargs={
                "autocommit": True,
                "row_factory": dict_row,
                "application_name": "number-orders",
                "prepare_threshold": 0,  # from the first time on: see `_set_up`
            },
        )
        return cls(pool, silence_s=statement_s + margin_s)

    async def __aenter__(self) -> Self:
        await self._pool.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._pool.close()

    # The way in

    async def accept(self, orders: Sequence[NewOrder]) -> frozenset[OrderId]:
        """Write new orders down, and return the ids of those that were new; the others' keys or ids are taken."""
        found = await self._run("accept_orders", {"orders": Jsonb([_new_order(order) for order in orders])})
        return frozenset(OrderId(row["order_id"]) for row in found)

    async def find_taken(self, orders: Sequence[NewOrder]) -> list[Taken]:
        """Return what the ledger has under the ids and keys of `orders`."""
        params = {
            "order_ids": [order.order_id for order in orders],
            "producers": [order.producer for order in orders],
            "keys": [order.request.key for order in orders],
        }
        return [
            Taken(row["order_id"], row["producer"], row["key"], row["fingerprint"].hex(), State(row["state"]))
            for row in await self._run("find_taken", params)
        ]

    # The work

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
        if where not in self._counted:
            found = await self._run("claim_unlimited", params)
            if found[0]["plain"]:
                return [row for row in found if row["order_id"]]
            self._counted.add(where)
        found = await self._run("claim", params)
        if found and not any(row["recovering"] or row["rate_slot_at"] for row in found):
            self._counted.discard(where)
        return found

    async def record(self, steps: Sequence[Recorded]) -> frozenset[OrderId]:
        """Write steps, all in one transaction; return the orders that had not moved on meanwhile.

        Raises:
            psycopg.DatabaseError: PostgreSQL will not have one of them (`UniqueViolation`: a carrier's order
                already belongs to another order of ours); nothing of the group was written.
        """
        if not steps:
            return frozenset()
        found = await self._run("record_steps", {"steps": Jsonb([_step(step) for step in steps])})
        return frozenset(OrderId(row["order_id"]) for row in found)

    async def take_serial_locks(
        self, claims: Claims, wanted: Mapping[OrderId, str], *, carrier: CarrierName, at_most: timedelta
    ) -> frozenset[OrderId]:
        """Take the turn for each order that needs something to itself, and return those that have it.

        The others give their claims back and stand in line: woken when their turn comes, or after `at_most`.
        """
        if not wanted:
            return frozenset()
        params = {"carrier": carrier, "wanted": Jsonb(_keyed(wanted))}
        theirs = frozenset(OrderId(row["order_id"]) for row in await self._run("take_serial_locks", params))
        if waiting := {order_id: key for order_id, key in wanted.items() if order_id not in theirs}:
            line = {"carrier": carrier, "waiting": Jsonb(_keyed(waiting)), "at_most": at_most, "token": claims.token}
            await self._run("wait_for_serial_locks", line)
        return theirs

    async def has_serial_lock(self, order_id: OrderId) -> bool:
        """Tell whether an order has something at its carrier to itself."""
        (row,) = await self._run("has_serial_lock", {"order_id": order_id})
        return bool(row["has_serial_lock"])

    async def held_serial_locks(self, carrier: CarrierName, patience: timedelta) -> list[HeldSerialLock]:
        """Return the turns that a parked order has, or another for longer than `patience`."""
        found = await self._run("held_serial_locks", {"carrier": carrier, "patience": patience})
        return [
            HeldSerialLock(
                row["serial_key"],
                row["order_id"],
                State(row["state"]),
                row["since"],
                row["waiting"],
                row["waiting_since"],
            )
            for row in found
        ]

    async def parked_orders_bringing(self, carrier: CarrierName, numbers: Sequence[E164]) -> list[tuple[OrderId, E164]]:
        """Return parked orders that are to bring one of these numbers, each with the first of them."""
        found = await self._run("parked_orders_bringing", {"carrier": carrier, "numbers": list(numbers)})
        return [(OrderId(row["order_id"]), E164(row["e164"])) for row in found]

    async def keep_progress(self, order: Order, progress: Mapping[str, object]) -> bool:
        """Write down steps done at the carrier, and return whether order and steps stand where `order` has them."""
        params = {
            "order_id": order.order_id,
            "version": order.version,
            "known": Jsonb(order.progress),
            "progress": Jsonb(progress),
        }
        return bool(await self._run("keep_progress", params))

    async def recall(self, order: Order, numbers: Sequence[E164]) -> tuple[datetime, list[KnownNumber]]:
        """Return the ledger's time, and what it knows of numbers at this order's carrier beside this order."""
        params = {"order_id": order.order_id, "carrier": order.request.carrier, "numbers": list(numbers)}
        found = await self._run("recall", params)
        known = [
            KnownNumber(row["e164"], row["held_since"], row["held_by"], named=row["named"])
            for row in found
            if row["e164"] is not None
        ]
        return found[0]["now"], known

    async def postpone(self, claims: Claims, later: Iterable[tuple[OrderId, datetime, str | None]]) -> None:
        """Give claimed work_items back, due later."""
        entries = [
            {"order_id": str(order_id), "not_before": rows.moment(not_before), "reason": reason}
            for order_id, not_before, reason in later
        ]
        if entries:
            await self._run("postpone", {"later": Jsonb(entries), "lane": claims.lane, "token": claims.token})

    async def release(self, claims: Claims, order_ids: Sequence[OrderId]) -> None:
        """Give claimed work_items back untouched, due at once."""
        if order_ids:
            params = {"order_ids": list(order_ids), "lane": claims.lane, "token": claims.token}
            await self._run("release", params)

    async def keep_receipts(self, receipts: Sequence[Receipt]) -> None:
        """Keep what passed between us and the carrier."""
        if receipts:
            entries = [
                {name: getattr(receipt, name) for name in Receipt.__slots__} | {"order_id": str(receipt.order_id)}
                for receipt in receipts
            ]
            await self._run("keep_receipts", {"receipts": Jsonb(entries)})

    async def held_elsewhere(self, pairs: Sequence[tuple[OrderId, str]]) -> list[tuple[str, OrderId]]:
        """Return the numbers of `pairs` that another order of ours already holds, with that order."""
        if not pairs:
            return []
        params = {"order_ids": [order_id for order_id, _ in pairs], "numbers": [number for _, number in pairs]}
        return [(row["e164"], row["acquired_by"]) for row in await self._run("held_elsewhere", params)]

    async def raise_alarm(
        self, what: str, subject: str, *, carrier: str | None = None, order_id: OrderId | None = None, detail: str = ""
    ) -> int:
        """Tell a person something, once per matter; return how often it has happened."""
        params = {"what": what, "subject": subject, "carrier": carrier, "order_id": order_id, "detail": detail}
        (row,) = await self._run("raise_alarm", params)
        return int(row["times"])

    async def note_alarm(
        self,
        what: str,
        subject: str,
        *,
        carrier: CarrierName,
        order_id: OrderId,
        detail: str,
        again_after: timedelta,
    ) -> int:
        """Tell a person of something that goes on; it counts as happening again once in `again_after`."""
        params = {"what": what, "subject": subject, "carrier": carrier, "order_id": order_id, "detail": detail}
        (row,) = await self._run("note_alarm", params | {"again_after": again_after})
        return int(row["times"])

    async def drop_alarms(self, what: str, *, carrier: CarrierName, standing: Sequence[str]) -> None:
        """Forget a carrier's alarms of one sort, but for those whose subjects still stand."""
        await self._run("drop_alarms", {"what": what, "carrier": carrier, "standing": list(standing)})

    async def drop_alarms_unless(self, what: str, state: State) -> None:
        """Forget alarms of one sort that are about orders which are in this state no more."""
        await self._run("drop_alarms_unless", {"what": what, "state": state})

    # Lanes

    async def open_lanes(self, carriers: Sequence[CarrierName]) -> None:
        """Make sure that the sweep looks at every lane of these carriers."""
        await self._run("open_lanes", {"carriers": list(carriers), "lanes": list(Lane)})

    async def due_lanes(self) -> list[tuple[CarrierName, Lane]]:
        """Return the lanes on which something is due now."""
        found = await self._run("due_lanes", {"kinds": list(Kind)})
        return [(CarrierName(row["carrier"]), Lane(row["lane"])) for row in found]

    async def carriers(self) -> dict[CarrierName, tuple[Lane, ...]]:
        """Return the carriers whose lanes were ever opened."""
        found = await self._run("carriers", {})
        return {CarrierName(row["carrier"]): tuple(Lane(lane) for lane in row["lanes"]) for row in found}

    async def pause(self, carrier: CarrierName, lanes: Sequence[Lane], *, by: str, why: str) -> list[Pause]:
        """Let nothing be claimed on these lanes until somebody resumes them; return those that were not paused yet."""
        params = {"carrier": carrier, "lanes": list(lanes), "by": by, "why": why}
        return [_pause(row) for row in await self._run("pause_lanes", params)]

    async def resume(self, carrier: CarrierName, lanes: Sequence[Lane], *, by: str, why: str | None) -> list[Pause]:
        """Let these lanes go on; return those that were paused."""
        params = {"carrier": carrier, "lanes": list(lanes), "by": by, "why": why}
        return [_pause(row) for row in await self._run("resume_lanes", params)]

    async def holds(self) -> tuple[datetime, list[Hold]]:
        """Return the ledger's time, and all that holds work back beside its own schedule."""
        found = await self._run("holds", {})
        return (found[0]["now"] if found else await self.now()), [_hold(row) for row in found]

    # Limits, and carriers out of reach

    async def set_limits(
        self, carrier: CarrierName, limits: Sequence[Limit], groups: Mapping[tuple[Lane, Kind], str]
    ) -> None:
        """Say what a carrier limits, and on which limit the work on a lane draws, by the kind of order."""
        params = {
            "carrier": carrier,
            "limits": Jsonb([_limit(limit) for limit in limits]),
            "draws": Jsonb(
                [{"lane": lane, "kind": kind, "limit_group": group} for (lane, kind), group in groups.items()]
            ),
        }
        await self._run("set_limits", params)

    async def take_rate_slot(self, carrier: CarrierName, group: str) -> RateSlot | None:
        """Take one more place in a limit, behind all that are taken; None, when it has no rate."""
        found = await self._run("take_rate_slot", {"carrier": carrier, "limit_group": group})
        return next((RateSlot(row["rate_slot_at"], row["clock"], row["paused_until"]) for row in found), None)

    async def pause_limit(self, carrier: CarrierName, group: str, *, until: datetime, why: str) -> None:
        """Let nothing be claimed that draws on this limit before `until`. A longer pause is not cut short."""
        await self._run("pause_limit", {"carrier": carrier, "limit_group": group, "until": until, "why": why})

    async def out_of_reach(
        self, carrier: CarrierName, tokens: Sequence[UUID], *, faults: int, why: str, breaker_policy: BreakerPolicy
    ) -> datetime | None:
        """Count faults of a carrier's in a row, and return until when it is left alone now, if it is.

        While it is left alone only the probe counts: one of `tokens` must be that of its claim.
        """
        params = {
            "carrier": carrier,
            "tokens": list(tokens),
            "faults": faults,
            "why": why,
            "faults_max": breaker_policy.faults_max,
            "hold_first": breaker_policy.hold_first,
            "hold_max": breaker_policy.hold_max,
        }
        return next((row["held_until"] for row in await self._run("out_of_reach", params)), None)

    async def return_probe(self, claims: Claims, carrier: CarrierName) -> None:
        """Let another order be the probe: what was claimed here came to nothing before anything was sent."""
        await self._run("return_probe", {"carrier": carrier, "token": claims.token})

    async def within_reach(self, carrier: CarrierName, tokens: Sequence[UUID]) -> None:
        """Forget a carrier's faults, since it has answered; if it is left alone, only the probe's answer counts."""
        await self._run("within_reach", {"carrier": carrier, "tokens": list(tokens)})

    # OutboxMessage

    async def pending_messages(self, order_ids: Sequence[OrderId], channel: str) -> list[OutboxMessage]:
        """Return what is still to be told of these orders, each order's documents in order."""
        found = await self._run("pending_messages", {"order_ids": list(order_ids), "channel": channel})
        return [OutboxMessage(row["order_id"], row["version"], row["document"]) for row in found]

    async def mark_delivered(
        self, claims: Claims, paid: Sequence[Claim], told: Sequence[OutboxMessage], channel: str
    ) -> None:
        """Mark documents as handed over, and pay the work_items of the orders that have none left."""
        params = {
            "paid": Jsonb([{"order_id": str(claim.order.order_id), "generation": claim.generation} for claim in paid]),
            "told": Jsonb([{"order_id": str(message.order_id), "version": message.version} for message in told]),
            "channel": channel,
            "token": claims.token,
        }
        await self._run("mark_delivered", params)

    async def mark_undelivered(self, failed: Sequence[tuple[OutboxMessage, str]], channel: str) -> None:
        """Keep why a document could not be handed over."""
        entries = [{"order_id": str(t.order_id), "version": t.version, "trouble": why} for t, why in failed]
        await self._run("mark_undelivered", {"failed": Jsonb(entries), "channel": channel})

    # Reading

    async def now(self) -> datetime:
        """Return the ledger's time, which is everybody's."""
        (row,) = await self._run("now", {})
        return cast("datetime", row["now"])

    async def read(self, order_ids: Sequence[OrderId]) -> dict[OrderId, Order]:
        """Return orders by id; unknown ids are left out."""
        found = await self._run("read_orders", {"order_ids": list(order_ids)})
        return {row["order_id"]: rows.order_from_row(row) for row in found}

    async def numbers(self, order_ids: Sequence[OrderId]) -> dict[OrderId, list[NumberResult]]:
        """Return what is known of each order's numbers."""
        known: dict[OrderId, list[NumberResult]] = {order_id: [] for order_id in order_ids}
        for row in await self._run("numbers_of", {"order_ids": list(order_ids)}):
            known[row["order_id"]].append(rows.result_from_row(row))
        return known

    async def story(self, order_id: OrderId) -> Story:
        """Return everything about one order.

        Raises:
            UnknownOrder: There is none.
        """
        found = await self._run("read_orders", {"order_ids": [order_id]})
        if not found:
            raise UnknownOrder(order_id)
        return Story(
            now=found[0]["now"],
            order=rows.order_from_row(found[0]),
            numbers=tuple((await self.numbers([order_id]))[order_id]),
            work_items=tuple((await self.work_items([order_id]))[order_id]),
            events=tuple(await self._run("story_of", {"order_id": order_id})),
            receipts=tuple(await self._run("receipts_of", {"order_id": order_id})),
        )

    async def trying_since(self, order_id: OrderId) -> datetime | None:
        """Return since when an order has been tried to be sent in vain; waiting on purpose does not count as trying."""
        (row,) = await self._run("trying_since", {"order_id": order_id})
        return cast("datetime | None", row["since"])

    async def due_since(self, order_id: OrderId) -> datetime:
        """Return from when on an order was to be worked on, after whatever it waited for on purpose at first."""
        (row,) = await self._run("due_since", {"order_id": order_id})
        return cast("datetime", row["since"])

    async def work_items(self, order_ids: Sequence[OrderId]) -> dict[OrderId, list[WorkItem]]:
        """Return what these orders wait for."""
        owed: dict[OrderId, list[WorkItem]] = {order_id: [] for order_id in order_ids}
        for row in await self._run("owed_to", {"order_ids": list(order_ids)}):
            owed[row["order_id"]].append(_debt(row))
        return owed

    async def last_moves(self, order_ids: Sequence[OrderId]) -> dict[OrderId, str]:
        """Return the name of the last event that moved each of these orders."""
        found = await self._run("last_moves", {"order_ids": list(order_ids)})
        return {row["order_id"]: row["event"] for row in found}

    async def waiting_at(
        self, carrier: CarrierName, lane: Lane | None, *, after: OrderId | None, limit: int
    ) -> list[OrderId]:
        """Return orders that wait for their time at a carrier, in a fixed order, from behind `after` on."""
        params = {"carrier": carrier, "lane": lane, "after": after, "limit": limit}
        return [row["order_id"] for row in await self._run("waiting_at", params)]

    async def with_key(self, key: str) -> list[OrderId]:
        """Return the orders that any producer gave this key, newest first."""
        return [row["order_id"] for row in await self._run("find_by_key", {"key": key})]

    async def owner_of(self, carrier: CarrierName, carrier_order_id: CarrierOrderId) -> OrderId | None:
        """Return the order of ours that a carrier's order belongs to, if any."""
        params = {"carrier": carrier, "carrier_order_id": carrier_order_id}
        return next((row["order_id"] for row in await self._run("find_by_carrier_order", params)), None)

    async def list_orders(
        self,
        *,
        states: Sequence[State] | None = None,
        carrier: str | None = None,
        kind: str | None = None,
        older_than: timedelta | None = None,
        younger_than: timedelta | None = None,
        limit: int = 50,
    ) -> list[Mapping[str, Any]]:
        """Return orders, newest first, as rows for a table."""
        params = {
            "states": [str(state) for state in states] if states else None,
            "carrier": carrier,
            "kind": kind,
            "older_than": older_than,
            "younger_than": younger_than,
            "limit": limit,
        }
        return list(await self._run("list_orders", params))

    async def count_by_state(self) -> dict[State, int]:
        """Return how many orders stand in each state."""
        return {State(row["state"]): row["orders"] for row in await self._run("count_by_state", {})}

    async def alarms(self, limit: int = 100) -> list[Mapping[str, Any]]:
        """Return what a person should know, latest first."""
        return list(await self._run("alarms", {"limit": limit}))

    async def clear_alarms(self, alarm_ids: Sequence[int] | None = None) -> list[Mapping[str, Any]]:
        """Put alarms away until they happen again, all of them without ids; return those that stood."""
        params = {"alarm_ids": None if alarm_ids is None else list(alarm_ids)}
        return list(await self._run("clear_alarms", params))

    async def dead_letters(self, limit: int = 100) -> list[Mapping[str, Any]]:
        """Return the messages that nobody could read, latest first."""
        return list(await self._run("dead_letters", {"limit": limit}))

    async def delete_dead_letters(self, letter_ids: Sequence[int]) -> list[Mapping[str, Any]]:
        """Drop messages that nobody could read; return those that were there."""
        return list(await self._run("delete_dead_letters", {"letter_ids": list(letter_ids)}))

    async def forget_receipts(self, older_than: timedelta, *, at_once: int = _FORGOTTEN_AT_ONCE) -> None:
        """Drop the receipts that are older than that, so many with one statement."""
        while True:
            (row,) = await self._run("forget_receipts", {"older_than": older_than, "at_once": at_once})
            if row["forgotten"] < at_once:
                return

    async def store_dead_letter(
        self, *, queue: str, why: str, task_id: str | None, headers: Mapping[str, Any], body: bytes, size: int
    ) -> None:
        """Keep a message that nobody could read."""
        params = {"queue": queue, "why": why, "task_id": task_id, "headers": Jsonb(headers), "body": body, "size": size}
        await self._run("store_dead_letter", params)

    async def _run(self, statement: str, params: Mapping[str, Any]) -> list[DictRow]:
        try:
            return await self._run_once(statement, params)
        except PoolTimeout as trouble:
            raise LedgerUnavailable(f"the ledger gave no connection: {trouble}") from trouble
        except psycopg.errors.QueryCanceled as given_up:
            raise LedgerUnavailable(f"the ledger gave a statement up: {given_up}") from given_up
        except TimeoutError as silence:
            raise LedgerUnavailable(f"the ledger said nothing for {self._silence_s:g} s") from silence
        except _OUT_OF_REACH:
            await self._reconnect()
            return await self._run_again(statement, params)

    async def _run_again(self, statement: str, params: Mapping[str, Any]) -> list[DictRow]:
        try:
            return await self._run_once(statement, params)
        except (TimeoutError, *_OUT_OF_REACH) as trouble:
            raise LedgerUnavailable(f"the ledger does not answer: {trouble!r}") from trouble

    async def _reconnect(self) -> None:
        """Where one connection died, all may have: PostgreSQL was restarted."""
        await self._pool.check()

    async def _run_once(self, statement: str, params: Mapping[str, Any]) -> list[DictRow]:
        async with self._pool.connection() as connection, asyncio.timeout(self._silence_s):
            cursor = await connection.execute(SQL[statement], params)
            return await cursor.fetchall() if cursor.pgresult and cursor.pgresult.nfields else []


def address(url: str) -> str:
    """Return the address of a ledger with what we say of the line, where the URL says nothing of it."""
    return make_conninfo("", **{**_LINE, **conninfo_to_dict(url)})


async def _set_up(statement_s: float, connection: psycopg.AsyncConnection[DictRow]) -> None:
    """Read and write moments in UTC, whatever the server's own time zone: producers are told UTC. Bound statements.

    Statements are planned once for each connection: left to itself, PostgreSQL plans the larger ones anew each time,
    which takes five times as long as doing what they say.
    """
    limit_ms = str(round(statement_s * 1000))
    await connection.execute(
        "SELECT set_config('TimeZone', 'UTC', false), set_config('statement_timeout', %s, false),"
        " set_config('plan_cache_mode', 'force_generic_plan', false)",
        [limit_ms],
    )


def _keyed(wanted: Mapping[OrderId, str]) -> list[dict[str, str]]:
    return [{"order_id": str(order_id), "serial_key": key} for order_id, key in wanted.items()]


def _new_order(order: NewOrder) -> dict[str, Any]:
    return {
        "order_id": str(order.order_id),
        "producer": order.producer,
        "key": order.request.key,
        "fingerprint": order.fingerprint,
        "carrier": order.request.carrier,
        "kind": order.request.kind,
        "account": order.request.account,
        "request": rows.request_to_json(order.request),
        "reason": order.reason,
        "not_before": rows.moment(order.request.not_before),
        "notification": order.notification,
        "channels": list(order.channels),
    }


def _step(recorded: Recorded) -> dict[str, Any]:
    after = recorded.step.order
    return {
        "order_id": str(after.order_id),
        "from_version": recorded.before.version,
        "state": after.state,
        "ends": after.state.is_final,
        "carrier_order_id": after.carrier_order_id,
        "carrier_status": after.carrier_status,
        "reason": after.reason,
        "progress": after.progress if _begins_anew(recorded) else None,
        "cancel_asked_at": rows.moment(after.cancel_asked_at),
        "sends": after.sends,
        "losses": after.losses,
        "doubt_since": rows.moment(after.doubt_since),
        "doubt_asks": after.doubt_asks,
        "event": type(recorded.step.event).__name__,
        "late": recorded.step.late,
        "releases_serial_lock": recorded.step.releases_serial_lock,
        "detail": rows.event_detail(recorded.step.event),
        "numbers": [rows.result_to_json(result) for result in recorded.numbers],
        "effects": [rows.effect_to_json(effect) for effect in recorded.step.effects],
        "notification": recorded.notification,
        "channels": list(recorded.channels),
    }


def _begins_anew(recorded: Recorded) -> bool:
    """Tell whether a step forgets the attempt under way, with whatever was kept of it since the order was read."""
    return not recorded.step.late and begins_anew(recorded.before, recorded.step.event)


def _debt(row: Mapping[str, Any]) -> WorkItem:
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


def _hold(row: Mapping[str, Any]) -> Hold:
    return Hold(
        HeldBy(row["held_by"]),
        row["why"],
        since=row["since"],
        until=row["until"],
        who=row["who"],
        lane=Lane(row["lane"]) if row["lane"] else None,
        limit_group=row["limit_group"],
        carrier=CarrierName(row["carrier"]),
    )


def _pause(row: Mapping[str, Any]) -> Pause:
    return Pause(**{name: row[name] for name in Pause.__slots__})


def _limit(limit: Limit) -> dict[str, Any]:
    spacing_s = limit.spacing.total_seconds() if limit.spacing else None
    return {"limit_group": limit.group, "per_second": limit.per_second, "spacing_s": spacing_s}
