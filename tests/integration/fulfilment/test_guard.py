"""A ledger that fell back in time buys nothing twice: what it has forgotten is found at the carrier."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from number_orders.carriers.cm.adapter import CM
from number_orders.carriers.cm.facts import TOKEN_HEADER
from number_orders.carriers.http.credentials import ApiKeyHeader
from number_orders.fulfilment.runtime import Services
from number_orders.orders.errors import LedgerUnavailable, NotCancellable, NotResolvable
from number_orders.orders.events import Adopted, SentAgain, WrittenOff
from number_orders.orders.model import CarrierName, CarrierOrderId, Lane, OrderId
from number_orders.orders.policy import CarrierPolicy
from number_orders.sandbox.cm.access import CmAccount
from tests.integration.fulfilment.practice import (
    BANDWIDTH,
    Practice,
    accept,
    an_order,
    run,
    work,
    work_until_idle,
)
from tests.integration.fulfilment.swift_practice import (
    SWIFT,
    SwiftPractice,
    a_purchase,
    accept_one,
    an_addition,
    work_once,
)

CM_COM = CarrierName("cm")
POLICY = CarrierPolicy(settle_after=timedelta(), settle_looks=1)
HOUR = timedelta(hours=1)


@dataclass
class Fallen:
    """A practice whose ledger falls back, at one of the carriers."""

    practice: Practice
    where: dict[str, Any]
    """What every order of this carrier has."""
    commits: str
    """The route of the request that buys."""
    looks: str
    """The route of the request that looks for an order."""

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Services]:
        """Open the services on the ledger as it is now."""
        if self.practice.name == CM_COM:
            account = CmAccount()
            adapter = CM(account.account_guid, {"NLD:local": "0c0ffee0-0000-4000-8000-000000000031"})
            auth = ApiKeyHeader(TOKEN_HEADER, account.product_token)
            async with self.practice.opened(adapter=adapter, auth=auth) as services:
                yield services
        else:
            async with self.practice.opened() as services:
                yield services

    def order(self, key: str, **changes: Any) -> dict[str, Any]:
        """Return an order of this carrier."""
        return an_order(key, carrier=str(self.practice.name), **{**self.where, **changes})

    def bought(self, key: str) -> list[dict[str, Any]]:
        """Return what the carrier has of the order with this key."""
        (order,) = self.practice.rows("SELECT order_id FROM orders WHERE key = %(key)s", key=key)
        return self.practice.sold(order["order_id"])

    def has_what_was_bought(self, order_id: OrderId) -> bool:
        """Tell whether the order has the numbers that the carrier sold under its reference."""
        held = "SELECT e164 FROM held_numbers WHERE acquired_by = %(id)s ORDER BY e164"
        ours = [row["e164"] for row in self.practice.rows(held, id=order_id)]
        return ours == sorted(number for sale in self.practice.sold(order_id) for number in sale["bought"]) != []

    def state(self, key: str) -> str:
        """Return the state of the order with this key."""
        (order,) = self.practice.rows("SELECT state FROM orders WHERE key = %(key)s", key=key)
        return str(order["state"])


@pytest.fixture(params=[BANDWIDTH, CM_COM, SWIFT])
def fallen(practice: Practice, request: pytest.FixtureRequest) -> Fallen:
    """Each carrier in turn."""
    practice.policy = POLICY
    if request.param == CM_COM:
        practice.name, practice.policy = (
            CM_COM,
            CarrierPolicy(settle_after=timedelta(), settle_looks=1, resend_when_absent=False),
        )
        practice.carrier.behave(cm_review_s=0)
        return Fallen(
            practice,
            {"criteria": {"country": "NLD", "number_type": "local", "npa": "010"}},
            "/numberRequests",
            "GET /numberRequests",
        )
    if request.param == SWIFT:
        swift = SwiftPractice(practice.url, practice.db, practice.carrier, policy=POLICY)
        return Fallen(swift, {"criteria": {"npa": "919"}}, "/carts/{cartId}/checkout", "GET /orders")
    return Fallen(practice, {"criteria": {"npa": "919"}}, "/orders", "GET /orders")


def test_what_a_fallen_ledger_has_forgotten_is_bought_once(fallen: Fallen) -> None:
    """One order was bought after the backup, one was accepted and bought after it, and one is new."""

    async def whole() -> None:
        practice = fallen.practice
        async with fallen.opened() as services:
            await accept(services, fallen.order("kept"))
            practice.remember()
            await accept(services, fallen.order("forgotten"))
            await work_until_idle(practice, services)
        practice.fall_back()
        async with fallen.opened() as services:
            tickets = [
                await services.intake.submit(fallen.order(key), producer="default")
                for key in ("kept", "forgotten", "new")
            ]
            assert [ticket.new for ticket in tickets] == [False, True, True]
            await work_until_idle(practice, services)
            for key in ("kept", "forgotten", "new"):
                assert (fallen.state(key), len(fallen.bought(key))) == ("COMPLETED", 1), key
            assert [what for what, _ in practice.alarms()] == ["ledger_fell_back"]
            for ticket in tickets:
                assert practice.story(ticket.order_id)[1] == "HistoryLost"
                assert fallen.has_what_was_bought(ticket.order_id)

    run(whole())


def test_the_guard_costs_one_question_for_each_order(fallen: Fallen) -> None:
    """Nothing is asked before the patience has passed since the fall. Then each order is looked for and sent once."""

    async def whole() -> None:
        practice = fallen.practice
        async with fallen.opened():
            practice.remember()
        practice.fall_back()
        async with fallen.opened() as services:
            await accept(services, *(fallen.order(f"crm-{i}") for i in range(3)))
            for _ in range(3):
                await work(services, Lane.SUBMIT, Lane.ASK, carrier=practice.name)
            assert practice.carrier.report()["requests"]["by_route"] == {}
            await work_until_idle(practice, services)
            assert practice.carrier.report()["requests"]["by_route"][fallen.looks]["total"] == 3
            for key in ("crm-0", "crm-1", "crm-2"):
                assert (fallen.state(key), len(fallen.bought(key))) == ("COMPLETED", 1)

    run(whole())


def test_an_order_found_with_another_quantity_is_parked_and_says_both(fallen: Fallen) -> None:
    """Its key came again with another body after the ledger had forgotten the first."""

    async def whole() -> None:
        practice = fallen.practice
        async with fallen.opened() as services:
            practice.remember()
            await accept(services, fallen.order("crm-1", quantity=2))
            await work_until_idle(practice, services)
        practice.fall_back()
        async with fallen.opened() as services:
            (order_id,) = await accept(services, fallen.order("crm-1", quantity=3))
            practice.pass_time(hours=1)
            for _ in range(3):
                await work(services, Lane.SUBMIT, Lane.ASK, carrier=practice.name)
                practice.pass_time(hours=1)
            order = practice.order(order_id)
            assert order["state"] == "PARKED"
            (theirs,) = fallen.bought("crm-1")
            assert theirs["order_id"] in order["reason"]
            assert "3 by criteria" in order["reason"]

    run(whole())


def test_an_order_found_with_other_criteria_is_parked_and_says_both(fallen: Fallen) -> None:
    """What was ordered is compared, not only how much."""

    async def whole() -> None:
        practice = fallen.practice
        other = {**fallen.where["criteria"], "npa": "020" if practice.name == CM_COM else "212"}
        async with fallen.opened() as services:
            practice.remember()
            await accept(services, fallen.order("crm-1"))
            await work_until_idle(practice, services)
        practice.fall_back()
        async with fallen.opened() as services:
            (order_id,) = await accept(services, fallen.order("crm-1", criteria=other))
            practice.pass_time(hours=1)
            for _ in range(3):
                await work(services, Lane.SUBMIT, Lane.ASK, carrier=practice.name)
                practice.pass_time(hours=1)
            order, (theirs,) = practice.order(order_id), fallen.bought("crm-1")
            assert order["state"] == "PARKED"
            assert theirs["order_id"] in order["reason"]

    run(whole())


def test_an_order_whose_attempts_are_forgotten_is_looked_for(fallen: Fallen) -> None:
    """The backup has it as being sent. The answer, and the end, came after it."""

    async def whole() -> None:
        practice = fallen.practice
        practice.carrier.fault("drop_after", times=1, method="POST", path=fallen.commits)
        async with fallen.opened() as services:
            (order_id,) = await accept(services, fallen.order("crm-1"))
            await work(services, Lane.SUBMIT, carrier=practice.name)
            assert fallen.state("crm-1") == "IN_DOUBT"
            practice.remember()
            await work_until_idle(practice, services)
            assert fallen.state("crm-1") == "COMPLETED"
        practice.fall_back()
        async with fallen.opened() as services:
            await work_until_idle(practice, services)
            assert (fallen.state("crm-1"), len(fallen.bought("crm-1"))) == ("COMPLETED", 1)
            assert fallen.has_what_was_bought(order_id)

    run(whole())


def test_an_order_found_with_another_quantity_and_closed_is_looked_at_later(fallen: Fallen) -> None:
    """Nobody wants the order of the key as it came again. What the forgotten one bought is told all the same."""

    async def whole() -> None:
        practice = fallen.practice
        async with fallen.opened() as services:
            practice.remember()
            await accept(services, fallen.order("crm-1", quantity=2))
            await work_until_idle(practice, services)
        practice.fall_back()
        async with fallen.opened() as services:
            (order_id,) = await accept(services, fallen.order("crm-1", quantity=3))
            for _ in range(3):
                practice.pass_time(hours=1)
                await work(services, Lane.SUBMIT, Lane.ASK, carrier=practice.name)
            assert fallen.state("crm-1") == "PARKED"
            await services.orders.resolve(order_id, WrittenOff("ana", "not wanted"))
            practice.pass_time(hours=25)
            await work(services, Lane.ASK, carrier=practice.name)
            if practice.name == SWIFT:  # its numbers have just come, by the ledger's clock, and more may follow
                (owed,) = practice.rows("SELECT reason FROM owed WHERE order_id = %(id)s AND lane = 'ask'", id=order_id)
                assert "late look" in owed["reason"]
                return
            assert fallen.has_what_was_bought(order_id)
            assert "bought_twice" in dict(practice.alarms())

    run(whole())


@pytest.mark.parametrize("sent_before", [False, True], ids=["not sent in the backup", "in doubt in the backup"])
def test_a_forgotten_purchase_is_not_sent_again_by_a_person(fallen: Fallen, sent_before: bool) -> None:
    """Parked before anybody has looked. By the ledger alone it was never sent, or to no avail."""

    async def whole() -> None:
        practice = fallen.practice
        if sent_before:
            practice.carrier.fault("drop_after", times=1, method="POST", path=fallen.commits)
        async with fallen.opened() as services:
            (order_id,) = await accept(services, fallen.order("crm-1"))
            if sent_before:
                await work(services, Lane.SUBMIT, carrier=practice.name)
            practice.remember()
            await work_until_idle(practice, services)
            assert fallen.state("crm-1") == "COMPLETED"
        practice.fall_back()
        async with fallen.opened() as services:
            await services.orders.park(order_id, by="ana", why="I want to look at it first")
            with pytest.raises(NotResolvable, match=r"cannot be sent again: .* and both would be bought"):
                await services.orders.resolve(order_id, SentAgain("ana", "I see nothing of it"))
            theirs = CarrierOrderId(str(fallen.bought("crm-1")[0]["order_id"]))
            await services.orders.resolve(order_id, Adopted(theirs, "ana", "there it is"))
            await work_until_idle(practice, services)
            assert (fallen.state("crm-1"), len(fallen.bought("crm-1"))) == ("COMPLETED", 1)
            assert fallen.has_what_was_bought(order_id)

    run(whole())


def test_an_order_that_may_be_forgotten_is_not_cancelled_before_it_is_looked_for(practice: Practice) -> None:
    """The carrier has it: cancelled here, it would be bought all the same."""
    practice.policy = POLICY

    async def whole() -> None:
        async with practice.opened() as services:
            (known,) = await accept(services, an_order("known"))
            practice.remember()
            await accept(services, an_order("forgotten"))
            await work_until_idle(practice, services)
        practice.fall_back()
        async with practice.opened() as services:
            (forgotten,) = await accept(services, an_order("forgotten"))
            for order_id in (known, forgotten):
                with pytest.raises(NotCancellable, match="fell back in time"):
                    await services.orders.cancel(order_id, by="ana")
            await work_until_idle(practice, services)
            assert practice.differences(known, forgotten) == []

    run(whole())


def test_an_order_is_not_cancelled_on_a_fallen_ledger_that_nobody_has_recognised(practice: Practice) -> None:
    """Behind a pooler the connection stays. The cancellation comes before the next sweep."""
    practice.policy = POLICY

    async def whole() -> None:
        async with practice.opened() as services:
            (known,) = await accept(services, an_order("known"))
            practice.remember()
            await work_until_idle(practice, services)
            practice.fall_back()
            with pytest.raises(NotCancellable, match="fell back in time"):
                await services.orders.cancel(known, by="ana")
            await services.orders.sweep()
            await work_until_idle(practice, services)
            assert practice.differences(known) == []
            assert practice.order(known)["state"] == "COMPLETED"

    run(whole())


def test_a_forgotten_removal_is_not_done_twice(practice: Practice) -> None:
    """The number left after the backup. The key comes again, and finds the disconnect under its reference."""
    practice.policy = POLICY

    async def whole() -> None:
        async with practice.opened() as services:
            (bought,) = await accept(services, an_order("bought"))
            await work_until_idle(practice, services)
            (number,) = practice.numbers(bought)
            practice.remember()
            removal = {"key": "gone", "carrier": "bandwidth", "kind": "remove_numbers", "numbers": [number]}
            await accept(services, removal)
            await work_until_idle(practice, services)
        practice.fall_back()
        async with practice.opened() as services:
            (order_id,) = await accept(services, removal)
            await work_until_idle(practice, services)
            assert practice.order(order_id)["state"] == "COMPLETED"
            assert practice.order(order_id)["sends"] == 0
            assert len(practice.sold(order_id)) == 1

    run(whole())


def test_a_forgotten_order_that_was_sent_again_is_followed_to_every_end(practice: Practice) -> None:
    """The backup has it OPEN at an order that failed. The one that was sent after a person's decision is found."""
    practice.policy = POLICY

    async def whole() -> None:
        async with practice.opened() as services:
            (order_id,) = await accept(services)
            await work(services, Lane.SUBMIT)
            practice.remember()
            await work_until_idle(practice, services)
        practice.fall_back()
        async with practice.opened() as services:
            await work_until_idle(practice, services)
            assert practice.order(order_id)["state"] == "COMPLETED"
            assert practice.differences(order_id) == []

    run(whole())


@pytest.mark.parametrize("comes_again", [True, False], ids=["its key comes again", "nobody asks for it again"])
def test_numbers_of_a_forgotten_order_are_not_taken_by_one_that_is_known(practice: Practice, comes_again: bool) -> None:
    """Swift does not say whose numbers came. While their order may be sent again, one that got too many stays open."""
    swift = SwiftPractice(practice.url, practice.db, practice.carrier, policy=POLICY)
    fallen = Fallen(swift, {}, "/carts/{cartId}/checkout", "GET /orders")
    added = an_addition("+19195550123", "+19195550124")

    async def whole() -> None:
        async with fallen.opened() as services:
            bought = await accept_one(services, a_purchase(quantity=2))
            await work_once(swift, services, Lane.SUBMIT)
            swift.remember()
            await accept_one(services, added)
            await work_until_idle(swift, services, step=timedelta(seconds=4))
        swift.fall_back()
        async with fallen.opened() as services:
            for _ in range(5):
                await work_once(swift, services, seconds=30)
            assert swift.order(bought)["state"] == "OPEN", "it has four numbers, where two were ordered"
            again = await accept_one(services, added) if comes_again else None
            await work_until_idle(swift, services, step=timedelta(minutes=2))
            if again is not None:
                assert set(swift.states(again)) == set(added["numbers"])
                assert fallen.has_what_was_bought(bought)
                assert swift.order(bought)["state"] == swift.order(again)["state"] == "COMPLETED"
            else:
                assert swift.order(bought)["state"] == "COMPLETED_WITH_ERRORS"
                assert "4 numbers came to the account where 2 were ordered" in swift.order(bought)["reason"]

    run(whole())


def test_a_purchase_that_never_ends_stops_no_other_when_it_was_closed(practice: Practice) -> None:
    """Swift shows it as PROCESSING for ever. The ledger knows that a person has closed it.

    Only a few minutes pass: the practice carrier's clock leaves the ledger's behind, by which the fall is dated.
    """
    policy = replace(POLICY, doubt_patience=timedelta(seconds=30))
    swift = SwiftPractice(practice.url, practice.db, practice.carrier, policy=policy)

    async def whole() -> None:
        async with swift.opened() as services:
            stuck = await accept_one(services, a_purchase("stuck", criteria={"npa": "907"}))
            await work_once(swift, services)
            await services.orders.park(stuck, by="ana", why="it never ends")
            await services.orders.resolve(stuck, WrittenOff("ana", "not wanted any more"))
            swift.remember()
        swift.fall_back()
        async with swift.opened() as services:
            order_id = await accept_one(services, a_purchase("new"))
            for _ in range(8):
                await work_once(swift, services, seconds=25)
            assert (swift.order(stuck)["state"], swift.order(order_id)["state"]) == ("FAILED", "COMPLETED")

    run(whole())


@pytest.mark.parametrize("resent", [("bought", "gone"), ("gone", "bought"), ("bought",)], ids="-".join)
def test_a_forgotten_purchase_does_not_hold_a_number_that_was_removed_since(
    practice: Practice, resent: tuple[str, ...]
) -> None:
    """Purchase and removal came after the backup. Bandwidth goes on listing the number as bought."""
    practice.policy = POLICY

    async def whole() -> None:
        async with practice.opened() as services:
            practice.remember()
            (bought,) = await accept(services, an_order("bought"))
            await work_until_idle(practice, services)
            (number,) = practice.numbers(bought)
            removal = {"key": "gone", "carrier": "bandwidth", "kind": "remove_numbers", "numbers": [number]}
            bodies = {"bought": an_order("bought"), "gone": removal}
            await accept(services, removal)
            await work_until_idle(practice, services)
            assert number not in practice.carrier.report()["holdings"]["bandwidth"]
        practice.fall_back()
        async with practice.opened() as services:
            for key in resent:
                await accept(services, bodies[key])
                await work_until_idle(practice, services)
            assert practice.rows("SELECT e164 FROM held_numbers WHERE released_at IS NULL") == []
            ended = practice.rows(
                "SELECT key, orders.state, n.state AS number FROM orders JOIN order_numbers AS n USING (order_id)"
            )
            shown = {row["key"]: (row["state"], row["number"]) for row in ended}
            ends = {"bought": ("COMPLETED_WITH_ERRORS", "released"), "gone": ("COMPLETED", "released")}
            assert shown == {key: ends[key] for key in resent}
            assert len(practice.sold()) == 2

    run(whole())


def test_a_forgotten_purchase_takes_no_number_from_the_order_that_bought_it_again(practice: Practice) -> None:
    """It was bought, removed, and bought once more. Only the last purchase holds the number."""
    practice.policy = POLICY

    async def whole() -> None:
        async with practice.opened() as services:
            practice.remember()
            (bought,) = await accept(services, an_order("bought"))
            await work_until_idle(practice, services)
            (number,) = practice.numbers(bought)
            named = {"criteria": None, "quantity": None, "numbers": [number]}
            await accept(services, an_order("gone", kind="remove_numbers", **named))
            await work_until_idle(practice, services)
            practice.carrier.advance(60)  # it is for sale again
            await accept(services, an_order("again", **named))
            await work_until_idle(practice, services)
            assert number in practice.carrier.report()["holdings"]["bandwidth"]
        practice.fall_back()
        async with practice.opened() as services:
            (again,) = await accept(services, an_order("again", **named))
            await work_until_idle(practice, services)
            (first,) = await accept(services, an_order("bought"))
            await work_until_idle(practice, services)
            held = practice.rows("SELECT e164, acquired_by FROM held_numbers WHERE released_at IS NULL")
            assert held == [{"e164": number, "acquired_by": again}]
            (shown,) = practice.rows("SELECT state, text FROM order_numbers WHERE order_id = %(it)s", it=first)
            assert shown["state"] == "released"
            assert "the carrier's order" in shown["text"]

    run(whole())


@pytest.mark.parametrize("recognised", [True, False])
def test_a_ledger_from_before_the_first_worker_gets_lanes_and_limits_again(
    practice: Practice, recognised: bool
) -> None:
    """No lane of a carrier would ever be due in it, and nothing would keep us to the carrier's rates.

    A copy of the server's files has the same identity: no fall is recognised if every process is new.
    """
    written = ("lanes", "budgets", "draws", "breakers")

    async def sweep_twice() -> None:
        async with practice.opened() as services:
            before = {table: practice.rows(f"TABLE {table}") for table in written}
            assert all(before.values())
            assert await services.orders.sweep() == 0
            if recognised:
                practice.db.execute("UPDATE guard SET identity = 'the server before'")
            practice.db.execute("DELETE FROM lanes; DELETE FROM draws; DELETE FROM budgets; DELETE FROM breakers")
            await services.orders.sweep()
            for table in written:
                assert len(practice.rows(f"TABLE {table}")) == len(before[table]), table
            if recognised:
                reserved = "SELECT bool_and(next_at = began_at + interval '1 minute') AS are FROM budgets, guard"
                assert practice.rows(reserved) == [{"are": True}], "rate slots given out before may still be used"
            await accept(services, an_order("crm-1"))
            assert await services.orders.sweep() == 1

    run(sweep_twice())


@pytest.mark.parametrize("dies_before", ["limits", "lanes"])
def test_a_process_that_dies_while_it_sets_carriers_up_leaves_that_to_the_next(
    practice: Practice, monkeypatch: pytest.MonkeyPatch, dies_before: str
) -> None:
    """A carrier with lanes and without limits would be asked and sent to at any rate."""

    async def die(*_: object) -> None:
        raise LedgerUnavailable("killed")

    async def sweep_twice() -> None:
        async with practice.opened() as services:
            practice.db.execute("DELETE FROM lanes; DELETE FROM draws; DELETE FROM budgets; DELETE FROM breakers")
            with monkeypatch.context() as dying:
                if dies_before == "limits":
                    dying.setattr(services.ledger.limits, "set_limits", die)
                else:
                    dying.setattr(services.ledger.schedule, "open_lanes", die)
                with pytest.raises(LedgerUnavailable):
                    await services.orders.sweep()
            await services.orders.sweep()
            for table in ("lanes", "budgets", "draws", "breakers"):
                assert practice.rows(f"TABLE {table}"), table

    run(sweep_twice())
