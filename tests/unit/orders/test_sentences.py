"""Every event has a description, and none claims more than the event."""

from typing import Any

import pytest

from number_orders.orders.events import EVENT_TYPES, CarrierNews, OrderAccepted, names_of
from number_orders.orders.sentences import _WORDS, sentence


def row(event: str, *, late: bool = False, **detail: Any) -> dict[str, Any]:
    return {"event": event, "detail": detail, "late": late}


def test_every_event_has_words() -> None:
    assert set(_WORDS) == {OrderAccepted, *EVENT_TYPES}


@pytest.mark.parametrize(
    ("stored", "text"),
    [
        (row("OrderAccepted"), "accepted"),
        (row("NotSent", reason="HTTP 503"), "the attempt failed, to be sent again: HTTP 503"),
        (row("Acknowledged", carrier_order_id="6a", carrier_status="RECEIVED"), "the carrier has it as 6a, RECEIVED"),
        (row("Acknowledged", carrier_order_id="6a"), "the carrier has it as 6a"),
        (row("StillOpen", carrier_status="X", unheard_of=True), "the carrier says X, an unknown status"),
        (row("StillOpen", carrier_status="X", numbers=[{}], detail="soon"), "the carrier says X, 1 number: soon"),
        (row("Filled", carrier_status="COMPLETE", numbers="300 numbers"), "done as asked, COMPLETE, 300 numbers"),
        (
            row("PartlyFilled", carrier_status="PARTIAL", numbers=[{}, {}], reason="none left"),
            "done in part, PARTIAL, 2 numbers: none left",
        ),
        (row("Refused", reason="no such site", code="5040"), "refused, code 5040: no such site"),
        (row("FoundTwice", carrier_order_ids=["6a", "77"]), "found more than once: 6a, 77"),
        (row("Deferred", reason="tainted", numbers=[{}]), "held back by a rule, 1 number: tainted"),
        (
            row("PartSettled", carrier_status="COMPLETED", numbers=[{}], reason="one is tainted"),
            "a part is done, the rest is sent later, COMPLETED, 1 number: one is tainted",
        ),
        (row("CalledBack", carrier_status="CANCELLED", reason="closed"), "the carrier cancelled it, CANCELLED: closed"),
        (row("CancelAsked", by="kim", why="typo"), "cancel asked by kim: typo"),
        (
            row("NumbersAdopted", by="kim", why="on the bill", numbers=[{}]),
            "numbers adopted, 1 number, by kim: on the bill",
        ),
        (
            row("NumbersGivenUp", by="kim", why="gone", numbers="30 numbers"),
            "numbers given up, 30 numbers, by kim: gone",
        ),
        (row("WrittenOff", by="kim", why="over"), "closed as failed by kim: over"),
        (
            row("SetAside", by="kim", why="stuck", waited="asked 9 times"),
            "parked by kim: stuck (it waited: asked 9 times)",
        ),
        (row("SetAside", by="kim", why="stuck"), "parked by kim: stuck"),
        (row("ToldAgain", by="kim", late=True), "notification asked by kim"),
        (row("SomethingNewer", any="thing"), "SomethingNewer"),
    ],
)
def test_events_are_described_with_their_evidence(stored: dict[str, Any], text: str) -> None:
    assert sentence(stored) == text


@pytest.mark.parametrize("event", names_of(CarrierNews))
def test_late_news_is_marked(event: str) -> None:
    assert sentence(row(event, late=True)).endswith("(too late: stored, changed nothing)")


@pytest.mark.parametrize("event", [event.__name__ for event in _WORDS])
def test_an_event_without_evidence_is_described_too(event: str) -> None:
    assert sentence(row(event))
