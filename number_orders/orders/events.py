"""What may happen to an order. Every event is something that has happened, told in one word.

Events are facts with their evidence, not decisions: what follows from them stands in
`number_orders.orders.lifecycle`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from number_orders.orders.model import CarrierOrderId, NumberResult


@dataclass(frozen=True, slots=True)
class SubmissionBegun:
    """A worker is about to send the order. Written before the first byte leaves."""


@dataclass(frozen=True, slots=True)
class NotSent:
    """The attempt ended with the carrier provably untouched: sending again is safe."""

    reason: str
    not_before: datetime | None = None
    """When to try again, if the carrier said so (429)."""


@dataclass(frozen=True, slots=True)
class Deferred:
    """The attempt left nothing at the carrier, and must not be repeated before `not_before`: a rule, not a fault."""

    reason: str
    not_before: datetime
    numbers: tuple[NumberResult, ...] = ()
    """Those that wait, each with what it waits for."""


@dataclass(frozen=True, slots=True)
class AnswerLost:
    """The request may have arrived, and no readable answer came back."""

    reason: str


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The carrier has the order and named it.

    A second name for an order that has one means two purchases, unless the carrier's records show that the
    order named in `instead_of` came to nothing because this one had been there before.
    """

    carrier_order_id: CarrierOrderId
    carrier_status: str | None = None
    instead_of: CarrierOrderId | None = None


@dataclass(frozen=True, slots=True)
class StillOpen:
    """The carrier is at work. Also every status never heard of, which is what `unheard_of` says."""

    carrier_status: str
    numbers: tuple[NumberResult, ...] = ()
    detail: str | None = None
    slow: bool = False
    """Backordered or under human review: days, not seconds."""
    unheard_of: bool = False
    alone: bool = True
    """Whether the order still needs to itself what it was alone on (`Adapter.serial_key`)."""


@dataclass(frozen=True, slots=True)
class PartSettled:
    """The carrier is done with a part of the order; the rest is to be sent, not before `not_before`."""

    carrier_status: str
    numbers: tuple[NumberResult, ...]
    reason: str
    not_before: datetime
    settled: Mapping[str, object]
    """What is done with, in the adapter's own words: `progress["settled"]` from now on, over every attempt."""


@dataclass(frozen=True, slots=True)
class CalledBack:
    """The carrier has dropped the order as it was asked to: nothing was bought, nothing will be."""

    reason: str
    carrier_status: str | None = None
    numbers: tuple[NumberResult, ...] = ()


@dataclass(frozen=True, slots=True)
class Filled:
    """Everything that was asked for, number by number."""

    carrier_status: str
    numbers: tuple[NumberResult, ...]


@dataclass(frozen=True, slots=True)
class PartlyFilled:
    """Fewer numbers than asked for, and no more will come."""

    carrier_status: str
    numbers: tuple[NumberResult, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class FilledWithErrors:
    """The carrier says done, yet reports errors, or its lists contradict its status."""

    carrier_status: str
    numbers: tuple[NumberResult, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The carrier will not do it: nothing was bought, nothing will be."""

    reason: str
    code: str | None = None
    carrier_status: str | None = None
    numbers: tuple[NumberResult, ...] = ()


@dataclass(frozen=True, slots=True)
class NotListed:
    """The carrier was asked for the order and has nothing on record, which proves little yet."""

    looked: str
    resend: bool = True
    """False: what was prepared is gone as well, so that sending again is for a person to decide."""


@dataclass(frozen=True, slots=True)
class ProvenAbsent:
    """Asked often enough and long enough: the order never arrived."""

    looked: str


@dataclass(frozen=True, slots=True)
class FoundTwice:
    """The carrier has several orders with our reference. The first is adopted, a person looks."""

    carrier_order_ids: tuple[CarrierOrderId, ...]


@dataclass(frozen=True, slots=True)
class Parked:
    """The machine is at its wit's end, and says what it saw."""

    reason: str


@dataclass(frozen=True, slots=True)
class CancelAsked:
    """Somebody calls the order back: before it was sent that is its end, afterwards the carrier has a say."""

    by: str
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Adopted:
    """A person found the order at the carrier."""

    carrier_order_id: CarrierOrderId
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class SentAgain:
    """A person made sure that nothing was bought, and wants it sent once more."""

    by: str
    why: str


@dataclass(frozen=True, slots=True)
class WrittenOff:
    """A person closed the order as failed: nothing is known to have come of it."""

    by: str
    why: str
    numbers: tuple[NumberResult, ...] = ()
    """Those that were named, which are not waited for any more."""


@dataclass(frozen=True, slots=True)
class CutShort:
    """A person closed the order; what the carrier had done of it by then stays."""

    by: str
    why: str
    numbers: tuple[NumberResult, ...] = ()
    """Those of which nothing is known to have come."""


@dataclass(frozen=True, slots=True)
class TakenAsItIs:
    """A person closed the order before the carrier did, and every number is done."""

    by: str
    why: str


@dataclass(frozen=True, slots=True)
class SetAside:
    """A person takes the order out of the machine's hands, to decide about it."""

    by: str
    why: str
    waited: str | None = None
    """What it was waiting for."""


@dataclass(frozen=True, slots=True)
class Hurried:
    """Somebody wants the next try now, whatever it waited for. What it must not do, it still does not."""

    by: str
    why: str | None = None


@dataclass(frozen=True, slots=True)
class ToldAgain:
    """Somebody wants the producer told now, or once more."""

    by: str
    why: str | None = None


Event = (
    SubmissionBegun
    | NotSent
    | Deferred
    | AnswerLost
    | Acknowledged
    | StillOpen
    | PartSettled
    | CalledBack
    | Filled
    | PartlyFilled
    | FilledWithErrors
    | Refused
    | NotListed
    | ProvenAbsent
    | FoundTwice
    | Parked
    | CancelAsked
    | Adopted
    | SentAgain
    | WrittenOff
    | CutShort
    | TakenAsItIs
    | SetAside
    | Hurried
    | ToldAgain
)

Closing = WrittenOff | CutShort | TakenAsItIs
"""What it comes to that a person closes a parked order: that depends on what the carrier had done of it."""

Decision = Adopted | SentAgain | WrittenOff
"""What a person may say of a parked order."""
