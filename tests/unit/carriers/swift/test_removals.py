"""Removals at Swift: when each number may be removed, in which part, and what became of it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from number_orders.carriers.contract import KnownNumbers, Release
from number_orders.carriers.swift.adapter import Swift
from number_orders.carriers.swift.taint import Taint
from number_orders.orders.events import (
    Acknowledged,
    Deferred,
    Event,
    Filled,
    FilledWithErrors,
    PartlyFilled,
    PartSettled,
    Refused,
)
from number_orders.orders.model import NumberState, Order, OrderId, WhenTainted
from number_orders.orders.numbers import E164
from tests.unit.carriers.swift.examples import (
    CARRIER,
    CART,
    CHECKED_OUT,
    NOW,
    ONE,
    SINCE,
    THEIRS,
    THREE,
    TWO,
    Said,
    added,
    an_order,
    cart,
    converse,
    did,
    failed,
    listed,
    open_order,
    refusal,
    removal,
    results,
    shown,
)

WHOLE = timedelta(minutes=31)
RELEASED, FAILED, REQUESTED = NumberState.RELEASED, NumberState.FAILED, NumberState.REQUESTED
SPLIT, FAIL = WhenTainted.SPLIT, WhenTainted.FAIL


def knowing(since: Mapping[E164, datetime], *awaited: E164) -> KnownNumbers:
    return KnownNumbers(NOW, held_since=since, awaited=frozenset(awaited))


def submitted(order: Order, *said: Said) -> tuple[Event, list[str], list[Mapping[str, object]]]:
    event, asked, kept = converse(CARRIER.submit(order), *said)
    return event, [one.path.removeprefix("/api/v1") for one in asked], kept


def asked(
    *said: Said, numbers: tuple[E164, ...] = (ONE, TWO), when: WhenTainted = WhenTainted.WAIT, **progress: Any
) -> Event:
    order = open_order(removal(*numbers, when_tainted=when), progress={**CHECKED_OUT, **progress})
    return converse(CARRIER.ask(order), *said)[0]


def old_did(number: E164) -> Any:
    """Return a number that was on the account before the cart of its removal was made."""
    return did(number, after=timedelta(hours=-1))


def states(event: Event) -> dict[E164, tuple[NumberState, str | None]]:
    return {number.e164: (number.state, number.code) for number in getattr(event, "numbers", ())}


def test_the_age_of_our_number_counts_from_when_we_learnt_of_it() -> None:
    since = {ONE: NOW - timedelta(minutes=10), TWO: NOW - timedelta(minutes=40)}
    event, asked, _ = submitted(an_order(removal(ONE, TWO)), knowing(since))
    assert isinstance(event, Deferred)
    assert (event.not_before, asked) == (NOW + timedelta(minutes=21), [])
    assert states(event) == {ONE: (REQUESTED, "TAINTED")}
    assert event.numbers[0].text == (
        "is ours since 2026-01-02 11:50:00 UTC, and tainted for 30 minutes; "
        "it may be removed from 2026-01-02 12:21:00 UTC on"
    )


@pytest.mark.parametrize(("minutes", "words"), [(1, "tainted for 1 minute;"), (0.5, "0.5 minutes;"), (2, "2 minutes;")])
def test_a_window_is_written_in_minutes(minutes: float, words: str) -> None:
    carrier = Swift(taint=Taint(timedelta(minutes=minutes), timedelta(minutes=5)))
    event, *_ = converse(carrier.submit(an_order(removal(ONE))), knowing({ONE: NOW}))
    assert isinstance(event, Deferred)
    assert words in str(event.numbers[0].text)


@pytest.mark.parametrize(("short", "leaves"), [(timedelta(), True), (timedelta(microseconds=1), False)])
def test_a_number_is_removed_exactly_after_window_and_margin(*, short: timedelta, leaves: bool) -> None:
    since = {ONE: NOW - WHOLE + short}
    said: tuple[Said, ...] = (knowing(since), listed(), cart(), added(), shown()) if leaves else (knowing(since),)
    event, _, _ = submitted(an_order(removal(ONE)), *said)
    assert isinstance(event, Acknowledged if leaves else Deferred)


def test_a_listed_number_is_removed_exactly_after_window_and_margin() -> None:
    """By the carrier's clock, although the ledger has known it for long."""
    for short, kind in ((timedelta(), Acknowledged), (timedelta(microseconds=1), Deferred)):
        dids = listed(did(ONE, after=short - WHOLE))
        answers: tuple[Said, ...] = (added(), shown()) if kind is Acknowledged else ()
        event, _, _ = submitted(an_order(removal(ONE)), knowing({ONE: SINCE}), dids, cart(), *answers)
        assert isinstance(event, kind)


def test_window_and_margin_are_settings() -> None:
    carrier = Swift(taint=Taint(timedelta(seconds=3), timedelta(seconds=1)))
    event, _, _ = converse(carrier.submit(an_order(removal(ONE))), knowing({ONE: NOW}))
    assert isinstance(event, Deferred)
    assert event.not_before == NOW + timedelta(seconds=4)


@pytest.mark.parametrize("minutes", [1, 30])
def test_a_number_that_was_bought_again_is_as_old_as_the_last_purchase(minutes: int) -> None:
    """It left by hand, so the ledger still knows the first purchase. The window counts from the second."""
    said = (knowing({ONE: NOW - timedelta(days=9)}), listed(did(ONE, after=timedelta(minutes=-minutes))), cart())
    event, asked, _ = submitted(an_order(removal(ONE)), *said)
    assert isinstance(event, Deferred)
    assert event.not_before == NOW + timedelta(minutes=31 - minutes)
    assert asked == ["/dids", "/carts"]
    assert "is on the account since" in str(event.numbers[0].text)


def test_a_number_is_not_older_than_we_have_known_it() -> None:
    """The carrier lists it as old, and we learnt of it a minute ago."""
    event, asked, _ = submitted(an_order(removal(ONE)), knowing({ONE: NOW - timedelta(minutes=1)}))
    assert isinstance(event, Deferred)
    assert (event.not_before, asked) == (NOW + timedelta(minutes=30), [])
    since = {ONE: NOW - timedelta(minutes=1), TWO: NOW - WHOLE}
    order = an_order(removal(ONE, TWO, when_tainted=SPLIT))
    both = listed(did(ONE, after=-WHOLE), did(TWO, after=-WHOLE))
    event, _, kept = submitted(order, knowing(since), both, cart(), added(), shown())
    assert isinstance(event, Acknowledged)
    assert kept[-1]["part"] == [TWO]


def test_a_number_of_ours_that_is_not_listed_is_removed_all_the_same() -> None:
    event, _, kept = submitted(an_order(removal(ONE)), knowing({ONE: SINCE}), listed(), cart(), added(), shown())
    assert isinstance(event, Acknowledged)
    assert kept[-1] == {**CHECKED_OUT, "part": [ONE], "unlisted": [ONE]}


def test_the_age_of_another_number_counts_on_the_carriers_clock() -> None:
    """The carrier's clock may be years off: only the cart's and the number's inserted_at are compared."""
    dids = listed(did(ONE, after=timedelta(minutes=-11)))
    event, asked, kept = submitted(an_order(removal(ONE)), knowing({}), dids, cart())
    assert isinstance(event, Deferred)
    assert event.not_before == NOW + timedelta(minutes=20)
    assert asked == ["/dids", "/carts"]
    assert kept == []


def test_an_old_number_is_removed_with_the_cart_that_showed_the_time() -> None:
    dids = listed(did(ONE, after=-WHOLE))
    event, asked, kept = submitted(an_order(removal(ONE)), knowing({}), dids, cart(), added(), shown())
    assert event == Acknowledged(THEIRS, "NEW")
    assert asked == ["/dids", "/carts", f"/carts/{CART}/requests", f"/carts/{CART}/checkout"]
    assert kept[-1] == {**CHECKED_OUT, "part": [ONE]}


def test_an_unlisted_number_counts_as_new_when_the_order_was_accepted() -> None:
    young = an_order(removal(ONE), accepted_at=NOW - timedelta(minutes=1))
    event, _, _ = submitted(young, knowing({}), listed())
    assert isinstance(event, Deferred)
    assert event.not_before == NOW + timedelta(minutes=30)
    assert states(event) == {ONE: (REQUESTED, "NOT_LISTED")}
    old = an_order(removal(ONE), accepted_at=NOW - WHOLE)
    event, _, kept = submitted(old, knowing({}), listed(), cart(), added(), shown())
    assert isinstance(event, Acknowledged)
    assert kept[-1]["unlisted"] == [ONE]


def test_an_awaited_number_is_waited_for_longer_each_time() -> None:
    for sends, minutes in ((1, 1), (2, 2), (4, 8), (50, 30)):
        event, asked, _ = submitted(an_order(removal(ONE), sends=sends), knowing({}, ONE))
        assert isinstance(event, Deferred)
        assert event.not_before == NOW + timedelta(minutes=minutes)
        assert states(event) == {ONE: (REQUESTED, "AWAITED")}
        assert asked == []


def test_the_wait_for_an_awaited_number_depends_on_the_window() -> None:
    brief = Swift(taint=Taint(timedelta(seconds=30), timedelta(seconds=5)))
    for sends, seconds in ((1, 1), (3, 4), (50, 30)):
        event, _, _ = converse(brief.submit(an_order(removal(ONE), sends=sends)), knowing({}, ONE))
        assert isinstance(event, Deferred)
        assert event.not_before == NOW + timedelta(seconds=seconds)


def test_wait_waits_for_the_last_number_and_split_for_the_first() -> None:
    since = {ONE: NOW - timedelta(minutes=20), TWO: NOW - timedelta(minutes=10)}
    for when, minutes in ((WhenTainted.WAIT, 21), (SPLIT, 11)):
        event, _, _ = submitted(an_order(removal(ONE, TWO, when_tainted=when)), knowing(since))
        assert isinstance(event, Deferred)
        assert event.not_before == NOW + timedelta(minutes=minutes)


def test_split_removes_the_clean_numbers_and_saves_which() -> None:
    since = {ONE: NOW, TWO: NOW - WHOLE}
    order = an_order(removal(ONE, TWO, when_tainted=SPLIT))
    event, _, kept = submitted(order, knowing(since), listed(), cart(), added(), shown())
    assert isinstance(event, Acknowledged)
    assert kept[-1]["part"] == [TWO]


def test_fail_gives_a_reason_for_every_number() -> None:
    since = {ONE: NOW, TWO: NOW - WHOLE}
    event, asked, _ = submitted(an_order(removal(ONE, TWO, when_tainted=FAIL)), knowing(since))
    assert isinstance(event, Refused)
    assert states(event) == {ONE: (FAILED, "TAINTED"), TWO: (FAILED, "NOT_TRIED")}
    assert asked == []
    event, _, _ = submitted(
        an_order(removal(ONE, when_tainted=FAIL)),
        knowing({ONE: SINCE}), listed(), cart(), added(), refusal("tainted"), KnownNumbers(NOW),
    )  # fmt: skip
    assert isinstance(event, Refused)
    assert states(event) == {ONE: (FAILED, "TAINTED")}


def test_a_number_that_is_not_listed_any_more_is_released() -> None:
    assert asked(shown("COMPLETED"), listed(did(THREE))) == Filled("COMPLETED", results(RELEASED, ONE, TWO))


def test_a_number_that_is_still_listed_has_failed_for_now() -> None:
    """It may leave the list later than the order ends; the lane believes it when it has settled."""
    end = asked(shown("COMPLETED"), listed(old_did(ONE)))
    assert isinstance(end, FilledWithErrors)
    assert states(end) == {ONE: (FAILED, "STILL_LISTED"), TWO: (RELEASED, None)}


@pytest.mark.parametrize("status", ["COMPLETED", "COMPLETED_WITH_ERRORS"])
def test_a_number_that_was_added_again_after_its_removal_is_released(status: str) -> None:
    """An order of ours may add it as soon as the removal has shown it as gone, and before that has ended."""
    answer = shown(status) if status == "COMPLETED" else failed(status, f"numbers not removed: {TWO[1:]}")
    end = asked(answer, listed(did(ONE), old_did(TWO)), *((KnownNumbers(NOW),) if status != "COMPLETED" else ()))
    assert states(end)[ONE] == (RELEASED, None)
    assert states(end)[TWO][0] is FAILED


def test_a_number_that_came_after_the_cart_and_is_refused_has_failed() -> None:
    answer = failed("COMPLETED_WITH_ERRORS", f"numbers not removed: {ONE[1:]}")
    end = asked(answer, listed(did(ONE)), KnownNumbers(NOW))
    assert states(end) == {ONE: (FAILED, "UPSTREAM_ERROR"), TWO: (RELEASED, None)}


@pytest.mark.parametrize(
    ("status", "left", "kind"),
    [
        ("COMPLETED_WITH_ERRORS", (ONE,), PartlyFilled),
        ("COMPLETED_WITH_ERRORS", (), FilledWithErrors),
        ("COMPLETED_WITH_ERRORS", (ONE, TWO), Refused),
        ("ERROR", (ONE, TWO), Refused),
        ("ERROR", (ONE,), FilledWithErrors),
        ("COMPLETED", (ONE, TWO), FilledWithErrors),
    ],
)
def test_the_end_depends_on_the_list_and_the_status(status: str, left: tuple[E164, ...], kind: type[Event]) -> None:
    answer = shown(status) if status == "COMPLETED" else failed(status, "numbers not removed")
    gone = status != "COMPLETED" and len(left) < 2
    end = asked(answer, listed(*map(old_did, left)), *((KnownNumbers(NOW),) if gone else ()))
    assert isinstance(end, kind)
    assert {number for number, (state, _) in states(end).items() if state is FAILED} == set(left)


def test_a_number_that_was_never_listed_was_not_removed() -> None:
    end = asked(
        failed("COMPLETED_WITH_ERRORS", "numbers not found", "HOST_DID_NOT_FOUND"),
        listed(),
        KnownNumbers(NOW),
        unlisted=[TWO],
    )
    assert isinstance(end, PartlyFilled)
    assert states(end) == {ONE: (RELEASED, None), TWO: (FAILED, "HOST_DID_NOT_FOUND")}
    assert isinstance(asked(shown("COMPLETED"), listed(), unlisted=[TWO]), Filled)


ANOTHER = OrderId(UUID("0192f0c1-7a1b-7c3d-8e4f-5a6b7c8d9e00"))
REFUSED = failed("ERROR", "numbers not found: 19195550101", "HOST_DID_NOT_FOUND")


def text_of(event: Event, number: E164 = ONE) -> str:
    return next(str(result.text) for result in getattr(event, "numbers", ()) if result.e164 == number)


def test_a_number_that_another_order_released_meanwhile_says_so() -> None:
    """Two removals of one number at the same time: the carrier refuses the second."""
    released = KnownNumbers(NOW, released={ONE: Release(ANOTHER, NOW + timedelta(seconds=9))})
    end = asked(REFUSED, listed(), released, numbers=(ONE,))
    assert isinstance(end, FilledWithErrors)
    assert states(end) == {ONE: (RELEASED, None)}
    assert text_of(end) == (
        f"order {ANOTHER} released it at 2026-01-02 12:00:09 UTC, and not this one; "
        "the carrier says ERROR (HOST_DID_NOT_FOUND): numbers not found: 19195550101"
    )


def test_a_release_from_before_the_order_was_begun_is_another_story() -> None:
    """The number was bought again since, and somebody has removed it by hand."""
    long_ago = KnownNumbers(NOW, {ONE: SINCE}, released={ONE: Release(ANOTHER, NOW - timedelta(days=400))})
    for known in (long_ago, KnownNumbers(NOW)):
        end = asked(REFUSED, listed(), known, numbers=(ONE,))
        assert states(end) == {ONE: (RELEASED, None)}
        assert text_of(end).startswith("it is not on the account any more, but this order did not remove it; ")
        assert str(ANOTHER) not in text_of(end)


def test_a_number_of_ours_that_had_left_before_is_released_and_says_so() -> None:
    end = asked(REFUSED, listed(), KnownNumbers(NOW, {ONE: SINCE}), numbers=(ONE,), unlisted=[ONE])
    assert states(end) == {ONE: (RELEASED, None)}
    assert text_of(end).startswith("it was not on the account any more when its removal was sent; ")


def test_a_number_that_another_order_had_released_before_has_failed_and_says_so() -> None:
    released = KnownNumbers(NOW, released={ONE: Release(ANOTHER, SINCE)})
    end = asked(REFUSED, listed(), released, numbers=(ONE,), unlisted=[ONE])
    assert isinstance(end, Refused)
    assert states(end) == {ONE: (FAILED, "HOST_DID_NOT_FOUND")}
    assert text_of(end).endswith(f"not there to be removed; order {ANOTHER} released it at 2025-12-01 05:06:21 UTC")


def test_only_the_numbers_that_the_carrier_names_were_not_removed_by_this_order() -> None:
    answer = failed("COMPLETED_WITH_ERRORS", "numbers not found: 19195550101", "HOST_DID_NOT_FOUND")
    end = asked(answer, listed(), KnownNumbers(NOW))
    assert isinstance(end, FilledWithErrors)
    assert states(end) == {ONE: (RELEASED, None), TWO: (RELEASED, None)}
    assert "this order did not remove it" in text_of(end)
    assert text_of(end, TWO) == "None"


def test_a_taint_refusal_defers_the_numbers_it_names() -> None:
    answer = failed(
        "COMPLETED_WITH_ERRORS", "numbers are tainted: 19195550101; numbers not found: 19195550103", "REJECTED"
    )
    event = asked(answer, listed(did(ONE), did(THREE)), KnownNumbers(NOW), numbers=(ONE, TWO, THREE))
    assert isinstance(event, PartSettled)
    assert event.not_before == NOW + WHOLE
    assert states(event) == {
        ONE: (REQUESTED, "TAINTED"), TWO: (RELEASED, None), THREE: (FAILED, "REJECTED"),
    }  # fmt: skip
    assert event.settled["orders"] == [CART]


def test_an_error_about_taint_refuses_the_whole_part() -> None:
    """Nothing of it has failed, and the lane has nothing to wait for."""
    answer = failed("ERROR", "numbers are tainted: 19195550101", "REJECTED")
    event = asked(answer, listed(did(ONE), did(TWO)), KnownNumbers(NOW))
    assert isinstance(event, PartSettled)
    assert (states(event), event.settled) == ({ONE: (REQUESTED, "TAINTED")}, {})


@pytest.mark.parametrize(("detail", "code"), [("tainted", "REJECTED"), ("too early", "time_restricted")])
def test_a_taint_refusal_without_numbers_defers_all_that_are_left(detail: str, code: str) -> None:
    event = asked(failed("ERROR", detail, code), listed(did(ONE), did(TWO)), KnownNumbers(NOW))
    assert isinstance(event, PartSettled)
    assert states(event) == {ONE: (REQUESTED, "TAINTED"), TWO: (REQUESTED, "TAINTED")}
    assert event.settled == {}
    assert isinstance(
        asked(failed("ERROR", detail, code), listed(did(ONE)), KnownNumbers(NOW), when=FAIL), FilledWithErrors
    )


def test_the_first_part_of_a_split_is_settled_and_the_rest_waits() -> None:
    since = {THREE: NOW - timedelta(minutes=10)}
    event = asked(
        shown("COMPLETED"), listed(did(THREE)), knowing(since),
        numbers=(ONE, TWO, THREE), when=SPLIT, part=[ONE, TWO],
    )  # fmt: skip
    assert isinstance(event, PartSettled)
    assert states(event) == {ONE: (RELEASED, None), TWO: (RELEASED, None), THREE: (REQUESTED, "TAINTED")}
    assert event.numbers[-1].text == (
        "is ours since 2026-01-02 11:50:00 UTC, and tainted for 30 minutes; "
        "it may be removed from 2026-01-02 12:21:00 UTC on"
    )
    assert event.not_before == NOW + timedelta(minutes=21)
    assert event.reason == "2 numbers are removed; 1 are still tainted"


def settled(*numbers: E164) -> dict[str, Any]:
    return {"settled": {"numbers": [[number, "released", None, None] for number in numbers], "orders": ["01OLD"]}}


def test_the_next_part_is_the_rest_and_nothing_else() -> None:
    order = an_order(removal(ONE, TWO, when_tainted=SPLIT), progress=settled(ONE))
    old = listed(did(TWO, after=-WHOLE))
    event, _, kept = submitted(order, knowing({TWO: SINCE}), old, cart(), added(), shown())
    assert isinstance(event, Acknowledged)
    assert kept[-1] == {**CHECKED_OUT, "part": [TWO], **settled(ONE)}


def test_the_last_part_sums_up_all() -> None:
    more = {"part": [TWO], **settled(ONE)}
    assert asked(shown("COMPLETED"), listed(), **more) == Filled("COMPLETED", results(RELEASED, ONE, TWO))
    end = asked(failed("ERROR", "no"), listed(did(TWO)), **more)
    assert isinstance(end, PartlyFilled)
    assert states(end) == {ONE: (RELEASED, None), TWO: (FAILED, "UPSTREAM_ERROR")}


def test_a_part_that_released_nothing_is_tried_again_with_the_rest() -> None:
    event = asked(
        failed("ERROR", "no"), listed(did(ONE), did(TWO)), knowing({TWO: NOW}),
        when=SPLIT, part=[ONE],
    )  # fmt: skip
    assert isinstance(event, PartSettled)
    assert (states(event), event.settled) == ({ONE: (FAILED, "UPSTREAM_ERROR"), TWO: (REQUESTED, "TAINTED")}, {})


def test_a_part_that_released_nothing_is_not_tried_again_at_once() -> None:
    """The age of the rest is not known here. Ordering the same again and again would be in vain."""
    for rest in (knowing({}), knowing({}, TWO)):
        event = asked(failed("ERROR", "no"), listed(), rest, when=SPLIT, part=[ONE], unlisted=[ONE])
        assert isinstance(event, PartSettled)
        assert (event.settled, event.not_before) == ({}, NOW + WHOLE)


@pytest.mark.parametrize("answers", [(refusal("no"),), (added(), refusal("no"))])
def test_a_refusal_of_the_rest_does_not_change_settled_parts(answers: tuple[Said, ...]) -> None:
    order = an_order(removal(ONE, TWO, when_tainted=SPLIT), progress=settled(ONE))
    event, _, _ = submitted(order, knowing({TWO: SINCE}), listed(), cart(), *answers)
    assert isinstance(event, Refused)
    assert states(event) == {TWO: (FAILED, "422")}


def test_after_a_late_answer_to_a_settled_part_the_rest_is_sent() -> None:
    order = open_order(removal(ONE, TWO), carrier_order_id="01OLD", progress=settled(ONE))
    event, requests, kept = converse(CARRIER.ask(order), KnownNumbers(NOW))
    assert isinstance(event, PartSettled)
    assert (event.numbers, event.not_before, {"settled": event.settled}) == ((), NOW, settled(ONE))
    assert (requests, kept) == ([], [])


@pytest.mark.parametrize(("status", "left", "contradicted"), [("ERROR", (), True), ("ERROR", (ONE,), False)])
def test_a_part_that_failed_while_its_number_is_gone_is_contradicted(
    status: str, left: tuple[E164, ...], *, contradicted: bool
) -> None:
    """The list may lack the number for a moment; the lane looks again before it believes that."""
    said = failed(status, "upstream"), listed(*map(old_did, left)), KnownNumbers(NOW)
    event = asked(*said, numbers=(ONE, TWO), when=SPLIT, part=[ONE])
    assert isinstance(event, PartSettled)
    assert event.contradicted is contradicted
