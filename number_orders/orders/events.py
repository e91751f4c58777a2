"""What can happen to an order. An event is something that has happened, with its evidence.

What follows from an event stands in `number_orders.orders.lifecycle`. The base classes of an event say what kind of
thing it is: news from the carrier, a judgement of ours, a decision of a person. The ledger stores an event under the
name of its class, and `event_type` reads that name back: never rename the class of an event.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, get_args

from number_orders.orders.model import CarrierOrderId, NumberResult


class CarrierNews:
    """Something that was learned about the order at the carrier. It may arrive at any time.

    In a state at rest it is kept in the order's story and moves nothing.
    """

    __slots__ = ()


class AboutOneAttempt(CarrierNews):
    """News that answers one attempt to send the order, and says nothing about any later attempt."""

    __slots__ = ()


class Judgement:
    """Something that was concluded from the order as it stood. It is void if the order has moved since."""

    __slots__ = ()


class ByPerson:
    """Something that a person asked for. `by` is the person, `why` the reason given."""

    __slots__ = ()

    by: str
    why: str | None


class PersonsDecision(ByPerson, Judgement):
    """A person decided what becomes of the order."""

    __slots__ = ()


class ClosedByPerson(PersonsDecision):
    """A person closed a parked order. What the carrier had done by then decides which of these events it is."""

    __slots__ = ()


class NoProgress:
    """Something that changes nothing at the carrier: an attempt begins, an attempt does not reach it, a reminder.

    Such events in a row are one series of attempts in vain. Any other event ends the series.
    """

    __slots__ = ()


class Reminder(ByPerson, NoProgress):
    """A person wants the next step done now. The order stays as it is."""

    __slots__ = ()


class HeldBackByRule:
    """A rule of the carrier forbids the next submission before `not_before`."""

    __slots__ = ()

    not_before: datetime


@dataclass(frozen=True, slots=True)
class OrderAccepted:
    """The ledger has the order. The first entry of every story; `advance` never receives it."""


@dataclass(frozen=True, slots=True)
class SubmissionBegun(Judgement, NoProgress):
    """A worker is about to send the order. Written before the first byte leaves."""


@dataclass(frozen=True, slots=True)
class HistoryLost(Judgement):
    """The ledger fell back in time at `since`: it may have forgotten attempts to send the order."""

    since: datetime
    reason: str = "the ledger fell back in time, and may have forgotten that it was sent"


@dataclass(frozen=True, slots=True)
class NotSent(AboutOneAttempt, NoProgress):
    """The attempt provably did not reach the carrier, so it is safe to send the order again."""

    reason: str
    not_before: datetime | None = None
    """When to try again, if the carrier gave a time (HTTP 429)."""


@dataclass(frozen=True, slots=True)
class Deferred(AboutOneAttempt, HeldBackByRule):
    """The attempt left nothing at the carrier. A rule, not a fault, forbids the next one before `not_before`."""

    reason: str
    not_before: datetime
    numbers: tuple[NumberResult, ...] = ()
    """The numbers that wait, each with what it waits for."""


@dataclass(frozen=True, slots=True)
class AnswerLost(AboutOneAttempt):
    """The request may have arrived, but no readable answer came back."""

    reason: str


@dataclass(frozen=True, slots=True)
class Acknowledged(CarrierNews):
    """The carrier has the order and gave it an id.

    A second id for the same order means two purchases. The exception is `instead_of`: the carrier's records show that
    the order with that id came to nothing, because this one was there before.
    """

    carrier_order_id: CarrierOrderId
    carrier_status: str | None = None
    instead_of: CarrierOrderId | None = None


UNKNOWN_ORDER: Final = "404"
"""The status of an order that its carrier does not know, or does not know any more."""


@dataclass(frozen=True, slots=True)
class StillOpen(CarrierNews):
    """The carrier is working on the order, or reports a status that its documents do not list (`unheard_of`)."""

    carrier_status: str
    numbers: tuple[NumberResult, ...] = ()
    detail: str | None = None
    slow: bool = False
    """Backordered or under human review: it takes days, not seconds."""
    unheard_of: bool = False
    alone: bool = True
    """Whether the order still needs its serial lock (`Adapter.serial_keys`)."""


@dataclass(frozen=True, slots=True)
class PartSettled(Judgement, HeldBackByRule):
    """The carrier is done with a part of the order. The rest is sent later, not before `not_before`."""

    carrier_status: str
    numbers: tuple[NumberResult, ...]
    reason: str
    not_before: datetime
    settled: Mapping[str, object]
    """What is done, in the adapter's own terms. It becomes `progress["settled"]` and stays through all attempts."""
    contradicted: bool = False
    """Numbers are gone although the carrier reports that it failed."""


@dataclass(frozen=True, slots=True)
class CalledBack(CarrierNews):
    """The carrier has cancelled the order on our request: nothing was bought and nothing will be."""

    reason: str
    carrier_status: str | None = None
    numbers: tuple[NumberResult, ...] = ()


@dataclass(frozen=True, slots=True)
class Filled(CarrierNews):
    """The carrier did everything that was asked for, number by number."""

    carrier_status: str
    numbers: tuple[NumberResult, ...]


@dataclass(frozen=True, slots=True)
class PartlyFilled(CarrierNews):
    """The carrier did fewer numbers than asked for, and no more will come."""

    carrier_status: str
    numbers: tuple[NumberResult, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class FilledWithErrors(CarrierNews):
    """The carrier says that it is done, but reports errors, or its lists contradict its status."""

    carrier_status: str
    numbers: tuple[NumberResult, ...]
    reason: str
    carrier_order_ids: tuple[CarrierOrderId, ...] = ()
    """The carrier orders with our reference that bought them, if there are several. This raises an alarm."""


@dataclass(frozen=True, slots=True)
class Refused(AboutOneAttempt):
    """The carrier refused the order: nothing was bought and nothing will be."""

    reason: str
    code: str | None = None
    carrier_status: str | None = None
    numbers: tuple[NumberResult, ...] = ()


@dataclass(frozen=True, slots=True)
class NotListed(CarrierNews, Judgement):
    """The carrier was asked and has no record of the order. Alone, this proves little."""

    looked: str
    resend: bool = True
    """False: what was prepared at the carrier is gone as well, so a person decides whether to send again."""
    shows_references: bool = False
    """Whether the list shows references of ours, so that an order with this one would have been seen."""


@dataclass(frozen=True, slots=True)
class ProvenAbsent(CarrierNews, Judgement):
    """The carrier was asked often enough for long enough: the order never arrived."""

    looked: str


@dataclass(frozen=True, slots=True)
class FoundTwice(CarrierNews):
    """The carrier has several orders with our reference. The first is adopted, and a person decides."""

    carrier_order_ids: tuple[CarrierOrderId, ...]


@dataclass(frozen=True, slots=True)
class LookedAgain(Judgement):
    """A late look at an order that has ended: what else the carrier has with our reference."""

    detail: str
    carrier_order_ids: tuple[CarrierOrderId, ...] = ()
    """The carrier orders that bought `numbers`, or that are still open."""
    numbers: tuple[NumberResult, ...] = ()
    """What they bought and the order did not know, and what the carrier has withdrawn."""
    look_again: bool = False
    """One of them is still open."""


@dataclass(frozen=True, slots=True)
class Parked(Judgement):
    """The service cannot go on without a person. `reason` says what it found."""

    reason: str
    carrier_order_id: CarrierOrderId | None = None
    """A carrier order with our reference that is the reason."""


@dataclass(frozen=True, slots=True)
class CancelAsked(PersonsDecision):
    """Somebody cancels the order. Before it was sent, that ends it; afterwards the carrier is asked to cancel it."""

    by: str
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Adopted(PersonsDecision):
    """A person found the order at the carrier."""

    carrier_order_id: CarrierOrderId
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class NumbersAdopted(PersonsDecision):
    """A person adopted numbers that the carrier says we hold, and the ledger did not have. The end stays."""

    by: str
    why: str
    numbers: tuple[NumberResult, ...]


@dataclass(frozen=True, slots=True)
class NumbersGivenUp(PersonsDecision):
    """A person gave up numbers of the order that the carrier does not have as ours any more. The end stays."""

    by: str
    why: str
    numbers: tuple[NumberResult, ...]


@dataclass(frozen=True, slots=True)
class SentAgain(PersonsDecision):
    """A person made sure that nothing was bought, and wants the order sent again."""

    by: str
    why: str
    not_before: datetime | None = None
    """For an order that its producer's budget had parked: when the producer wants it sent."""


@dataclass(frozen=True, slots=True)
class WrittenOff(ClosedByPerson):
    """A person closed the order as failed: none of its numbers is known to be done."""

    by: str
    why: str
    numbers: tuple[NumberResult, ...] = ()
    """The numbers that were asked for by name and are given up."""


@dataclass(frozen=True, slots=True)
class CutShort(ClosedByPerson):
    """A person closed the order as partly done: the numbers done by then stay done."""

    by: str
    why: str
    numbers: tuple[NumberResult, ...] = ()
    """The numbers that are not done."""


@dataclass(frozen=True, slots=True)
class TakenAsItIs(ClosedByPerson):
    """A person closed the order with every number done, before the carrier had ended it."""

    by: str
    why: str


@dataclass(frozen=True, slots=True)
class SetAside(PersonsDecision):
    """A person parked the order, to decide about it."""

    by: str
    why: str
    waited: str | None = None
    """What the order was waiting for."""


@dataclass(frozen=True, slots=True)
class Hurried(Reminder, Judgement):
    """A person wants the next attempt or question now. Rules, limits and locks still hold."""

    by: str
    why: str | None = None


@dataclass(frozen=True, slots=True)
class ToldAgain(Reminder):
    """A person wants the producer notified now, or once more. It may happen in every state."""

    by: str
    why: str | None = None


Event = (
    SubmissionBegun
    | HistoryLost
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
    | LookedAgain
    | Parked
    | CancelAsked
    | Adopted
    | NumbersAdopted
    | NumbersGivenUp
    | SentAgain
    | WrittenOff
    | CutShort
    | TakenAsItIs
    | SetAside
    | Hurried
    | ToldAgain
)

CarriersEnd = Filled | PartlyFilled | FilledWithErrors | Refused | CalledBack
"""How a carrier ends an order."""

Resolution = Adopted | SentAgain | WrittenOff
"""What a person may decide about a parked order."""

EVENT_TYPES: Final[tuple[type[Event], ...]] = get_args(Event)

_STORED: Final[dict[str, type]] = {event.__name__: event for event in (OrderAccepted, *EVENT_TYPES)}


def event_type(name: str) -> type:
    """Return the class of the event that is stored under `name`.

    Return `object`, which is no kind of event, for a name that only another release knows.
    """
    return _STORED.get(name, object)


def names_of(kind: type) -> list[str]:
    """Return the names under which events of one kind (a base class or one event) are stored."""
    return [name for name, event in _STORED.items() if issubclass(event, kind)]
