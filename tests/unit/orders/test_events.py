from dataclasses import fields

import pytest

from number_orders.orders.events import (
    EVENT_TYPES,
    AboutOneAttempt,
    AnswerLost,
    ByPerson,
    CarrierNews,
    ClosedByPerson,
    Deferred,
    Event,
    HeldBackByRule,
    Judgement,
    NoProgress,
    OrderAccepted,
    PersonsDecision,
    Reminder,
    event_type,
    names_of,
)
from tests.unit.orders.lifecycle_examples import EXAMPLES

CARRIER_NEWS = """
    NotSent Deferred AnswerLost Acknowledged StillOpen CalledBack Filled PartlyFilled FilledWithErrors Refused
    NotListed ProvenAbsent FoundTwice
"""
JUDGEMENTS = """
    SubmissionBegun HistoryLost PartSettled NotListed ProvenAbsent LookedAgain Parked
    CancelAsked Adopted NumbersAdopted NumbersGivenUp SentAgain WrittenOff CutShort TakenAsItIs SetAside Hurried
"""


@pytest.mark.parametrize("event", EVENT_TYPES)
def test_every_event_is_news_a_judgement_or_a_persons_request(event: type[Event]) -> None:
    """What happens to an event whose order has moved or is at rest depends on its kind."""
    assert issubclass(event, CarrierNews | Judgement | ByPerson)


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (CarrierNews, CARRIER_NEWS),
        (AboutOneAttempt, "NotSent Deferred AnswerLost Refused"),
        (Judgement, JUDGEMENTS),
        (ClosedByPerson, "WrittenOff CutShort TakenAsItIs"),
        (
            PersonsDecision,
            "CancelAsked Adopted NumbersAdopted NumbersGivenUp SentAgain WrittenOff CutShort TakenAsItIs SetAside",
        ),
        (Reminder, "Hurried ToldAgain"),
        (HeldBackByRule, "Deferred PartSettled"),
        (NoProgress, "SubmissionBegun NotSent Hurried ToldAgain"),
    ],
)
def test_a_kind_holds_these_events_and_no_others(kind: type, names: str) -> None:
    """Written out by name: a base class left out by mistake would change what moves an order."""
    assert names_of(kind) == names.split()


@pytest.mark.parametrize("event", EXAMPLES)
def test_an_event_has_the_fields_that_its_kind_promises(event: Event) -> None:
    """A base class only names the fields; each event declares them itself, and has slots."""
    named = {field.name for field in fields(event)}

    assert not isinstance(event, ByPerson) or {"by", "why"} <= named
    assert not isinstance(event, HeldBackByRule) or "not_before" in named
    assert not hasattr(event, "__dict__")


@pytest.mark.parametrize("event", [OrderAccepted, *EVENT_TYPES])
def test_a_stored_name_is_read_back_as_its_event(event: type) -> None:
    """The ledger stores the name of the class."""
    assert event_type(event.__name__) is event


@pytest.mark.parametrize("kind", [CarrierNews, Judgement, ByPerson, NoProgress, HeldBackByRule, AnswerLost, Deferred])
@pytest.mark.parametrize("name", ["SomethingNewer", ""])
def test_a_name_of_another_release_is_no_kind_of_event(name: str, kind: type) -> None:
    """During an upgrade a worker of the old release reads what one of the new release wrote."""
    assert not issubclass(event_type(name), kind)
