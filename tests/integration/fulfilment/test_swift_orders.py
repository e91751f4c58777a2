"""Swift's three kinds of orders come to their true ends, on the real ledger and the practice carrier."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from number_orders.orders.model import Lane
from number_orders.orders.policy import CarrierPolicy
from number_orders.sandbox.control import SandboxControl
from tests.integration.fulfilment.portal import SwiftPortal
from tests.integration.fulfilment.practice import SETTLED, run, work_until_idle
from tests.integration.fulfilment.swift_practice import (
    CARTS,
    CHECKOUT,
    GET,
    SUB,
    SwiftPractice,
    a_purchase,
    a_removal,
    accept_one,
    an_addition,
    buy,
    work_once,
)

STEP = timedelta(seconds=4)
LONG = timedelta(minutes=5)


@pytest.fixture
def practice(ledger_url: str, carrier: SandboxControl) -> Iterator[SwiftPractice]:
    with psycopg.connect(ledger_url, autocommit=True, row_factory=dict_row) as db:
        yield SwiftPractice(ledger_url, db, carrier)


def test_numbers_are_bought_and_followed_until_they_are_usable(practice: SwiftPractice) -> None:
    async def buy() -> None:
        async with practice.opened() as services:
            order_id = await accept_one(services, a_purchase(quantity=3))
            await work_until_idle(practice, services, step=STEP)
            assert practice.order(order_id)["state"] == "COMPLETED"
            (carrier_order,) = practice.sold(order_id)
            assert practice.states(order_id) == dict.fromkeys(carrier_order["bought"], "usable")
            assert practice.held() == set(carrier_order["bought"])

    run(buy())


ENDS: dict[str, tuple[dict[str, Any], str, set[str]]] = {
    "partly": ({"criteria": {"npa": "808"}, "quantity": 4}, "PARTIAL", {"usable"}),
    "not at all": ({"criteria": {"npa": "406"}, "quantity": 2}, "FAILED", set()),
    "with errors": ({"criteria": {"npa": "802"}, "quantity": 2}, "COMPLETED_WITH_ERRORS", {"usable"}),
    "with fewer than it says": ({"criteria": {"npa": "208"}, "quantity": 4}, "PARTIAL", {"usable"}),
    "after an unknown status": ({"criteria": {"npa": "605"}, "quantity": 2}, "COMPLETED", {"usable"}),
    "late usable": ({"criteria": {"npa": "307"}, "quantity": 2}, "COMPLETED", {"usable"}),
    "in a place": ({"criteria": {"state": "NC", "country": "USA"}, "quantity": 2}, "COMPLETED", {"usable"}),
    "for a sub account": ({"account": SUB, "quantity": 2}, "COMPLETED", {"usable"}),
    "more than there are": ({"criteria": {"npa": "207"}, "quantity": 9}, "PARTIAL", {"usable"}),
}


@pytest.mark.parametrize("how", ENDS)
def test_order_ends_as_it_did_at_the_carrier(practice: SwiftPractice, how: str) -> None:
    changes, state, states = ENDS[how]

    async def order() -> None:
        async with practice.opened() as services:
            order_id = await accept_one(services, a_purchase(**changes))
            await work_until_idle(practice, services, step=timedelta(seconds=30))
            assert practice.order(order_id)["state"] == state, practice.order(order_id)
            (carrier_order,) = practice.sold(order_id)
            assert set(practice.states(order_id)) == set(carrier_order["bought"])
            assert set(practice.states(order_id).values()) == states
            assert carrier_order["account"] == changes.get("account", carrier_order["account"])

    run(order())


def test_reason_has_the_carriers_status_and_its_history(practice: SwiftPractice) -> None:
    async def refused() -> None:
        async with practice.opened() as services:
            order_id = await accept_one(services, a_purchase(criteria={"npa": "406"}, quantity=2))
            await work_until_idle(practice, services, step=STEP)
            reason = practice.order(order_id)["reason"]
            assert reason == "the carrier says ERROR (UPSTREAM_ERROR): 0 of 2 numbers ordered"

    run(refused())


def test_numbers_that_are_listed_late_are_waited_for(practice: SwiftPractice) -> None:
    """COMPLETED, and half a minute later the numbers are listed: no partial end is reported before."""
    practice.carrier.behave(swift_did_delay_s=30)
    practice.policy = CarrierPolicy()

    async def late() -> None:
        async with practice.opened() as services:
            order_id = await accept_one(services, a_purchase(quantity=2))
            await work_until_idle(practice, services, step=timedelta(seconds=20))
            assert practice.order(order_id)["state"] == "COMPLETED"
            assert set(practice.states(order_id).values()) == {"usable"}

    run(late())


@pytest.mark.parametrize(
    ("npa", "state"), [("204", "COMPLETED"), ("306", "COMPLETED_WITH_ERRORS")], ids=["half late", "after an ERROR"]
)
def test_numbers_that_are_listed_after_the_end_belong_to_their_order(
    practice: SwiftPractice, npa: str, state: str
) -> None:
    """The carrier says COMPLETED or ERROR, shows some of the numbers or none, and the rest half a minute later."""
    practice.policy = CarrierPolicy()

    async def late() -> None:
        async with practice.opened() as services:
            order_id = await accept_one(services, a_purchase("late", criteria={"npa": npa}, quantity=5))
            other = await accept_one(services, a_purchase("other", criteria={"npa": "919"}, quantity=2))
            await work_until_idle(practice, services, step=timedelta(seconds=10))
            (theirs,) = practice.sold(order_id)
            assert practice.order(order_id)["state"] == state, practice.order(order_id)
            assert practice.states(order_id) == dict.fromkeys(theirs["bought"], "usable")
            assert practice.order(other)["state"] == "COMPLETED"
            assert len(practice.states(other)) == 2

    run(late())


def test_a_number_that_leaves_the_list_late_is_released(practice: SwiftPractice) -> None:
    practice.carrier.behave(swift_removal_lag_s=30)
    practice.policy = CarrierPolicy()

    async def late() -> None:
        async with practice.opened() as services:
            numbers = await buy(practice, services, 2)
            practice.pass_time(minutes=40)
            order_id = await accept_one(services, a_removal(numbers))
            await work_until_idle(practice, services, step=timedelta(seconds=10))
            assert practice.order(order_id)["state"] == "COMPLETED", practice.order(order_id)
            assert practice.states(order_id) == dict.fromkeys(numbers, "released")

    run(late())


@pytest.mark.parametrize("shape", ["flat", "enveloped", "nested", "list", "text"])
def test_a_refusal_fails_the_order_whatever_its_shape(practice: SwiftPractice, shape: str) -> None:
    """Nothing is sent again, and there is one cart."""
    practice.carrier.behave(swift_errors=shape)
    unknown = {"api_key_ids": ["01KBC4VZE1CFMG5MAB089000099"]}

    async def refused() -> None:
        async with practice.opened() as services:
            order_id = await accept_one(services, an_addition("+17055551234", options=unknown))
            await work_until_idle(practice, services, step=STEP)
            order = practice.order(order_id)
            assert (order["state"], order["sends"]) == ("FAILED", 1)
            assert "not found" in order["reason"]

    run(refused())


def test_the_second_removal_of_a_number_says_who_released_it(practice: SwiftPractice) -> None:
    """As far as the ledger knows it by then: the first removal may still be waiting for a look that confirms it."""

    async def twice() -> None:
        async with practice.opened() as services:
            (number,) = await buy(practice, services)
            practice.pass_time(minutes=40)
            first, second = [await accept_one(services, a_removal([number], f"remove-{n}")) for n in (1, 2)]
            await work_until_idle(practice, services, step=STEP)
            query = "SELECT order_id, text FROM order_numbers WHERE state = 'released' AND text IS NOT NULL"
            (late,) = practice.rows(query)
            assert practice.order(late["order_id"])["state"] == "COMPLETED_WITH_ERRORS"
            winner = first if late["order_id"] == second else second
            said = (f"order {winner} released it at", "did not remove it", "was not on the account any more when its")
            assert any(words in late["text"] for words in said)
            assert practice.held() == set()

    run(twice())


def test_a_number_that_is_added_again_before_its_removal_is_asked_about_stays_held(practice: SwiftPractice) -> None:
    """It was bought by hand, so that no holding was there when the order added it."""
    practice.policy = SETTLED

    async def again() -> None:
        async with practice.opened() as services:
            with closing(SwiftPortal(practice.carrier)) as portal:
                number = portal.buy()
                practice.pass_time(minutes=40)
                gone = await accept_one(services, a_removal([number]))
                await work_once(practice, services, Lane.SUBMIT)
                practice.db.execute("UPDATE owed SET not_before = now() + '5 min' WHERE order_id = %s", [gone])
                practice.carrier.advance(1)
                assert portal.listed() == set()
                added = await accept_one(services, an_addition(number))
                await work_once(practice, services, Lane.SUBMIT)
                await work_until_idle(practice, services, step=timedelta(minutes=1))
                assert practice.order(gone)["state"] == practice.order(added)["state"] == "COMPLETED"
                assert practice.held() == portal.listed() == {number}

    run(again())


def test_numbers_that_never_become_usable_keep_only_their_own_order_open(practice: SwiftPractice) -> None:
    async def never() -> None:
        async with practice.opened() as services:
            order_id = await accept_one(services, a_purchase("slow", criteria={"npa": "701"}))
            other = await accept_one(services, a_purchase("other", quantity=2))
            for _ in range(6):
                await work_once(practice, services, minutes=40)
            assert practice.order(order_id)["state"] == "OPEN"
            assert set(practice.states(order_id).values()) == {"acquired"}
            assert practice.order(other)["state"] == "COMPLETED"
            assert [what for what, _ in practice.alarms()] == ["overdue"]

    run(never())


def test_orders_that_could_be_confused_buy_one_after_the_other(practice: SwiftPractice) -> None:
    """Same account, same area code, at once: each ends with its own numbers."""

    async def together() -> None:
        async with practice.opened() as services:
            order_ids = [await accept_one(services, a_purchase(f"buy-{n}", quantity=n + 1)) for n in range(4)]
            await work_until_idle(practice, services, step=STEP, rounds=80)
            for order_id in order_ids:
                (carrier_order,) = practice.sold(order_id)
                assert set(practice.states(order_id)) == set(carrier_order["bought"])
                assert practice.order(order_id)["state"] == "COMPLETED"

    run(together())


def test_orders_of_different_accounts_buy_side_by_side(practice: SwiftPractice) -> None:
    async def beside() -> None:
        async with practice.opened() as services:
            own = await accept_one(services, a_purchase("own", quantity=2))
            sub = await accept_one(services, a_purchase("sub", quantity=3, account=SUB))
            await work_once(practice, services)
            assert {practice.order(order_id)["state"] for order_id in (own, sub)} == {"OPEN"}
            await work_until_idle(practice, services, step=STEP)
            for order_id in (own, sub):
                (carrier_order,) = practice.sold(order_id)
                assert set(practice.states(order_id)) == set(carrier_order["bought"])

    run(beside())


ADDED: dict[str, tuple[tuple[str, ...], str, dict[str, str]]] = {
    "all": (("+12025550111", "+12025550112"), "COMPLETED", {"+12025550111": "usable", "+12025550112": "usable"}),
    "half": (("+12025559901", "+12025550112"), "PARTIAL", {"+12025559901": "usable", "+12025550112": "failed"}),
    "none": (("+12025559902",), "FAILED", {"+12025559902": "failed"}),
    "with errors": (("+12025559908",), "COMPLETED_WITH_ERRORS", {"+12025559908": "usable"}),
    "fewer than it says": (
        ("+12025559907", "+12025550112"), "PARTIAL", {"+12025559907": "usable", "+12025550112": "failed"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", ADDED)
def test_added_numbers_are_judged_one_by_one(practice: SwiftPractice, how: str) -> None:
    numbers, state, states = ADDED[how]

    async def add() -> None:
        async with practice.opened() as services:
            order_id = await accept_one(services, an_addition(*numbers, options={"mms_enabled": True}))
            await work_until_idle(practice, services, step=LONG)
            assert practice.order(order_id)["state"] == state, practice.order(order_id)
            assert practice.states(order_id) == states

    run(add())


def test_account_without_approval_adds_no_numbers(practice: SwiftPractice) -> None:
    async def refused() -> None:
        async with practice.opened() as services:
            order_id = await accept_one(services, an_addition("+12025550111", account="01K3S620PA5JPWPR10F0000002"))
            await work_once(practice, services)
            order = practice.order(order_id)
            assert (order["state"], order["reason"]) == (
                "FAILED",
                "ADD_MESSAGING_NUMBERS is not enabled on this account",
            )
            unknown = await accept_one(services, a_purchase("nowhere", account="01K3S620PA5JPWPR10F0000009"))
            await work_once(practice, services)
            assert practice.order(unknown)["state"] == "FAILED"

    run(refused())


REMOVED: dict[str, tuple[str, str, set[str]]] = {
    "half": ("902", "PARTIAL", {"released", "failed"}),
    "none": ("506", "FAILED", {"failed"}),
    "none, and says all": ("709", "COMPLETED_WITH_ERRORS", {"failed"}),
}


@pytest.mark.parametrize("how", REMOVED)
def test_removal_ends_number_by_number(practice: SwiftPractice, how: str) -> None:
    npa, state, states = REMOVED[how]

    async def remove() -> None:
        async with practice.opened() as services:
            numbers = await buy(practice, services, 2, criteria={"npa": npa})
            order_id = await accept_one(services, a_removal(numbers))
            await work_until_idle(practice, services)
            assert practice.order(order_id)["state"] == state, practice.order(order_id)
            assert set(practice.states(order_id).values()) == states
            (carrier_order,) = practice.sold(order_id)
            gone = {e164 for e164, became in practice.states(order_id).items() if became == "released"}
            assert gone == set(carrier_order["removed"])
            assert practice.held() == set(numbers) - gone

    run(remove())


def test_order_without_an_answer_is_found_by_its_cart(practice: SwiftPractice) -> None:
    practice.carrier.fault("drop_after", times=1, **CHECKOUT)

    async def lost() -> None:
        async with practice.opened() as services:
            order_id = await accept_one(services, a_purchase())
            await work_once(practice, services, Lane.SUBMIT)
            assert practice.order(order_id)["state"] == "IN_DOUBT"
            await work_until_idle(practice, services, step=timedelta(minutes=1))
            assert practice.order(order_id)["state"] == "COMPLETED"
            assert practice.story(order_id)[2:4] == ["AnswerLost", "Acknowledged"]
            assert len(practice.sold()) == 1

    run(lost())


def test_order_that_is_not_under_its_carts_id_is_found_by_our_reference(practice: SwiftPractice) -> None:
    """Swift gives it another id than the cart's: the list of orders has it."""
    practice.carrier.behave(swift_order_id="own")
    practice.carrier.fault("drop_after", times=1, **CHECKOUT)

    async def lost() -> None:
        async with practice.opened() as services:
            order_id = await accept_one(services, a_purchase())
            await work_until_idle(practice, services, step=timedelta(minutes=1))
            assert practice.order(order_id)["state"] == "COMPLETED"
            assert len(practice.sold()) == 1

    run(lost())


@pytest.mark.parametrize("second", ["409", "422", "same"])
def test_cart_that_was_not_checked_out_is_checked_out_again(practice: SwiftPractice, second: str) -> None:
    """The same cart, after patience: if it was ordered after all, a second checkout buys nothing."""
    practice.carrier.behave(second_checkout=second)
    practice.carrier.fault("drop_before", times=1, **CHECKOUT)

    async def lost() -> None:
        async with practice.opened() as services:
            order_id = await accept_one(services, a_purchase())
            await work_once(practice, services, Lane.SUBMIT)
            cart = practice.order(order_id)["progress"]["cart_id"]
            await work_until_idle(practice, services, step=timedelta(minutes=2))
            assert practice.order(order_id)["state"] == "COMPLETED"
            assert practice.story(order_id).count("ProvenAbsent") == 1
            assert [carrier_order["cart_id"] for carrier_order in practice.sold()] == [cart]

    run(lost())


@pytest.mark.parametrize("second", ["409", "422", "same"])
def test_second_checkout_of_one_cart_buys_nothing(practice: SwiftPractice, second: str) -> None:
    """The order was not listed for a while, so its cart is checked out twice: bought once."""
    practice.carrier.behave(second_checkout=second)
    practice.carrier.fault("drop_after", times=1, **CHECKOUT)
    practice.carrier.fault("error_before", status=404, times=3, **GET)
    practice.carrier.behave(listing_delay_s=3600)

    async def lost() -> None:
        async with practice.opened() as services:
            order_id = await accept_one(services, a_purchase())
            await work_until_idle(practice, services, step=timedelta(minutes=3))
            assert practice.order(order_id)["state"] == "COMPLETED"
            assert "ProvenAbsent" in practice.story(order_id)
            assert len(practice.sold()) == 1

    run(lost())


def test_cart_without_an_answer_is_made_again(practice: SwiftPractice) -> None:
    practice.carrier.fault("drop_after", times=1, **CARTS)

    async def lost() -> None:
        async with practice.opened() as services:
            order_id = await accept_one(services, a_purchase())
            await work_until_idle(practice, services, step=STEP)
            assert practice.order(order_id)["state"] == "COMPLETED"
            assert practice.story(order_id)[1:3] == ["SubmissionBegun", "NotSent"]
            assert len(practice.sold()) == 1

    run(lost())
