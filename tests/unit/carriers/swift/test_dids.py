"""The numbers of an account: one page is read at once, a longer list comes from a reading that began later."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from number_orders.carriers.contract import (
    CarrierAnswer,
    CarrierRequest,
    FindInList,
    KnownNumbers,
    ListedNumbers,
    ListPage,
    LookUpNumbers,
    ReadsLists,
    SaveProgress,
)
from number_orders.orders.errors import NoAnswer, UnreadableAnswer
from number_orders.orders.events import Filled, PartlyFilled, StillOpen
from number_orders.orders.model import Kind, NumberState, Order
from number_orders.orders.numbers import E164, ListedNumber
from tests.unit.carriers.conversations import inquire
from tests.unit.carriers.swift.examples import (
    ACCOUNT,
    CARRIER,
    CHECKED_OUT,
    NOW,
    ONE,
    SINCE,
    THREE,
    TWO,
    answered,
    converse,
    did,
    found,
    listed,
    naming,
    new_numbers,
    open_order,
    removal,
    results,
    shown,
)

LIST = f"/api/v1/accounts/{ACCOUNT}/dids"
LONG = {**CHECKED_OUT, "long_list": True}
NOTHING_KNOWN = KnownNumbers(NOW)


def question_of(order: Order, *answers: CarrierAnswer) -> tuple[FindInList, list[Mapping[str, object]]]:
    """Return what a conversation asks a reading for, and what it has saved before."""
    conversation, kept, unused = CARRIER.ask(order), [], list(answers)
    step = next(conversation)
    while not isinstance(step, FindInList):
        match step:
            case CarrierRequest():
                step = conversation.send(unused.pop(0))
            case SaveProgress():
                kept.append(step.progress)
                step = next(conversation)
            case LookUpNumbers():
                raise AssertionError(step)
    assert not unused
    conversation.close()
    return step, kept


def held(*numbers: E164) -> ListedNumbers:
    """Return what a reading has: these numbers, which came before the cart of a removal."""
    return found(*numbers, after=-timedelta(days=1))


def test_a_list_of_one_page_is_read_at_once() -> None:
    event, requests, kept = converse(
        CARRIER.ask(open_order(naming(Kind.ADD_MESSAGING_NUMBERS))), shown("COMPLETED"), listed(did(ONE), did(TWO))
    )
    assert isinstance(event, Filled)
    assert [one.query.get("after") for one in requests[1:]] == [None]
    assert not any("long_list" in progress for progress in kept)


def test_a_longer_list_is_left_to_a_reading() -> None:
    """It is asked for what came since the cart, and the next attempt does not read the first page again."""
    order = open_order(new_numbers(2))
    asked, kept = question_of(order, shown("COMPLETED"), listed(did(ONE), after="MQ=="))
    assert asked == FindInList(LIST, f"what {order.carrier_order_id} has brought: COMPLETED", (), SINCE)
    assert kept == [LONG]
    again, _ = question_of(open_order(new_numbers(2), progress=LONG), shown("COMPLETED"))
    assert again == asked


@pytest.mark.parametrize(
    ("order", "list_name", "numbers"),
    [
        (open_order(naming(Kind.ADD_MESSAGING_NUMBERS), progress=LONG), LIST, (ONE, TWO)),
        (open_order(removal(ONE), progress=LONG), "/api/v1/dids", (ONE,)),
        (open_order(new_numbers(1), progress={**LONG, "found": [THREE]}), LIST, (THREE,)),
    ],
)  # fmt: skip
def test_numbers_that_are_known_are_asked_for_by_name(order: Order, list_name: str, numbers: tuple[Any, ...]) -> None:
    asked, _ = question_of(order, shown("COMPLETED"))
    assert (asked.list_name, asked.numbers, asked.since) == (list_name, numbers, None)


def test_another_status_is_another_question() -> None:
    """The reading must have begun after the carrier said so."""
    order = open_order(removal(), progress=LONG)
    questions = {question_of(order, shown(status))[0].question for status in ("COMPLETED", "ERROR")}
    assert len(questions) == 2


def test_a_removal_asks_for_the_age_of_its_numbers() -> None:
    conversation = CARRIER.submit(open_order(removal(ONE, TWO), progress={"long_list": True}))
    assert next(conversation) == LookUpNumbers((ONE, TWO))
    from_ledger = conversation.send(NOTHING_KNOWN)
    assert from_ledger == FindInList("/api/v1/dids", "the age of the numbers of a removal", (ONE, TWO))


def test_what_a_reading_has_found_ends_the_order() -> None:
    order = open_order(naming(Kind.ADD_MESSAGING_NUMBERS), progress=LONG)
    event, requests, _ = converse(CARRIER.ask(order), shown("COMPLETED"), found(ONE, TWO))
    assert event == Filled("COMPLETED", results(NumberState.USABLE, ONE, TWO))
    assert len(requests) == 1


def test_one_reading_does_not_prove_that_a_number_is_gone() -> None:
    """Nothing is told as released before two readings in a row have not shown it."""
    order = open_order(removal(ONE, TWO), progress=LONG)
    first, _, kept = converse(CARRIER.ask(order), shown("COMPLETED"), found())
    assert isinstance(first, StillOpen)
    assert first.numbers == ()
    order = open_order(removal(ONE, TWO), progress=dict(kept[-1]))
    second, _, _ = converse(CARRIER.ask(order), shown("COMPLETED"), found())
    assert second == Filled("COMPLETED", results(NumberState.RELEASED, ONE, TWO))


def test_a_number_that_one_reading_missed_is_not_released() -> None:
    """The reading in between showed it: it counts as gone only if the next two do not."""
    progress: Mapping[str, object] = LONG
    seen = []
    for reading in (held(ONE), held(ONE, TWO), held(ONE), held(ONE)):
        order = open_order(removal(ONE, TWO), progress=progress)
        event, _, kept = converse(CARRIER.ask(order), shown("COMPLETED"), reading)
        progress = kept[-1] if kept else progress
        seen.append({one.e164: one.state for one in getattr(event, "numbers", ())})
    left, gone = NumberState.FAILED, NumberState.RELEASED
    assert seen == [{}, {ONE: left, TWO: left}, {}, {ONE: left, TWO: gone}]


def test_a_purchase_settles_by_the_age_of_its_readings() -> None:
    """What a reading shows is as old as its beginning: numbers that were read before have not settled since."""
    pending = {**LONG, "looks": 2, "seen": 1, "seen_since": (NOW - timedelta(minutes=11)).isoformat()}
    order = open_order(new_numbers(2), progress=pending)
    number = ListedNumber(ONE, SINCE + timedelta(minutes=1), {"sms": "PENDING"})
    for began_at, alone in ((NOW - timedelta(minutes=2), True), (NOW, False)):
        reading = ListedNumbers(began_at, (number,))
        event, _, _ = converse(CARRIER.ask(order), shown("COMPLETED"), reading, NOTHING_KNOWN, NOTHING_KNOWN)
        assert isinstance(event, StillOpen)
        assert event.alone is alone


def test_a_number_is_as_it_was_before_it_went_through_a_reading() -> None:
    """Also one that no numbering plan allows, and one without messaging."""
    odd = did("9191550100", "SOMETHING", mms_status=None)
    _, page = inquire(CARRIER.read_page(LIST, "MQ=="), listed(odd, did(TWO), after="Mg=="))
    assert page.after == "Mg=="
    assert page.numbers[0] == ListedNumber(
        page.numbers[0].e164, SINCE + timedelta(minutes=1), {"sms": "SOMETHING", "written": "9191550100"}
    )
    order = open_order(new_numbers(2), progress=LONG)
    event, _, _ = converse(
        CARRIER.ask(order), shown("COMPLETED"),
        ListedNumbers(NOW, page.numbers), NOTHING_KNOWN,
    )  # fmt: skip
    assert isinstance(event, StillOpen)
    assert [one.text for one in event.numbers if one.text] == [
        "the carrier writes 9191550100, which no numbering plan allows"
    ]


def test_a_page_is_asked_for_by_its_cursor() -> None:
    requests, page = inquire(CARRIER.read_page(LIST, None), listed(did(ONE)))
    assert [(one.method, one.path, dict(one.query)) for one in requests] == [("GET", LIST, {"limit": "100"})]
    assert page == ListPage((page.numbers[0],), None)
    (request,), _ = inquire(CARRIER.read_page(LIST, "MQ=="), listed(did(ONE), after="Mg=="))
    assert dict(request.query) == {"limit": "100", "after": "MQ=="}
    assert isinstance(CARRIER, ReadsLists)


@pytest.mark.parametrize(("after", "goes_on"), [(None, False), ("MQ==", False), ("Mg==", True)])
def test_an_empty_page_is_the_last_unless_it_has_another_cursor(after: str | None, goes_on: bool) -> None:
    """All its numbers may have been removed, or it repeats what it was asked for."""
    _, page = inquire(CARRIER.read_page(LIST, "MQ=="), listed(after=after))
    assert page == ListPage((), "Mg==" if goes_on else None)


@pytest.mark.parametrize(
    ("answer", "error"),
    [(answered(502), NoAnswer), (answered(400), NoAnswer), (answered(200, {"type": "order"}), UnreadableAnswer)],
)
def test_a_page_that_is_none_is_an_error(answer: CarrierAnswer, error: type[Exception]) -> None:
    with pytest.raises(error):
        inquire(CARRIER.read_page(LIST, None), answer)


def test_a_partial_removal_is_proven_too() -> None:
    """What is gone needs two readings; what is left is for the lanes to believe."""
    progress = {**LONG, "gone": [TWO]}
    order = open_order(removal(ONE, TWO), progress=progress)
    event, _, _ = converse(CARRIER.ask(order), shown("COMPLETED_WITH_ERRORS"), held(ONE), NOTHING_KNOWN)
    assert isinstance(event, PartlyFilled)
