"""What an order is, as plain values.

Knows the words of the trade (docs/GLOSSARY.md). Knows nothing of how values are stored or sent;
checking what comes in from outside is the business of the contract (`number_orders_client.contract`)
and of the carriers' adapters.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, NewType
from uuid import UUID

from number_orders.orders.numbers import E164

OrderId = NewType("OrderId", UUID)
CarrierName = NewType("CarrierName", str)
CarrierOrderId = NewType("CarrierOrderId", str)


class State(StrEnum):
    """Where an order stands. Final states are never left."""

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
        """Tell whether nothing can move the order any more."""
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
    """What kind of work is owed to an order."""

    SUBMIT = "submit"
    """Send it to the carrier."""
    ASK = "ask"
    """Ask the carrier how it stands; also the only way out of doubt."""
    TELL = "tell"
    """Tell the producer."""


class Kind(StrEnum):
    """What an order asks of a carrier."""

    NEW_NUMBERS = "new_numbers"
    ADD_MESSAGING_NUMBERS = "add_messaging_numbers"
    REMOVE_NUMBERS = "remove_numbers"


class WhenTainted(StrEnum):
    """What to do with a removal whose numbers are too young to be removed."""

    WAIT = "wait"
    SPLIT = "split"
    FAIL = "fail"


class NumberState(StrEnum):
    """What became of one number of an order."""

    REQUESTED = "requested"
    ACQUIRED = "acquired"
    USABLE = "usable"
    FAILED = "failed"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class NumberResult:
    """What the carrier says became of one number, with its own code and words if it gave any."""

    e164: E164
    state: NumberState
    code: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Criteria:
    """Where the wanted numbers should live, when they are not named one by one.

    Everything is text as the trade writes it: `country` ISO 3166 alpha-3, `npa` and `nxx` three digits,
    `thousands_block` the one digit after them, `vanity` letters and digits as on a keypad,
    `toll_free_pattern` such as `83*`. With `number_type` "toll_free", `vanity` is a toll-free one.
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
    """With `vanity`: the number must end in it, instead of holding it anywhere."""
    toll_free_pattern: str | None = None
    local_calling_area: bool | None = None
    """With a rate center or an NPA-NXX: numbers that are a local call away will do as well."""

    def given(self) -> frozenset[str]:
        """Return the names of the criteria that are set."""
        return frozenset(name for name in self.__slots__ if getattr(self, name) is not None)


@dataclass(frozen=True, slots=True)
class Notify:
    """Where the producer hears of the order, and at which states."""

    task: str | None = None
    queue: str | None = None
    url: str | None = None
    on: frozenset[State] = FINAL_STATES

    @property
    def channels(self) -> tuple[str, ...]:
        """How it is told: by task, by url, or both."""
        return tuple(name for name, given in (("task", self.task), ("url", self.url)) if given)


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """What the producer asked for; never changed once accepted.

    Either `numbers` is filled, or `criteria` and `quantity` are.
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
        """How many numbers the producer wants."""
        return len(self.numbers) if self.numbers else self.quantity or 0


SETTLED: Final = "settled"
"""In `Order.progress`: the part of the order that the carrier is done with."""


@dataclass(frozen=True, slots=True)
class Order:
    """One order as the ledger has it now."""

    order_id: OrderId
    request: OrderRequest
    accepted_at: datetime
    state: State = State.ACCEPTED
    version: int = 0
    """Counts the events of its story; every move is guarded by it."""
    carrier_order_id: CarrierOrderId | None = None
    carrier_status: str | None = None
    """The carrier's own word for where the order stands, as it was last given."""
    reason: str | None = None
    """Why the order stands where it stands, for a person to read."""
    progress: Mapping[str, object] = field(default_factory=dict)
    """Steps already done at the carrier, for carriers that want several.

    They are of the attempt under way, but for what stands under `SETTLED`: that is done with for good.
    """
    cancel_asked_at: datetime | None = None
    """When somebody called it back although the carrier had it."""
    sends: int = 0
    """How often a submission was begun. Tells answers to different attempts apart."""
    losses: int = 0
    """How often a submission was begun and its answer lost."""
    doubt_since: datetime | None = None
    doubt_asks: int = 0
    """How often the carrier was asked since `doubt_since` and had nothing on record."""
    ended_at: datetime | None = None
