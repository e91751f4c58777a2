"""What may happen to an order. Every event is something that has happened, told in one word.

Events are facts with their evidence, not decisions: what follows from them stands in
`number_orders.orders.lifecycle`. What kind of thing an event is, its base classes say: the carrier's news, a judgement
of ours, a person's decision or reminder, and more where it matters. The ledger stores an event under the name of its
class (`event_type` reads such a name back), so a concrete event keeps its name for ever.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, get_args

from number_orders.orders.model import CarrierOrderId, NumberResult


class CarrierNews:
    """Something that was learned about the order at the carrier. It may come at any time.

    After the order has come to rest, it is kept in the story and moves nothing.
    """

    __slots__ = ()


class AboutOneAttempt(CarrierNews):
    """News that answers one attempt to send the order, and says nothing about any later attempt."""

    __slots__ = ()


class Judgement:
    """Something that was concluded from the order as it stood. If the order has moved since, it is void."""

    __slots__ = ()


class ByPerson:
    """Something that a person asked for; `by` and `why` are the person's."""

    __slots__ = ()

    by: str
    why: str | None


class PersonsDecision(ByPerson, Judgement):
    """A person decided what becomes of the order."""

    __slots__ = ()


class ClosedByPerson(PersonsDecision):
    """A person closed a parked order. Which of these events it is depends on what the carrier had done by then."""

    __slots__ = ()


class NoProgress:
    """Something that leaves the carrier as it was: a try that did not reach it, or a reminder.

    A row of these, however long, is one series of tries in vain; any other event ends the series.
    """

    __slots__ = ()


class Reminder(ByPerson, NoProgress):
    """A person wants the next step done now. The order itself stays as it is."""

    __slots__ = ()


class HeldBackByRule:
    """A rule of the carrier's allows the next submission at `not_before`, and no sooner."""

    __slots__ = ()

    not_before: datetime


@dataclass(frozen=True, slots=True)
class OrderAccepted:
    """The ledger has the order. Every story begins with it; the lifecycle never hears it."""


@dataclass(frozen=True, slots=True)
class SubmissionBegun(Judgement, NoProgress):
    """A worker is about to send the order. Written before the first byte leaves."""


@dataclass(frozen=True, slots=True)
class NotSent(AboutOneAttempt, NoProgress):
    """The attempt ended with the carrier provably untouched: sending again is safe."""

    reason: str
    not_before: datetime | None = None
    """When to try again, if the carrier said so (429)."""


@dataclass(frozen=True, slots=True)
class Deferred(AboutOneAttempt, HeldBackByRule):
    """The attempt left nothing at the carrier, and must not be repeated before `not_before`: a rule, not a fault."""

    reason: str
    not_before: datetime
    numbers: tuple[NumberResult, ...] = ()
    """Those that wait, each with what it waits for."""


@dataclass(frozen=True, slots=True)
class AnswerLost(AboutOneAttempt):
    """The request may have arrived, and no readable answer came back."""

    reason: str


@dataclass(frozen=True, slots=True)
class Acknowledged(CarrierNews):
    """The carrier has the order and named it.

    A second name for an order that has one means two purchases, unless the carrier's records show that the
    order named in `instead_of` came to nothing because this one had been there before.
    """

    carrier_order_id: CarrierOrderId
    carrier_status: str | None = None
    instead_of: CarrierOrderId | None = None


@dataclass(frozen=True, slots=True)
class StillOpen(CarrierNews):
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
class PartSettled(Judgement, HeldBackByRule):
    """The carrier is done with a part of the order; the rest is to be sent, not before `not_before`."""

    carrier_status: str
    numbers: tuple[NumberResult, ...]
    reason: str
    not_before: datetime
    settled: Mapping[str, object]
    """What is done with, in the adapter's own words: `progress["settled"]` from now on, over every attempt."""


@dataclass(frozen=True, slots=True)
class CalledBack(CarrierNews):
    """The carrier has dropped the order as it was asked to: nothing was bought, nothing will be."""

    reason: str
    carrier_status: str | None = None
    numbers: tuple[NumberResult, ...] = ()


@dataclass(frozen=True, slots=True)
class Filled(CarrierNews):
    """Everything that was asked for, number by number."""

    carrier_status: str
    numbers: tuple[NumberResult, ...]


@dataclass(frozen=True, slots=True)
class PartlyFilled(CarrierNews):
    """Fewer numbers than asked for, and no more will come."""

    carrier_status: str
    numbers: tuple[NumberResult, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class FilledWithErrors(CarrierNews):
    """The carrier says done, yet reports errors, or its lists contradict its status."""

    carrier_status: str
    numbers: tuple[NumberResult, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Refused(AboutOneAttempt):
    """The carrier will not do it: nothing was bought, nothing will be."""

    reason: str
    code: str | None = None
    carrier_status: str | None = None
    numbers: tuple[NumberResult, ...] = ()


@dataclass(frozen=True, slots=True)
class NotListed(CarrierNews, Judgement):
    """The carrier was asked for the order and has nothing on record, which proves little yet."""

    looked: str
    resend: bool = True
    """False: what was prepared is gone as well, so that sending again is for a person to decide."""


@dataclass(frozen=True, slots=True)
class ProvenAbsent(CarrierNews, Judgement):
    """Asked often enough and long enough: the order never arrived."""

    looked: str


@dataclass(frozen=True, slots=True)
class FoundTwice(CarrierNews):
    """The carrier has several orders with our reference. The first is adopted, a person looks."""

    carrier_order_ids: tuple[CarrierOrderId, ...]


@dataclass(frozen=True, slots=True)
class Parked(Judgement):
    """The machine is at its wit's end, and says what it saw."""

    reason: str


@dataclass(frozen=True, slots=True)
class CancelAsked(PersonsDecision):
    """Somebody calls the order back: before it was sent that is its end, afterwards the carrier has a say."""

    by: str
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Adopted(PersonsDecision):
    """A person found the order at the carrier."""

    carrier_order_id: CarrierOrderId
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class SentAgain(PersonsDecision):
    """A person made sure that nothing was bought, and wants it sent once more."""

    by: str
    why: str


@dataclass(frozen=True, slots=True)
class WrittenOff(ClosedByPerson):
    """A person closed the order as failed: nothing is known to have come of it."""

    by: str
    why: str
    numbers: tuple[NumberResult, ...] = ()
    """Those that were named, which are not waited for any more."""


@dataclass(frozen=True, slots=True)
class CutShort(ClosedByPerson):
    """A person closed the order; what the carrier had done of it by then stays."""

    by: str
    why: str
    numbers: tuple[NumberResult, ...] = ()
    """Those of which nothing is known to have come."""


@dataclass(frozen=True, slots=True)
class TakenAsItIs(ClosedByPerson):
    """A person closed the order before the carrier did, and every number is done."""

    by: str
    why: str


@dataclass(frozen=True, slots=True)
class SetAside(PersonsDecision):
    """A person takes the order out of the machine's hands, to decide about it."""

    by: str
    why: str
    waited: str | None = None
    """What it was waiting for."""


@dataclass(frozen=True, slots=True)
class Hurried(Reminder, Judgement):
    """Somebody wants the next try now, whatever it waited for. What it must not do, it still does not."""

    by: str
    why: str | None = None


@dataclass(frozen=True, slots=True)
class ToldAgain(Reminder):
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

Resolution = Adopted | SentAgain | WrittenOff
"""What a person may say of a parked order."""

EVENT_TYPES: Final[tuple[type[Event], ...]] = get_args(Event)

_STORED: Final[dict[str, type]] = {event.__name__: event for event in (OrderAccepted, *EVENT_TYPES)}


def event_type(name: str) -> type:
    """Return the class of an event that is stored under `name`.

    A name from another release is `object`, which is no kind of event.
    """
    return _STORED.get(name, object)


def names_of(kind: type) -> list[str]:
    """Return the names under which events of one kind are stored."""
    return [name for name, event in _STORED.items() if issubclass(event, kind)]
