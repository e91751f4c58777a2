"""The status of an order at Swift: its texts, the numbers that came, and whether they are usable."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from number_orders.carriers.contract import CarrierAnswer, KnownNumbers
from number_orders.carriers.swift.adapter import Swift
from number_orders.carriers.swift.facts import LOOKS_TO_SETTLE, LOOKS_WANTED_UNAVAILABLE, SETTLE_AFTER
from number_orders.orders.errors import Mistake, NoAnswer, UnreadableAnswer
from number_orders.orders.events import Event, Filled, FilledWithErrors, Parked, PartlyFilled, Refused, StillOpen
from number_orders.orders.model import CarrierOrderId, Criteria, Kind, NumberResult, NumberState, OrderRequest, Owner
from number_orders.orders.numbers import E164
from tests.unit.carriers.swift.examples import (
    ACCOUNT,
    CARRIER,
    CART,
    CHECKED_OUT,
    HTML,
    NOW,
    ONE,
    REFERENCE,
    SINCE,
    SUB,
    THREE,
    TWO,
    Said,
    added,
    an_order,
    answered,
    cart,
    converse,
    did,
    entry,
    failed,
    listed,
    naming,
    new_numbers,
    open_order,
    order_data,
    results,
    shown,
)

KNOWN = KnownNumbers(NOW)
USABLE, ACQUIRED = NumberState.USABLE, NumberState.ACQUIRED
BROUGHT = naming(Kind.ADD_MESSAGING_NUMBERS, ONE, TWO)


def asked(*said: Said, request: OrderRequest | None = None, **progress: Any) -> Event:
    return converse(CARRIER.ask(open_order(request, progress={**CHECKED_OUT, **progress})), *said)[0]


@pytest.mark.parametrize("status", ["NEW", "PROCESSING"])
def test_a_new_or_processing_order_is_open(status: str) -> None:
    event, requests, _ = converse(CARRIER.ask(open_order()), shown(status))
    assert event == StillOpen(status, detail="checkout cart")
    assert [(one.method, one.path) for one in requests] == [("GET", f"/api/v1/orders/{CART}")]


OTHER = "0192f0c1-7a1b-7c3d-8e4f-5a6b7c8d9e00"


@pytest.mark.parametrize("status", ["NEW", "COMPLETED", "ERROR", "AWAITING_STARLIGHT"])
@pytest.mark.parametrize(
    "shows",
    [{"reference_id": OTHER}, {"reference_id": "by hand"}, {"name": f"number-orders {OTHER}"},
     {"reference_id": OTHER, "name": f"number-orders {OTHER} Spring"}],
)  # fmt: skip
def test_an_order_of_another_is_not_taken_for_ours(shows: dict[str, str], status: str) -> None:
    """A person may have adopted the wrong one. Its numbers are not even looked at."""
    event = asked(shown(status, **shows))
    assert isinstance(event, Parked)
    assert all(word in event.reason for word in (CART, status, *shows.values()))


@pytest.mark.parametrize(
    "shows",
    [{"reference_id": REFERENCE}, {"reference_id": None, "name": "cart name"}, {"name": None},
     {"reference_id": "by hand", "name": f"number-orders {REFERENCE} Spring"}],
)  # fmt: skip
def test_an_order_with_our_id_or_without_any_may_be_ours(shows: dict[str, str | None]) -> None:
    assert isinstance(asked(shown("NEW", **shows)), StillOpen)


def test_an_unknown_status_of_an_order_is_open_and_marked() -> None:
    assert asked(shown("AWAITING_STARLIGHT")) == StillOpen(
        "AWAITING_STARLIGHT", detail="checkout cart", unheard_of=True
    )


def test_messaging_orders_are_asked_about_slowly() -> None:
    assert asked(shown("PROCESSING"), request=BROUGHT) == StillOpen("PROCESSING", detail="checkout cart", slow=True)


def test_an_order_answered_404_is_open_and_marked() -> None:
    event = asked(answered(404))
    assert isinstance(event, StillOpen)
    assert event.unheard_of


def test_an_order_without_a_carrier_order_id_is_a_mistake() -> None:
    with pytest.raises(Mistake):
        converse(CARRIER.ask(open_order(carrier_order_id=None)))


@pytest.mark.parametrize("answer", [answered(500), answered(403), answered(200), answered(200, HTML), answered(302)])
def test_an_error_or_empty_answer_is_no_answer(answer: CarrierAnswer) -> None:
    with pytest.raises(NoAnswer):
        asked(answer)


@pytest.mark.parametrize(
    "answer", [answered(200, b"{"), answered(200, []), cart(), shown(None), shown(7), shown(id="01OTHER")]
)
def test_another_order_than_asked_for_is_unreadable(answer: CarrierAnswer) -> None:
    with pytest.raises(UnreadableAnswer):
        asked(answer)


def test_the_numbers_that_came_since_the_cart_are_the_orders() -> None:
    order = open_order(new_numbers(2, criteria={"npa": "919", "nxx": "555"}))
    others = [
        did("+14165550100"),  # in another area
        did("+19192550100"),  # at another exchange
        did("+19195550109", after=timedelta(minutes=-1)),  # there before
        did("12345"),  # no number
    ]
    event, requests, kept = converse(CARRIER.ask(order), shown("COMPLETED"), listed(*others, did(TWO), did(ONE)), KNOWN)
    assert event == Filled("COMPLETED", results(USABLE, TWO, ONE))
    assert [(one.path, dict(one.query)) for one in requests[1:]] == [
        (f"/api/v1/accounts/{ACCOUNT}/dids", {"limit": "100"})
    ]
    assert kept[-1]["found"] == [TWO, ONE]


def written_as(number: object, **more: Any) -> Any:
    return {**did(**more), "number": number}


@pytest.mark.parametrize("written", ["9191550100", "19191550100", "919.155.0100", "+1 (919) 155-0100"])
def test_a_number_that_no_plan_allows_is_kept_with_its_text(written: str) -> None:
    """Its exchange begins with 1, and it was bought all the same."""
    for sms, state in (("AVAILABLE", USABLE), ("PENDING", ACQUIRED)):
        event = asked(shown("COMPLETED"), listed(written_as(written, sms=sms), did(TWO)), KNOWN)
        text = f"the carrier writes {written}, which no numbering plan allows"
        assert isinstance(event, Filled | StillOpen)
        kept = NumberResult(E164("+19191550100"), state, None, text)
        assert event.numbers == (kept, *results(USABLE, TWO))


def test_a_number_that_is_written_unusually_is_read() -> None:
    event = asked(shown("COMPLETED"), listed(written_as("+1 (919) 555-0101"), did(TWO)), KNOWN)
    assert event == Filled("COMPLETED", results(USABLE, ONE, TWO))


@pytest.mark.parametrize("written", ["12345", "", "CALL-ME-NOW", "+", "-", None, 9195550100, "1" * 17, "+٩١٩١٥٥٠١٠٠"])
def test_what_is_no_number_at_all_is_left_out(written: object) -> None:
    event = asked(shown("COMPLETED"), listed(did(ONE), did(TWO), written_as(written)), KNOWN)
    assert event == Filled("COMPLETED", results(USABLE, ONE, TWO))


@pytest.mark.parametrize(
    "answer",
    [answered(200, {"type": "list", "data": {"items": [1]}}), answered(200, {"type": "list", "data": {"items": [{}]}}),
     answered(200, {"type": "list", "data": {}}), shown(), listed(did(ONE, inserted_at=None))],
)  # fmt: skip
def test_a_body_that_is_not_a_list_of_numbers_is_unreadable(answer: CarrierAnswer) -> None:
    with pytest.raises(UnreadableAnswer):
        asked(shown("COMPLETED"), answer)


def test_a_sub_accounts_numbers_are_its_own() -> None:
    order = open_order(new_numbers(1, account=SUB))
    _, requests, _ = converse(CARRIER.ask(order), shown("COMPLETED"), listed(did(ONE)), KNOWN)
    assert [one.path for one in requests] == [
        f"/api/v1/accounts/{SUB}/orders/{CART}",
        f"/api/v1/accounts/{SUB}/dids",
    ]


def test_without_the_carts_account_all_numbers_are_read() -> None:
    order = open_order(new_numbers(1), progress={**CHECKED_OUT, "account": None})
    _, requests, _ = converse(CARRIER.ask(order), shown("COMPLETED"), listed(did(ONE)), KNOWN)
    assert requests[1].path == "/api/v1/dids"


def test_the_numbers_of_other_orders_are_left_to_them() -> None:
    known = KnownNumbers(NOW, of_other_orders=frozenset({THREE}))
    assert asked(shown("COMPLETED"), listed(did(ONE), did(TWO), did(THREE)), known) == Filled(
        "COMPLETED", results(USABLE, ONE, TWO)
    )


def test_a_number_that_another_order_had_before_has_come_again() -> None:
    """It left by hand and was bought again by this order: it came after the cart, which another order's cannot have."""
    said = (shown("COMPLETED"), listed(did(ONE), did(TWO)))
    before, after = NOW - timedelta(days=1), NOW + timedelta(minutes=1)
    others = frozenset({TWO})
    again = KnownNumbers(NOW, {TWO: before}, of_other_orders=others)
    assert asked(*said, again) == Filled("COMPLETED", results(USABLE, ONE, TWO))
    meanwhile = KnownNumbers(NOW, {TWO: after}, of_other_orders=others)
    to_come = KnownNumbers(NOW, of_other_orders=others, awaited=others)
    for known in (meanwhile, to_come):
        assert isinstance(asked(*said, known), PartlyFilled)


def test_without_the_time_of_its_begin_the_numbers_of_others_are_theirs() -> None:
    """A person adopted the order: other orders may have bought between it and ours."""
    known = KnownNumbers(NOW, {TWO: NOW - timedelta(days=1)}, of_other_orders=frozenset({TWO}))
    order = open_order(progress={})
    since = SINCE.isoformat()
    event, *_ = converse(CARRIER.ask(order), shown("COMPLETED", inserted_at=since), listed(did(ONE), did(TWO)), known)
    assert isinstance(event, PartlyFilled)


def test_the_begin_is_no_later_than_the_order_was_sent() -> None:
    begun = NOW + timedelta(minutes=5)
    order = an_order(moved_at=begun)
    _, _, kept = converse(CARRIER.submit(order), cart(), added(), shown())
    assert kept[-1] == {**CHECKED_OUT, "begun": begun.isoformat()}


def test_fewer_numbers_than_ordered_are_shown_as_they_are_and_not_saved() -> None:
    """Whether this is the end is for the lane to judge; more may come."""
    end, _, kept = converse(CARRIER.ask(open_order()), shown("COMPLETED"), listed(did(ONE)), KNOWN)
    assert isinstance(end, PartlyFilled)
    assert end.numbers == results(USABLE, ONE)
    assert "1 of 2 numbers came" in end.reason
    assert kept == []
    full, _, kept = converse(CARRIER.ask(open_order()), shown("COMPLETED"), listed(did(ONE), did(TWO)), KNOWN)
    assert full == Filled("COMPLETED", results(USABLE, ONE, TWO))
    assert kept[-1]["found"] == [ONE, TWO]


def test_too_few_numbers_without_messaging_let_others_buy_once_they_have_settled() -> None:
    """They are followed until they are usable, but nobody waits for that."""
    progress: Mapping[str, object] = CHECKED_OUT
    seen = [did(ONE, "PENDING")]
    for minutes in (0, 3, 6, 9):
        known = KnownNumbers(NOW + timedelta(minutes=minutes))
        order = open_order(new_numbers(5), progress=progress)
        event, _, kept = converse(CARRIER.ask(order), shown("COMPLETED"), listed(*seen), known, known)
        assert isinstance(event, StillOpen)
        assert (len(event.numbers), event.alone) == (len(seen), True)
        progress = kept[-1]
        assert "found" not in progress
        seen = [did(ONE, "PENDING"), did(TWO)]  # one more after three minutes
    known = KnownNumbers(NOW + timedelta(minutes=3) + SETTLE_AFTER)
    order = open_order(new_numbers(5), progress=progress)
    event, _, kept = converse(CARRIER.ask(order), shown("COMPLETED"), listed(*seen), known, known)
    assert isinstance(event, StillOpen)
    assert (set(event.numbers), event.alone) == ({*results(ACQUIRED, ONE), *results(USABLE, TWO)}, False)
    assert kept[-1] == {**CHECKED_OUT, "found": [ONE, TWO]}
    end = asked(shown("COMPLETED"), listed(did(ONE), did(TWO)), request=new_numbers(5), found=[ONE, TWO])
    assert isinstance(end, PartlyFilled)
    assert end.numbers == results(USABLE, ONE, TWO)


def test_numbers_have_not_settled_before_several_looks() -> None:
    """However much time passes between them."""
    for looks in range(LOOKS_TO_SETTLE):
        since = (NOW - timedelta(days=1)).isoformat()
        event = asked(
            shown("COMPLETED"), listed(did(ONE, "PENDING")), KNOWN, KNOWN, looks=looks, seen=1, seen_since=since
        )
        assert isinstance(event, StillOpen)
        assert event.alone is (looks + 1 < LOOKS_TO_SETTLE)


def test_how_long_numbers_must_settle_is_a_setting() -> None:
    quick = Swift(settle_after=timedelta())
    order = open_order(progress={**CHECKED_OUT, "looks": 9, "seen": 1, "seen_since": NOW.isoformat()})
    event, _, _ = converse(quick.ask(order), shown("COMPLETED"), listed(did(ONE, "PENDING")), KNOWN, KNOWN)
    assert isinstance(event, StillOpen)
    assert not event.alone


def test_an_adopted_order_is_as_old_as_its_inserted_at() -> None:
    """The time of its cart was not saved."""
    order = open_order(progress={})
    said = listed(did(ONE), did(TWO), did(THREE, after=-timedelta(minutes=1)))
    age = SINCE.isoformat()
    assert converse(CARRIER.ask(order), shown("COMPLETED", inserted_at=age), said, KNOWN)[0] == Filled(
        "COMPLETED", results(USABLE, ONE, TWO)
    )
    with pytest.raises(UnreadableAnswer, match="the time of its cart was not saved"):
        converse(CARRIER.ask(order), shown("COMPLETED", inserted_at=None), said)


def test_an_order_of_an_earlier_attempt_is_as_old_as_its_inserted_at() -> None:
    """The order was sent again, and a list or a person names what the first cart has become.

    Other orders may have bought between the two: their numbers are theirs, however long they have had them.
    """
    older = SINCE - timedelta(hours=1)
    order = open_order(carrier_order_id=CarrierOrderId("01KBC4VZE1CFMG5MAB088999999"))
    said = listed(*(did(number, after=-timedelta(minutes=30)) for number in (ONE, TWO, THREE)))
    known = KnownNumbers(NOW, {THREE: NOW - timedelta(days=1)}, of_other_orders=frozenset({THREE}))
    answer = shown("COMPLETED", id=order.carrier_order_id, inserted_at=older.isoformat())
    event, _, kept = converse(CARRIER.ask(order), answer, said, known)
    assert event == Filled("COMPLETED", results(USABLE, ONE, TWO))
    assert (kept[-1]["cart_id"], kept[-1]["requested"]) == (CART, True), "the later cart may still become an order"


@pytest.mark.parametrize(
    ("status", "kind"), [("COMPLETED", FilledWithErrors), ("COMPLETED_WITH_ERRORS", Refused), ("ERROR", Refused)]
)
def test_an_end_without_any_number_is_an_end(status: str, kind: type[FilledWithErrors | Refused]) -> None:
    """It is never parked, and keeps no other order waiting."""
    answer = shown(status) if status == "COMPLETED" else failed(status, "0 of 2 numbers ordered")
    for looks in (0, 100):
        end = asked(answer, listed(), looks=looks)
        assert isinstance(end, kind)
        assert end.numbers == ()
        assert status in end.reason


def test_an_error_without_numbers_is_a_refusal_at_once() -> None:
    event = asked(failed("ERROR", "0 of 2 numbers ordered"), listed())
    assert event == Refused(
        "the carrier says ERROR (UPSTREAM_ERROR): 0 of 2 numbers ordered", "UPSTREAM_ERROR", "ERROR"
    )


def test_an_error_with_numbers_is_no_refusal() -> None:
    end = asked(failed("ERROR", "oops"), listed(did(ONE), did(TWO)), KNOWN)
    assert isinstance(end, FilledWithErrors)
    assert end.numbers == results(USABLE, ONE, TWO)


def test_more_numbers_than_ordered_end_with_errors() -> None:
    end = asked(shown("COMPLETED"), listed(did(ONE), did(TWO), did(THREE)), KNOWN)
    assert isinstance(end, FilledWithErrors)
    assert len(end.numbers) == 3
    assert "3 numbers came to the account where 2 were ordered" in end.reason


def test_all_numbers_beside_errors_end_with_errors() -> None:
    end = asked(failed("COMPLETED_WITH_ERRORS", "hm", "GENERAL_ERROR"), listed(did(ONE), did(TWO)), KNOWN)
    assert isinstance(end, FilledWithErrors)
    assert end.reason == "the carrier says COMPLETED_WITH_ERRORS (GENERAL_ERROR): hm"


def test_numbers_are_followed_until_usable_without_the_serial_lock() -> None:
    event = asked(shown("COMPLETED"), listed(did(ONE, "PENDING"), did(TWO)), KNOWN)
    assert isinstance(event, StillOpen)
    assert event.numbers == (*results(ACQUIRED, ONE), *results(USABLE, TWO))
    assert not event.alone


def test_later_numbers_do_not_change_an_order_that_has_its_own() -> None:
    end = asked(shown("COMPLETED"), listed(did(ONE), did(TWO), did(THREE)), found=[ONE, TWO])
    assert end == Filled("COMPLETED", results(USABLE, ONE, TWO))


def test_an_unknown_messaging_status_is_not_usable() -> None:
    assert isinstance(asked(shown("COMPLETED"), listed(did(ONE, "ALMOST"), did(TWO)), KNOWN), StillOpen)
    assert isinstance(asked(shown("COMPLETED"), listed(did(ONE, None), did(TWO)), KNOWN), StillOpen)
    assert isinstance(asked(shown("COMPLETED"), listed(did(ONE, "available"), did(TWO)), KNOWN), Filled)


def test_a_number_without_messaging_is_acquired_after_several_looks() -> None:
    said = (shown("COMPLETED"), listed(did(ONE, "UNAVAILABLE"), did(TWO)))
    waiting = asked(*said, found=[ONE, TWO])
    assert isinstance(waiting, StillOpen)
    end = asked(*said, found=[ONE, TWO], looks=LOOKS_WANTED_UNAVAILABLE - 1)
    assert isinstance(end, FilledWithErrors)
    text = "the carrier offers no messaging on it"
    assert end.numbers == (NumberResult(ONE, ACQUIRED, "SMS_UNAVAILABLE", text), *results(USABLE, TWO))


def test_mms_counts_if_it_was_ordered() -> None:
    said = (shown("COMPLETED"), listed(did(ONE, mms_status="PENDING"), did(TWO, mms_status="AVAILABLE")))
    wanted = naming(Kind.ADD_MESSAGING_NUMBERS, ONE, TWO, options={"mms_enabled": True})
    assert isinstance(asked(*said, request=wanted, found=[ONE, TWO]), StillOpen)
    assert isinstance(asked(*said, request=BROUGHT, found=[ONE, TWO]), Filled)


def test_a_number_that_came_and_went_is_released() -> None:
    """The lane believes it when it has settled: a released number is none that was brought."""
    end = asked(shown("COMPLETED"), listed(did(TWO)), found=[ONE, TWO])
    assert isinstance(end, FilledWithErrors)
    assert [number.state for number in end.numbers] == [NumberState.RELEASED, USABLE]


def test_named_numbers_are_judged_by_name() -> None:
    end = asked(
        failed("COMPLETED_WITH_ERRORS", "numbers not added: 19195550102"),
        listed(did(ONE), did(THREE)),
        request=BROUGHT,
    )
    assert isinstance(end, PartlyFilled)
    assert [(number.e164, number.state) for number in end.numbers] == [(ONE, USABLE), (TWO, NumberState.FAILED)]
    assert end.numbers[1].code == "UPSTREAM_ERROR"


def test_a_number_that_was_there_before_was_not_brought_by_an_order_that_failed() -> None:
    before = did(ONE, after=timedelta(days=-1))
    assert isinstance(asked(failed("ERROR", "no"), listed(before), request=BROUGHT), Refused)
    end = asked(shown("COMPLETED"), listed(before, did(TWO)), request=BROUGHT)
    assert isinstance(end, Filled)


def test_named_numbers_need_nothing_to_be_told_apart() -> None:
    """So nothing is counted or saved while messaging is to come on some of them."""
    event, _, kept = converse(CARRIER.ask(open_order(BROUGHT)), shown("COMPLETED"), listed(did(ONE, "PENDING")))
    assert event == StillOpen(
        "COMPLETED",
        results(ACQUIRED, ONE),
        "the carrier says COMPLETED: checkout cart; 1 of 2 numbers are listed so far",
        slow=True,
    )
    assert kept == []


def test_completed_without_any_named_number_ends_with_errors() -> None:
    end = asked(shown("COMPLETED"), listed(), request=BROUGHT)
    assert isinstance(end, FilledWithErrors)
    assert {number.state for number in end.numbers} == {NumberState.FAILED}


@pytest.mark.parametrize("code", ["ok", "OK", None, "Ok"])
def test_ok_is_no_error_however_it_is_written(code: object) -> None:
    end = asked(shown("COMPLETED", error_code=code), listed(did(ONE), did(TWO)), KNOWN)
    assert isinstance(end, Filled)


def test_the_latest_words_of_the_history_are_the_detail() -> None:
    history = (entry("PROCESSING", "ordering"), entry("PROCESSING", "at the wholesaler"))
    assert asked(shown("PROCESSING", *history)) == StillOpen("PROCESSING", detail="at the wholesaler")
    oddities: tuple[object, ...] = (None, [], [None], [{"detail": 7}], "x", {})
    for odd in oddities:
        assert asked(shown("NEW", status_history=odd)) == StillOpen("NEW")


def purchase_at(after: timedelta, reference: str) -> dict[str, Any]:
    """Return a purchase of ours in the list of orders, checked out `after` the cart of the order that is looked at."""
    checked_out = entry("NEW", "checkout cart") | {"inserted_at": (SINCE + after).isoformat()}
    named = {"name": f"number-orders {reference} n01234567", "reference_id": reference}
    return order_data("COMPLETED", id=f"O{after.seconds}", **named, status_history=[checked_out])


HOUR = timedelta(hours=1)
ENDED = open_order(new_numbers(2), ended_at=NOW)
UNKNOWN = KnownNumbers(NOW)


def test_an_order_that_has_ended_brought_nothing_after_our_next_purchase() -> None:
    """A late look has no serial lock, so other orders buy meanwhile. A second purchase of its own belongs to it."""
    again, others = purchase_at(HOUR, REFERENCE), purchase_at(3 * HOUR, "11111111-7a1b-7c3d-8e4f-5a6b7c8d9e0f")
    came = listed(did(ONE, after=2 * HOUR), did(TWO, after=4 * HOUR))
    orders = listed(again, others, kind="order")
    event, _, _ = converse(CARRIER.ask(ENDED), shown("COMPLETED"), came, UNKNOWN, orders, UNKNOWN)
    assert isinstance(event, PartlyFilled)
    assert event.numbers == results(NumberState.USABLE, ONE)


OTHERS = purchase_at(3 * HOUR, "11111111-7a1b-7c3d-8e4f-5a6b7c8d9e0f")
OTHERS_ID = str(OTHERS["id"])


@pytest.mark.parametrize(
    ("owner", "is_ours"),
    [
        (Owner(is_complete=True, criteria=Criteria(npa="919")), True),
        (Owner(is_complete=False, criteria=Criteria(npa="919")), False),
        (Owner(is_complete=False, criteria=Criteria(npa="808")), True),
        (None, False),
    ],
    ids=["complete", "may lack some", "of another area", "unknown"],
)
@pytest.mark.parametrize("is_forgetful", [False, True])
def test_what_came_after_a_purchase_that_did_not_bring_it_came_by_the_order_that_has_ended(
    owner: Owner | None, is_ours: bool, is_forgetful: bool
) -> None:
    """The numbers of a purchase that is complete are in the ledger, unless it may have forgotten some."""
    orders = listed(OTHERS, kind="order")
    came = listed(did(ONE, after=2 * HOUR), did(TWO, after=4 * HOUR))
    order = replace(ENDED, history_lost_at=NOW + HOUR) if is_forgetful else ENDED
    known = KnownNumbers(NOW, owners={OTHERS_ID: owner} if owner else {})
    more = (orders,) if is_forgetful else ()
    event, _, _ = converse(CARRIER.ask(order), shown("COMPLETED"), came, *more, UNKNOWN, orders, known)
    both = is_ours and not is_forgetful
    assert isinstance(event, Filled if both else PartlyFilled)
    assert event.numbers == results(NumberState.USABLE, ONE, *([TWO] if both else []))


def test_numbers_that_have_just_come_are_not_given_to_an_order_that_has_ended() -> None:
    """The list of orders may lag, and not show yet which purchase brought them."""
    said = shown("COMPLETED"), listed(did(ONE, after=NOW - SINCE - timedelta(minutes=14))), UNKNOWN
    with pytest.raises(NoAnswer, match="so lately"):
        converse(CARRIER.ask(ENDED), *said, listed(kind="order"), UNKNOWN)


def test_the_list_of_orders_is_not_read_when_nothing_came() -> None:
    event, _, _ = converse(CARRIER.ask(ENDED), shown("ERROR"), listed())
    assert isinstance(event, Refused)
