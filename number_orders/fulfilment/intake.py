"""Take orders in: check what a producer sends, then store it, or refuse it and name field and rule.

A refused order costs no carrier call and leaves nothing behind. An accepted order is in the ledger, with its first work
item, before anyone is told that it was accepted.
"""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Protocol
from uuid import UUID

import structlog
from uuid_utils.compat import uuid7

from number_orders.carriers.contract import Adapter
from number_orders.fulfilment.forbidden import no_secret, not_removable
from number_orders.fulfilment.observing import observing
from number_orders.fulfilment.order_reader import OrderReader
from number_orders.fulfilment.ports import Bell, OrderMonitor, Tracer
from number_orders.fulfilment.webhooks.addresses import AddressRules
from number_orders.ledger.allowances import Allowance, drawn_on, find_exceeded, why_exceeded
from number_orders.ledger.intake import Acceptance, NewOrder, Stored, Taken
from number_orders.ledger.removals import NotRemovable, Removal
from number_orders.orders.budget import Above
from number_orders.orders.document import document
from number_orders.orders.errors import Fault, KeyConflict, NotStorable, OrderRefused, UnknownOrder
from number_orders.orders.model import (
    CarrierName,
    Kind,
    Lane,
    Order,
    OrderId,
    OrderRequest,
    State,
)
from number_orders.orders.reference import derive_reference
from number_orders.orders.serialization import fingerprint_of, request_to_json
from number_orders.orders.trace_context import read_trace_parent
from number_orders_client import contract
from number_orders_client.reference import DERIVED_VERSION, derive_order_id

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Ticket:
    """An order that is in the ledger."""

    order_id: OrderId
    key: str
    state: State
    new: bool


@dataclass(frozen=True, slots=True)
class Refusal:
    """An order that was not accepted, and why."""

    key: str | None
    error: OrderRefused


@dataclass(frozen=True, slots=True)
class Prospect:
    """What would become of an order that breaks no rule and has a new key."""

    request: OrderRequest
    limits: Sequence[Allowance]
    """The limits that it draws on, before it takes its numbers."""
    parked: str | None = None
    """Why it would be stored as PARKED, for an operator to approve."""


@dataclass(frozen=True, slots=True)
class Submission:
    """One order as it arrives: `raw` as JSON values, its producer, and its id, if the producer chose one."""

    raw: object
    producer: str
    order_id: UUID | None = None
    is_proven: bool = False
    """Its producer has proven itself, by a token or a signature. Then it may remove only its own numbers."""
    is_id_spent: bool = False
    """Its producer may read the refusal of an earlier message with this id as the answer. Nothing new is accepted."""
    trace_parent: object = None
    """The header `traceparent` as it arrived."""


@dataclass(frozen=True, slots=True)
class _UntracedAcceptance:
    """The acceptance of an order that this process writes into no trace."""

    trace_parent: str | None


class IntakeStore(Protocol):
    """Stores new orders."""

    async def accept(self, orders: Sequence[NewOrder], *, numbers_per_hour: int | None = None) -> Stored: ...

    async def allowances(self, producer: str, *, numbers_per_hour: int | None = None) -> list[Allowance]: ...

    async def find_taken(self, orders: Sequence[NewOrder]) -> list[Taken]: ...

    async def find_key(self, producer: str, key: str) -> OrderId | None: ...


class SecretStore(Protocol):
    """Knows which producers have a secret to sign documents with."""

    async def having(self, producers: Sequence[str]) -> frozenset[str]: ...


class RemovalRights(Protocol):
    """Knows which numbers producers may remove."""

    async def find_not_removable(self, removals: Sequence[Removal]) -> Mapping[OrderId, NotRemovable]: ...


class Intake:
    """Checks orders and stores them."""

    def __init__(
        self,
        store: IntakeStore,
        adapters: Mapping[CarrierName, Adapter],
        bell: Bell,
        *,
        now: Callable[[], datetime],
        numbers_per_hour: int | None = None,
        secrets: SecretStore,
        removals: RemovalRights,
        address_rules: AddressRules | None = None,
        monitor: OrderMonitor | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        """Set up the intake of one process.

        Args:
            store: Where orders are stored.
            adapters: The carriers that orders may name.
            bell: Wakes the workers of new orders.
            now: Returns the present in UTC, for bounds of years; minutes do not matter.
            numbers_per_hour: The budget of producers for whom nobody has set one; None: no limit.
            secrets: Which producers may have documents sent to a URL.
            removals: Which numbers producers that have proven themselves may remove.
            address_rules: To which URLs; by default public ones.
            monitor: Shows the accepted orders.
            tracer: Writes their traces.
        """
        self._store = store
        self._bell = bell
        self._now = now
        self._numbers_per_hour = numbers_per_hour
        self._secrets = secrets
        self._removals = removals
        self._reader = OrderReader(adapters, address_rules or AddressRules(), now)
        self._monitor = monitor
        self._tracer = tracer

    async def submit(
        self,
        raw: object,
        *,
        producer: str,
        order_id: UUID | None = None,
        is_proven: bool = False,
        trace_parent: object = None,
    ) -> Ticket:
        """Take one order in.

        Args:
            raw: The order as JSON values (`number_orders_client.contract.OrderRequest`).
            producer: Who sends it. Keys are unique per producer.
            order_id: Its id, if the producer chose one.
            is_proven: See `Submission`.
            trace_parent: The header `traceparent` that came with it.

        Raises:
            OrderRefused: It breaks a rule, or its key belongs to another order (`KeyConflict`).
            LedgerUnavailable: It may not be stored. Sending it again is safe.
        """
        submission = Submission(raw, producer, order_id, is_proven, trace_parent=trace_parent)
        (outcome,) = await self._take([submission])
        if isinstance(outcome, Refusal):
            raise outcome.error
        return outcome

    async def find(self, key: str, *, producer: str) -> OrderId:
        """Return the order that has this key of this producer.

        Raises:
            UnknownOrder: There is none.
        """
        order_id = await self._store.find_key(producer, key) if key.isprintable() else None
        if order_id is None:
            raise UnknownOrder(f"with the key {key!r:.210} of the producer {producer!r}")
        return order_id

    async def submit_many(
        self, raws: Sequence[object], *, producer: str, is_proven: bool = False, trace_parent: object = None
    ) -> list[Ticket | Refusal]:
        """Take up to 500 orders in. Each is accepted or refused by itself. All belong to one trace, if one is given."""
        if not isinstance(raws, (list, tuple)):
            raise OrderRefused([Fault("orders", "must be a list of orders")])
        if len(raws) > contract.ORDERS_MAX:
            raise OrderRefused([Fault("orders", f"at most {contract.ORDERS_MAX} at once; these are {len(raws)}")])
        submissions = [Submission(raw, producer, is_proven=is_proven, trace_parent=trace_parent) for raw in raws]
        return await self._take(submissions)

    async def check(
        self, raws: Sequence[object], *, producer: str, is_proven: bool = False
    ) -> list[Ticket | Refusal | Prospect]:
        """Return what `submit_many` would do with each order now, and store nothing.

        A refusal; the ticket of an order that is known; or what would become of a new order, budgets included.
        """
        outcomes = [self._checked(Submission(raw, producer, is_proven=is_proven)) for raw in raws]
        good = [outcome for outcome in outcomes if isinstance(outcome, NewOrder)]
        if not good:
            return [outcome for outcome in outcomes if isinstance(outcome, Refusal)]
        taken = {(known.producer, known.key): known for known in await self._store.find_taken(good)}
        forbidden = await self._forbidden(good)
        limits = await self._store.allowances(producer, numbers_per_hour=self._numbers_per_hour)
        foreseen: list[Ticket | Refusal | Prospect] = []
        for outcome in outcomes:
            if isinstance(outcome, Refusal):
                foreseen.append(outcome)
            elif _is_known(outcome, taken):
                foreseen.append(_answer(outcome, Stored({}, {}), taken))
            elif outcome.order_id in forbidden:
                foreseen.append(forbidden[outcome.order_id])
            else:
                foreseen.append(prospect := _foresee(outcome, limits, self._now()))
                if isinstance(prospect, Prospect):
                    stored = State.ACCEPTED if prospect.parked is None else State.PARKED
                    known = Taken(outcome.order_id, producer, outcome.request.key, outcome.fingerprint, stored)
                    taken[producer, known.key] = known
                    limits = limits if prospect.parked else _after(limits, outcome)
        return foreseen

    async def submit_together(self, submissions: Sequence[Submission]) -> list[Ticket | Refusal]:
        """Take in orders that arrived one by one, with few statements; answer each as `submit` would.

        Raises:
            LedgerUnavailable: Some may not be stored. Sending all again is safe.
        """
        names: set[object] = set()
        again = set()
        for index, submission in enumerate(submissions):
            if not names.isdisjoint(new_names := _names(submission)):
                again.add(index)
            names |= new_names
        first = iter(await self._take([one for index, one in enumerate(submissions) if index not in again]))
        # One statement takes each id and each key once. A repetition is answered by a statement after it.
        return [
            (await self._take([one]))[0] if index in again else next(first) for index, one in enumerate(submissions)
        ]

    async def _take(self, submissions: Sequence[Submission]) -> list[Ticket | Refusal]:
        outcomes: list[NewOrder | Ticket | Refusal] = [self._checked(submission) for submission in submissions]
        good = [outcome for outcome in outcomes if isinstance(outcome, NewOrder)]
        if not good:
            return [outcome for outcome in outcomes if isinstance(outcome, Refusal)]
        spent = {submission.order_id for submission in submissions if submission.is_id_spent}
        forbidden = await self._forbidden(good)
        acceptable = [order for order in good if order.order_id not in forbidden and order.order_id not in spent]
        stored, faulty = await self._accept(acceptable)
        self._bell.ring(_lanes_to_wake(good, stored.states))
        self._announce([order for order in good if order.order_id in stored.states], stored.states)
        left = [order for order in good if order.order_id not in stored.states and order.order_id not in faulty]
        found = await self._store.find_taken(left) if left else []
        taken = {(known.producer, known.key): known for known in found}
        return [
            outcome
            if not isinstance(outcome, NewOrder)
            else faulty.get(outcome.order_id)
            or (None if _is_known(outcome, taken) else forbidden.get(outcome.order_id))
            or _answer(outcome, stored, taken, spent)
            for outcome in outcomes
        ]

    def _announce(self, orders: Sequence[NewOrder], states: Mapping[OrderId, State]) -> None:
        """Log and show the orders that are stored now."""
        for order in orders:
            log.info(
                "order_accepted",
                order_id=str(order.order_id),
                key=order.request.key,
                producer=order.producer,
                carrier=order.request.carrier,
                kind=order.request.kind.value,
                quantity=order.request.wanted,
                reference=order.reference,
                state=states[order.order_id].value,
            )
        if self._monitor and orders:
            with observing(self._monitor):
                self._monitor.on_accepted(orders, states)

    async def _forbidden(self, orders: Sequence[NewOrder]) -> dict[OrderId, Refusal]:
        """Return the refusals of orders for which their producers lack something. An order that is known has none."""
        unsigned = await self._unsigned(orders)
        refusals = {
            one.order_id: Refusal(one.request.key, no_secret(one.producer))
            for one in orders
            if one.order_id in unsigned
        }
        removals = [order for order in orders if order.is_proven and order.request.kind is Kind.REMOVE_NUMBERS]
        if removals:
            judged = [Removal(one.order_id, one.producer, one.request.numbers) for one in removals]
            found = await self._removals.find_not_removable(judged)
            refusals |= {
                one.order_id: Refusal(one.request.key, not_removable(one.producer, found[one.order_id]))
                for one in removals
                if one.order_id in found
            }
        return refusals

    async def _unsigned(self, orders: Sequence[NewOrder]) -> frozenset[OrderId]:
        """Return which orders name a URL although their producer has no secret."""
        by_url = [order for order in orders if order.request.notify and order.request.notify.url]
        if not by_url:
            return frozenset()
        having = await self._secrets.having(sorted({order.producer for order in by_url}))
        return frozenset(order.order_id for order in by_url if order.producer not in having)

    async def _accept(self, orders: Sequence[NewOrder]) -> tuple[Stored, dict[OrderId, Refusal]]:
        """Store orders together; return what became of them, and the refusals of those that cannot be stored.

        If the statement fails, each half is tried by itself, down to the single orders that make it fail.
        """
        if not orders:
            return Stored({}, {}), {}
        try:
            return await self._store.accept(orders, numbers_per_hour=self._numbers_per_hour), {}
        except NotStorable as trouble:
            if len(orders) == 1:
                log.exception("order_not_storable", key=orders[0].request.key)
                return Stored({}, {}), {orders[0].order_id: _own_fault(orders[0].request.key, "stored", trouble)}
        half = len(orders) // 2
        first, faulty = await self._accept(orders[:half])
        second, others = await self._accept(orders[half:])
        both = Stored({**first.states, **second.states}, {**first.over_budget, **second.over_budget})
        return both, faulty | others

    def _checked(self, submission: Submission) -> NewOrder | Refusal:
        try:
            request = self._reader.read(submission.raw)
            _check_id(submission, request.key)
            order = _new_order(request, submission, OrderId(submission.order_id or uuid7()))
            return replace(order, acceptance=self._begin(submission))
        except OrderRefused as refused:
            return Refusal(_key(submission.raw), refused)
        except Exception as bug:
            log.exception("order_not_checked", key=_key(submission.raw))
            return _own_fault(_key(submission.raw), "checked", bug)

    def _begin(self, submission: Submission) -> Acceptance:
        """Begin the acceptance of an order in its trace. A process that writes no traces passes the producer's on."""
        given = read_trace_parent(submission.trace_parent)
        if self._tracer:
            with observing(self._tracer):
                return self._tracer.begin(given)
        return _UntracedAcceptance(given)


def _names(submission: Submission) -> set[object]:
    """Return what identifies an order before it is stored: its id, if chosen, and its key, if it has one."""
    key = _key(submission.raw)
    names: set[object] = {(submission.producer, key)} if key is not None else set()
    return names | ({submission.order_id} if submission.order_id else set())


def _key(raw: object) -> str | None:
    key = raw.get("key") if isinstance(raw, Mapping) else None
    return key.encode(errors="replace").decode() if isinstance(key, str) else None


def _check_id(submission: Submission, key: str) -> None:
    """Refuse the id that the client derives for another order: whoever took it would keep that order out."""
    chosen = submission.order_id
    if chosen is not None and chosen.version == DERIVED_VERSION and chosen != derive_order_id(submission.producer, key):
        rule = f"has version {DERIVED_VERSION}, and such ids are derived from producer and key; choose one of another"
        raise OrderRefused([Fault("order_id", rule)])


def _own_fault(key: str | None, done: str, trouble: Exception) -> Refusal:
    """Return the refusal of an order that met a fault of this service."""
    rule = f"could not be {done}, which is a fault of this service; nothing was stored: {trouble!r}"
    return Refusal(key, OrderRefused([Fault("order", rule.encode(errors="replace").decode())]))


def _new_order(request: OrderRequest, submission: Submission, order_id: OrderId) -> NewOrder:
    producer = submission.producer
    on = request.notify.on if request.notify else frozenset()
    accepted = Order(order_id, request, accepted_at=_SET_BY_LEDGER, producer=producer)
    body = request_to_json(request)
    return NewOrder(
        order_id=order_id,
        producer=producer,
        request=request,
        fingerprint=fingerprint_of(body),
        reference=derive_reference(producer, request.key),
        reason="scheduled" if request.not_before else None,
        notification=_first_document(accepted, State.ACCEPTED) if State.ACCEPTED in on else None,
        parked_notification=_first_document(accepted, State.PARKED) if State.PARKED in on else None,
        channels=request.notify.channels if request.notify and not on.isdisjoint(_FIRST_STATES) else (),
        is_proven=submission.is_proven,
        body=body,
    )


def _first_document(accepted: Order, state: State) -> Mapping[str, object]:
    return document(replace(accepted, state=state, version=_FIRST_STATES.index(state)), ())


_FIRST_STATES: Final = (State.ACCEPTED, State.PARKED)
"""The states in which an order may be stored, each at the place of its version: parking it is its second event."""
_SET_BY_LEDGER: Final = datetime.fromtimestamp(0, UTC)
"""A placeholder for the moment of acceptance, which the ledger overwrites: time is PostgreSQL's."""


def _lanes_to_wake(orders: Sequence[NewOrder], states: Mapping[OrderId, State]) -> set[tuple[CarrierName, Lane]]:
    new = [order for order in orders if order.order_id in states]
    due = [order for order in new if order.request.not_before is None and states[order.order_id] is not State.PARKED]
    told = [order for order in new if order.channels]
    return {(order.request.carrier, Lane.SUBMIT) for order in due} | {
        (order.request.carrier, Lane.TELL) for order in told
    }


def _foresee(order: NewOrder, limits: Sequence[Allowance], now: datetime) -> Refusal | Prospect:
    """Say what the budget would do with a new order."""
    drawn = drawn_on(limits, order.request.carrier) if order.numbers else []
    exceeded = find_exceeded(drawn, order.numbers)
    if exceeded is None:
        return Prospect(order.request, drawn)
    why = why_exceeded(exceeded, order.numbers, now)
    if exceeded.above is Above.PARK:
        return Prospect(order.request, drawn, parked=f"budget: {why}")
    return Refusal(order.request.key, OrderRefused([Fault("budget", why)]))


def _after(limits: Sequence[Allowance], order: NewOrder) -> list[Allowance]:
    """Return the limits after an order has taken its numbers."""
    drawn = drawn_on(limits, order.request.carrier) if order.numbers else []
    return [
        replace(limit, taken=limit.taken + order.numbers) if limit in drawn and limit.taken is not None else limit
        for limit in limits
    ]


def _is_known(order: NewOrder, taken: Mapping[tuple[str, str], Taken]) -> bool:
    """Tell whether an order with this key was accepted before, when its producer still had a secret."""
    return (order.producer, order.request.key) in taken


def _answer(
    order: NewOrder,
    stored: Stored,
    taken: Mapping[tuple[str, str], Taken],
    spent: AbstractSet[UUID | None] = frozenset(),
) -> Ticket | Refusal:
    key = order.request.key
    if state := stored.states.get(order.order_id):
        return Ticket(order.order_id, key, state, new=True)
    known = taken.get((order.producer, key))
    if known is None and (exceeded := stored.over_budget.get(order.order_id)):
        return Refusal(key, OrderRefused([Fault("budget", exceeded)]))
    if known is None and order.order_id in spent:
        rule = f"the task id {order.order_id} has the refusal of an earlier message; send this order with a new task id"
        return Refusal(key, OrderRefused([Fault("order_id", rule)]))
    if known is None:
        rule = f"{order.order_id} is the id of an order with another key"
        return Refusal(key, KeyConflict([Fault("order_id", rule)]))
    if known.fingerprint != order.fingerprint:
        rule = f"stands for another order already ({known.order_id}); use a new key for a new order"
        return Refusal(key, KeyConflict([Fault("key", rule)]))
    # `new` also for the message that created the order and was delivered twice. An id that is derived from the key is
    # the same in every message with the order, and does not tell.
    is_its_own = known.order_id == order.order_id != derive_order_id(order.producer, key)
    return Ticket(known.order_id, key, known.state, new=is_its_own)
