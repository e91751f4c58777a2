"""No removal leaves within the taint window of thirty minutes, which the carrier measures on its own clock."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import psycopg
import pytest
from psycopg.rows import dict_row

from number_orders.carriers.swift.taint import Taint
from number_orders.fulfilment.runtime import Services
from number_orders.orders.model import Lane, OrderId
from number_orders.sandbox.control import SandboxControl
from tests.integration.fulfilment.portal import SwiftPortal
from tests.integration.fulfilment.practice import run, work_until_idle
from tests.integration.fulfilment.swift_practice import (
    CHECKOUT,
    SwiftPractice,
    a_purchase,
    a_removal,
    accept_one,
    an_addition,
    buy,
    work_once,
)

WINDOW_S = 1800.0
WINDOW_AND_MARGIN_S = 1860.0
"""The window and our margin."""


@pytest.fixture
def practice(ledger_url: str, carrier: SandboxControl) -> Iterator[SwiftPractice]:
    with psycopg.connect(ledger_url, autocommit=True, row_factory=dict_row) as db:
        yield SwiftPractice(ledger_url, db, carrier)


async def work_until_removed(practice: SwiftPractice, services: Services, order_id: OrderId) -> None:
    """Bring the removal to its end, and check that it was not too early."""
    await work_until_idle(practice, services, step=timedelta(minutes=6))
    assert practice.order(order_id)["state"] == "COMPLETED", practice.order(order_id)
    assert set(practice.states(order_id).values()) == {"released"}
    assert practice.held().isdisjoint(practice.states(order_id))
    assert practice.violations() == []


async def buy_elsewhere(practice: SwiftPractice, quantity: int = 1) -> list[str]:
    """Buy numbers on the account without our ledger, as a person in the carrier's dashboard would."""
    async with practice.opened() as services:
        numbers = await buy(practice, services, quantity, key=f"elsewhere-{quantity}")
    practice.db.execute("TRUNCATE orders CASCADE")
    return numbers


def test_removal_waits_for_the_whole_window_and_says_so_for_each_number(practice: SwiftPractice) -> None:
    async def wait() -> None:
        async with practice.opened() as services:
            numbers = await buy(practice, services, 2)
            order_id = await accept_one(services, a_removal(numbers))
            await work_once(practice, services)
            order = practice.order(order_id)
            assert order["state"] == "ACCEPTED"
            assert order["reason"].startswith("tainted: 2 numbers cannot be removed yet; it goes on at ")
            assert practice.results(order_id) == dict.fromkeys(numbers, ("requested", "TAINTED"))
            assert WINDOW_S < practice.waits_s(order_id) <= WINDOW_AND_MARGIN_S
            assert practice.order(order_id)["progress"] == {}
            await work_once(practice, services, seconds=WINDOW_S)
            assert practice.order(order_id)["state"] == "ACCEPTED"
            await work_until_removed(practice, services, order_id)
            assert practice.story(order_id).count("SubmissionBegun") == 2

    run(wait())


def test_old_number_is_removed_at_once(practice: SwiftPractice) -> None:
    async def at_once() -> None:
        async with practice.opened() as services:
            numbers = await buy(practice, services, 2)
            practice.pass_time(seconds=WINDOW_AND_MARGIN_S)
            order_id = await accept_one(services, a_removal(numbers))
            await work_once(practice, services)
            assert practice.order(order_id)["state"] == "OPEN"
            await work_until_removed(practice, services, order_id)

    run(at_once())


def test_split_removal_removes_untainted_numbers_now_and_the_rest_later(practice: SwiftPractice) -> None:
    async def split() -> None:
        async with practice.opened() as services:
            old = await buy(practice, services, 2)
            practice.pass_time(seconds=WINDOW_AND_MARGIN_S)
            young = await buy(practice, services, 1, key="buy-2")
            order_id = await accept_one(services, a_removal([*young, *old], when_tainted="split"))
            await work_once(practice, services)
            await work_once(practice, services, seconds=10)
            order = practice.order(order_id)
            assert order["state"] == "ACCEPTED"
            assert "2 numbers are removed" in order["reason"]
            assert {number: practice.states(order_id)[number] for number in old} == dict.fromkeys(old, "released")
            assert practice.held() == set(young)
            assert practice.waits_s(order_id) > WINDOW_S - 60
            await work_until_removed(practice, services, order_id)
            assert [sorted(carrier_order["removed"]) for carrier_order in practice.sold(order_id)] == [
                sorted(old),
                young,
            ]
            assert "PartSettled" in practice.story(order_id)

    run(split())


def test_split_removal_that_is_cancelled_in_between_is_partial(practice: SwiftPractice) -> None:
    async def cancelled() -> None:
        async with practice.opened() as services:
            old = await buy(practice, services, 1)
            practice.pass_time(seconds=WINDOW_AND_MARGIN_S)
            young = await buy(practice, services, 1, key="buy-2")
            order_id = await accept_one(services, a_removal([*young, *old], when_tainted="split"))
            for _ in range(2):
                await work_once(practice, services, seconds=10)
            await services.orders.cancel(order_id, by="ana")
            assert practice.order(order_id)["state"] == "PARTIAL"
            assert practice.held() == set(young)

    run(cancelled())


def test_removal_with_mode_fail_fails_before_anything_is_sent(practice: SwiftPractice) -> None:
    async def fail() -> None:
        async with practice.opened() as services:
            old = await buy(practice, services, 1)
            practice.pass_time(seconds=WINDOW_AND_MARGIN_S)
            young = await buy(practice, services, 1, key="buy-2")
            order_id = await accept_one(services, a_removal([*young, *old], when_tainted="fail"))
            await work_once(practice, services)
            assert practice.order(order_id)["state"] == "FAILED"
            assert practice.results(order_id) == {young[0]: ("failed", "TAINTED"), old[0]: ("failed", "NOT_TRIED")}
            assert practice.sold(order_id) == []
            assert practice.held() == {*old, *young}

    run(fail())


@pytest.mark.parametrize("mode", ["wait", "split"])
def test_age_of_numbers_bought_elsewhere_is_taken_from_the_carrier(practice: SwiftPractice, mode: str) -> None:
    async def elsewhere() -> None:
        numbers = await buy_elsewhere(practice, 2)
        practice.pass_time(seconds=600)
        async with practice.opened() as services:
            order_id = await accept_one(services, a_removal(numbers, when_tainted=mode))
            await work_once(practice, services)
            assert practice.results(order_id) == dict.fromkeys(numbers, ("requested", "TAINTED"))
            assert WINDOW_AND_MARGIN_S - 700 < practice.waits_s(order_id) <= WINDOW_AND_MARGIN_S - 600
            await work_until_removed(practice, services, order_id)

    run(elsewhere())


def test_unlisted_number_is_removed_when_it_must_be_old_enough(practice: SwiftPractice) -> None:
    async def unseen() -> None:
        async with practice.opened() as services:
            numbers = await buy(practice, services, 1)
            order_id = await accept_one(services, a_removal([*numbers, "+12025550111"]))
            await work_once(practice, services)
            assert practice.results(order_id)["+12025550111"] == ("requested", "NOT_LISTED")
            await work_until_idle(practice, services)
            assert practice.order(order_id)["state"] == "PARTIAL"
            assert practice.results(order_id) == {
                numbers[0]: ("released", None),
                "+12025550111": ("failed", "HOST_DID_NOT_FOUND"),
            }
            assert practice.violations() == []

    run(unseen())


def test_removal_waits_for_the_order_that_is_to_acquire_the_number(
    practice: SwiftPractice,
) -> None:
    practice.carrier.behave(processing_s=600)

    async def awaited() -> None:
        async with practice.opened() as services:
            adding = await accept_one(services, an_addition("+12025550111"))
            removal = await accept_one(services, a_removal(["+12025550111"]))
            await work_once(practice, services)
            assert practice.results(removal) == {"+12025550111": ("requested", "AWAITED")}
            assert practice.order(removal)["reason"] == "waits for 1 number that another order is still to bring"
            practice.carrier.behave(processing_s=0)
            await work_until_removed(practice, services, removal)
            assert practice.order(adding)["state"] == "COMPLETED"

    run(awaited())


def test_removal_of_numbers_of_an_order_that_has_not_ended_waits_for_the_window(practice: SwiftPractice) -> None:
    """The carrier has assigned the number, we do not know it yet: its age is taken from the carrier."""

    async def early() -> None:
        async with practice.opened() as services:
            purchase = await accept_one(services, a_purchase())
            await work_once(practice, services, Lane.SUBMIT)
            ((number,),) = (carrier_order["bought"] for carrier_order in practice.sold(purchase))
            removal = await accept_one(services, a_removal([number]))
            await work_once(practice, services, Lane.SUBMIT)
            assert practice.results(removal) == {number: ("requested", "TAINTED")}
            await work_until_removed(practice, services, removal)

    run(early())


@pytest.mark.parametrize("how", ["error", "with_errors", "refused"])
def test_removal_refused_as_tainted_is_tried_again_a_window_later(practice: SwiftPractice, how: str) -> None:
    """The carrier's window is longer than ours: nothing fails, and nothing is tried within another window."""
    practice.carrier.behave(tainted_removal=how)
    practice.taint = Taint(timedelta(minutes=5), timedelta())

    async def refused() -> None:
        async with practice.opened() as services:
            old = await buy(practice, services, 1)
            practice.pass_time(minutes=25)
            young = await buy(practice, services, 1, key="buy-2")
            practice.pass_time(minutes=6)
            order_id = await accept_one(services, a_removal([*young, *old]))
            for _ in range(2):
                await work_once(practice, services, seconds=5)
            order = practice.order(order_id)
            assert order["state"] == "ACCEPTED", order
            assert "refused as tainted, although the taint window was over" in order["reason"]
            assert practice.results(order_id)[young[0]] == ("requested", "TAINTED")
            assert 240 < practice.waits_s(order_id) <= 300
            assert practice.held() == ({*young} if how == "with_errors" else {*young, *old})
            too_early = len(practice.violations())
            practice.pass_time(minutes=30)
            await work_until_idle(practice, services)
            assert practice.order(order_id)["state"] == "COMPLETED", practice.order(order_id)
            assert set(practice.states(order_id).values()) == {"released"}
            assert len(practice.violations()) == too_early

    run(refused())


def test_two_removals_of_one_number_remove_it_once(practice: SwiftPractice) -> None:
    async def twice() -> None:
        async with practice.opened() as services:
            numbers = await buy(practice, services, 1)
            first = await accept_one(services, a_removal(numbers, "remove-1"))
            second = await accept_one(services, a_removal(numbers, "remove-2"))
            await work_until_idle(practice, services)
            states = {practice.order(order_id)["state"] for order_id in (first, second)}
            assert states == {"COMPLETED", "COMPLETED_WITH_ERRORS"}, states
            assert practice.held() == set()
            assert practice.violations() == []
            assert sum(len(carrier_order["removed"]) for carrier_order in practice.sold()) == 1

    run(twice())


def test_worker_killed_while_a_removal_waits_changes_nothing(practice: SwiftPractice) -> None:
    async def lost() -> None:
        async with practice.opened() as services:
            numbers = await buy(practice, services, 1)
            order_id = await accept_one(services, a_removal(numbers))
            await work_once(practice, services)
        practice.pass_time(minutes=20)
        async with practice.opened() as later:
            await work_once(practice, later)
            assert practice.order(order_id)["state"] == "ACCEPTED"
            await work_until_removed(practice, later, order_id)

    run(lost())


def test_removal_in_doubt_is_checked_out_again_with_the_same_cart(practice: SwiftPractice) -> None:
    async def doubt() -> None:
        async with practice.opened() as services:
            numbers = await buy(practice, services, 2)
            practice.pass_time(seconds=WINDOW_AND_MARGIN_S)
            practice.carrier.fault("drop_before", times=1, **CHECKOUT)
            order_id = await accept_one(services, a_removal(numbers))
            await work_until_removed(practice, services, order_id)
            assert "ProvenAbsent" in practice.story(order_id)
            assert len(practice.sold(order_id)) == 1

    run(doubt())


def test_cart_in_doubt_is_not_checked_out_when_its_number_was_added_again(practice: SwiftPractice) -> None:
    """Another removal took the number away meanwhile, and an order brought it again."""

    async def again() -> None:
        async with practice.opened() as services:
            (number,) = await buy(practice, services)
            practice.pass_time(seconds=WINDOW_AND_MARGIN_S)
            practice.carrier.fault("drop_before", times=1, **CHECKOUT)
            first = await accept_one(services, a_removal([number], "first"))
            await work_once(practice, services, Lane.SUBMIT)
            assert practice.order(first)["state"] == "IN_DOUBT"
            second = await accept_one(services, a_removal([number], "second"))
            await work_once(practice, services, Lane.SUBMIT)
            await work_once(practice, services, Lane.ASK, seconds=4)
            assert practice.order(second)["state"] == "COMPLETED", practice.order(second)
            practice.pass_time(seconds=60)
            added = await accept_one(services, an_addition(number))
            await work_once(practice, services, Lane.SUBMIT)
            for _ in range(4):
                await work_once(practice, services, Lane.ASK, seconds=4)
            assert practice.order(added)["state"] == "COMPLETED", practice.order(added)
            await work_until_idle(practice, services, step=timedelta(minutes=6))
            assert practice.violations() == []
            assert practice.held().isdisjoint({number})
            assert practice.order(first)["state"] == "COMPLETED", practice.order(first)

    run(again())


def test_cart_that_waited_for_a_permission_is_not_checked_out_when_its_number_came_again(
    practice: SwiftPractice,
) -> None:
    """A person removed the number and added it again while the checkout answered 403."""

    async def again() -> None:
        async with practice.opened() as services:
            (number,) = await buy(practice, services)
            practice.pass_time(seconds=WINDOW_AND_MARGIN_S)
            practice.carrier.fault("error_before", status=403, times=1, **CHECKOUT)
            order_id = await accept_one(services, a_removal([number]))
            await work_once(practice, services, Lane.SUBMIT)
            assert practice.order(order_id)["state"] == "ACCEPTED"
            with closing(SwiftPortal(practice.carrier)) as portal:
                portal.remove(number)
                practice.pass_time(minutes=30)
                portal.add(number)
            practice.pass_time(minutes=1)
            await work_until_removed(practice, services, order_id)

    run(again())
