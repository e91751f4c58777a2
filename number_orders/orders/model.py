"""What an order is, as plain values, in the words of docs/GLOSSARY.md.

Values from outside are checked elsewhere: by the contract (`number_orders_client.contract`) and by the carriers'
adapters. How values are stored or sent is not known here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NewType
from uuid import UUID

from number_orders.orders.numbers import E164

OrderId = NewType("OrderId", UUID)
CarrierName = NewType("CarrierName", str)
CarrierOrderId = NewType("CarrierOrderId", str)


class State(StrEnum):
    """Where an order stands. An order never leaves a final state."""

    ACCEPTED = "ACCEPTED"
    SUBMITTING = "SUBMITTING"
    IN_DOUBT = "IN_DOUBT"
    OPEN = "OPEN"
    PARKED = "PARKED"
    COMPLETED = "COMPLETED"
    PARTIAL = "PARTIAL"
    COMPLETED_WITH_ERRORS = "COMPLETED_WITH_ERRORS"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def is_final(self) -> bool:
        """Whether nothing can move the order any more."""
        return self in FINAL_STATES


FINAL_STATES: Final = frozenset(
    {
        State.COMPLETED,
        State.PARTIAL,
        State.COMPLETED_WITH_ERRORS,
        State.FAILED,
        State.CANCELLED,
    }
)


class Lane(StrEnum):
    """A kind of work that is owed to orders. Each carrier has its own three lanes."""

    SUBMIT = "submit"
    """Send it to the carrier."""
    ASK = "ask"
    """Ask the carrier how the order stands. This is also how doubt is resolved."""
    TELL = "tell"
    """Notify the producer."""


class Kind(StrEnum):
    """What an order asks the carrier to do."""

    NEW_NUMBERS = "new_numbers"
    ADD_MESSAGING_NUMBERS = "add_messaging_numbers"
    REMOVE_NUMBERS = "remove_numbers"


class WhenTainted(StrEnum):
    """What to do with a removal whose numbers are too young to be removed."""

    WAIT = "wait"
    SPLIT = "split"
    FAIL = "fail"


class NumberState(StrEnum):
    """What has become of one number of an order."""

    REQUESTED = "requested"
    ACQUIRED = "acquired"
    USABLE = "usable"
    FAILED = "failed"
    RELEASED = "released"
    WITHDRAWN = "withdrawn"
    """The carrier showed it as ours, and no longer does. It is not held."""


@dataclass(frozen=True, slots=True)
class NumberResult:
    """What the carrier says has become of one number, with the code and the text that it gave."""

    e164: E164
    state: NumberState
    code: str | None = None
    text: str | None = None
    held_since: datetime | None = None
    """For a number that was ours before we learnt of it: since when, by the latest date that is known."""


@dataclass(frozen=True, slots=True)
class Criteria:
    """Which numbers are wanted, when they are not given one by one.

    Text fields: `country` is ISO 3166 alpha-3, `npa` and `nxx` are three digits, `thousands_block` is the one digit
    after them, `vanity` is letters and digits as on a keypad, `toll_free_pattern` is a pattern such as `83*`. With
    `number_type` "toll_free", `vanity` is searched among toll-free numbers.
    """

    country: str | None = None
    number_type: str | None = None
    npa: str | None = None
    nxx: str | None = None
    thousands_block: str | None = None
    city: str | None = None
    state: str | None = None
    rate_center: str | None = None
    lata: str | None = None
    zip: str | None = None
    vanity: str | None = None
    vanity_at_end: bool | None = None
    """With `vanity`: the number must end with it. Otherwise it may stand anywhere."""
    toll_free_pattern: str | None = None
    local_calling_area: bool | None = None
    """With a rate center or an NPA-NXX: also take numbers that are a local call away."""

    def given(self) -> frozenset[str]:
        """Return the names of the criteria that are set."""
        return frozenset(name for name in self.__slots__ if getattr(self, name) is not None)


@dataclass(frozen=True, slots=True)
class Notify:
    """How the producer is notified of the order, and on entering which states."""

    task: str | None = None
    queue: str | None = None
    url: str | None = None
    on: frozenset[State] = FINAL_STATES

    @property
    def channels(self) -> tuple[str, ...]:
        """How the producer is notified: by task, by url, or both."""
        return tuple(name for name, given in (("task", self.task), ("url", self.url)) if given)


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """What the producer asked for. It never changes after the order was accepted.

    Either `numbers` is set, or `criteria` and `quantity` are.
    """

    key: str
    carrier: CarrierName
    kind: Kind
    numbers: tuple[E164, ...] = ()
    criteria: Criteria | None = None
    quantity: int | None = None
    range_size: int | None = None
    allow_partial: bool = True
    allow_backorder: bool = False
    when_tainted: WhenTainted = WhenTainted.WAIT
    not_before: datetime | None = None
    account: str | None = None
    name: str | None = None
    notes: str | None = None
    options: Mapping[str, object] = field(default_factory=dict)
    notify: Notify | None = None

    @property
    def wanted(self) -> int:
        """How many numbers the producer asked for."""
        return len(self.numbers) if self.numbers else self.quantity or 0


SETTLED: Final = "settled"
"""Key in `Order.progress`: the part of the order that the carrier is done with."""


@dataclass(frozen=True, slots=True)
class Order:
    """One order as the ledger has it now."""

    order_id: OrderId
    request: OrderRequest
    accepted_at: datetime
    state: State = State.ACCEPTED
    version: int = 0
    """Number of events in the story. A step is stored only if the order still has the version that was read."""
    carrier_order_id: CarrierOrderId | None = None
    carrier_status: str | None = None
    """The status as the carrier last gave it, in its own word."""
    reason: str | None = None
    """Why the order stands where it stands, for a person to read."""
    progress: Mapping[str, object] = field(default_factory=dict)
    """Steps already done at the carrier, where an order takes several requests.

    They belong to the current attempt. Only what stands under `SETTLED` is kept for later attempts.
    """
    cancel_asked_at: datetime | None = None
    """When somebody cancelled the order while the carrier had it."""
    sends: int = 0
    """Number of submissions begun. The attempt that an answer belongs to is known by this number."""
    losses: int = 0
    """Number of submissions whose answer was lost."""
    doubt_since: datetime | None = None
    """When it was last not known whether an attempt had arrived. It stays after the doubt is over."""
    doubt_asks: int = 0
    """Number of times since `doubt_since` that the carrier was asked and had no record of the order."""
    ended_at: datetime | None = None
    derived_reference: str | None = None
    """See `reference`. None: an order of release 0.1.0, or one that its workers may send."""
    history_lost_at: datetime | None = None
    """When the ledger fell back in time: what was done with the order before that may be forgotten."""
    other_ids: tuple[CarrierOrderId, ...] = ()
    """Carrier orders with its reference, besides the one that it follows."""
    producer: str | None = field(default=None, compare=False)
    """Who ordered. None: not read from the ledger."""
    is_proven: bool = field(default=False, compare=False)
    """Whether its producer has proven itself when it ordered."""
    moved_at: datetime | None = field(default=None, compare=False)
    """When its last event was recorded, as the ledger has it. None: not read from the ledger."""
    trace_parent: str | None = field(default=None, compare=False)
    """Its acceptance in its trace (`orders.trace_context`). None: nobody has begun a trace."""

    @property
    def reference(self) -> str:
        """The name of the order at its carrier (`orders.reference`)."""
        return self.derived_reference or str(self.order_id)

    @property
    def history_in_doubt(self) -> bool:
        """Whether the ledger fell back in time and it was not looked for since: there may be purchases of it."""
        if self.history_lost_at is None or self.request.kind is Kind.REMOVE_NUMBERS:
            return False
        return not self.was_doubted_since(self.history_lost_at)

    def was_doubted_since(self, moment: datetime) -> bool:
        """Return whether it was in doubt, and so looked for at the carrier, since a moment."""
        return self.doubt_since is not None and self.doubt_since >= moment

    @property
    def may_have_arrived(self) -> bool:
        """Whether the carrier may have the order from an attempt that is not known, or whose answer was lost."""
        return self.losses > 0 or self.history_lost_at is not None

    @property
    def may_be_at_carrier(self) -> bool:
        """Whether the carrier may have anything of it, as far as the ledger knows."""
        return bool(self.sends or self.history_lost_at or self.carrier_order_id or self.other_ids)

    @property
    def may_have_others(self) -> bool:
        """Whether there may be a second purchase: sent again in doubt, or others with its reference are known."""
        resent_in_doubt = self.sends > 1 and self.doubt_since is not None
        return (resent_in_doubt or bool(self.other_ids)) and self.request.kind is not Kind.REMOVE_NUMBERS


@dataclass(frozen=True, slots=True)
class Owner:
    """What is known of the order that follows a carrier order."""

    is_complete: bool
    """Whether it ended COMPLETED: it lacks no number."""
    criteria: Criteria | None


HELD_STATES: Final = frozenset({NumberState.ACQUIRED, NumberState.USABLE})
"""The states of numbers that an order has brought."""
_DONE: Final[Mapping[Kind, frozenset[NumberState]]] = MappingProxyType(
    {
        Kind.NEW_NUMBERS: HELD_STATES,
        Kind.ADD_MESSAGING_NUMBERS: HELD_STATES,
        Kind.REMOVE_NUMBERS: frozenset({NumberState.RELEASED}),
    }
)


def count_done(order: Order, results: Iterable[NumberResult]) -> int:
    """Return for how many of these numbers the order has done what was asked for."""
    return sum(is_done(order, result) for result in results)


def is_done(order: Order, result: NumberResult) -> bool:
    """Return whether the order has done with this number what was asked for."""
    return result.state in _DONE[order.request.kind]
