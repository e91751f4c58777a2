"""At Swift one order can make others wait: alarms tell people, and closing the order lets the others continue."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.rows import dict_row

from number_orders.orders.errors import NotResolvable
from number_orders.orders.events import SentAgain, WrittenOff
from number_orders.orders.model import State
from number_orders.sandbox.control import SandboxControl
from tests.integration.fulfilment.practice import run, work_until_idle
from tests.integration.fulfilment.swift_practice import (
    SwiftPractice,
    a_purchase,
    a_removal,
    accept_one,
    an_addition,
    buy,
    work_once,
)

NEVER_ENDS = {"criteria": {"npa": "907"}}


@pytest.fixture
def practice(ledger_url: str, carrier: SandboxControl) -> Iterator[SwiftPractice]:
    with psycopg.connect(ledger_url, autocommit=True, row_factory=dict_row) as db:
        yield SwiftPractice(ledger_url, db, carrier)


def active_alarms(practice: SwiftPractice) -> list[tuple[str, object, int]]:
    """Return the active alarms: what, about which order, and how often."""
    found = practice.rows("SELECT what, order_id, times FROM alarms WHERE cleared_at IS NULL ORDER BY alarm_id")
    return [(row["what"], row["order_id"], row["times"]) for row in found]


def test_parked_order_that_others_wait_for_raises_an_alarm_until_it_is_closed(practice: SwiftPractice) -> None:
    """At once and once. Closing the order lets the next one be sent, and the alarm goes by itself."""

    async def waiting() -> None:
        async with practice.opened() as services:
            first = await accept_one(services, a_purchase("first", **NEVER_ENDS))
            await work_once(practice, services)
            second = await accept_one(services, a_purchase("second"))
            await work_once(practice, services)
            await services.orders.watch()
            assert active_alarms(practice) == []
            await services.orders.park(first, by="ana", why="it never moves")
            for _ in range(3):
                await services.orders.watch()
            assert active_alarms(practice) == [("turn_held", first, 1)]
            ((detail,),) = [row.values() for row in practice.rows("SELECT detail FROM alarms")]
            assert f"order {first} is PARKED and has the serial lock since" in detail
            assert "1 order waits behind it until a person decides about it" in detail
            await work_once(practice, services, minutes=2)
            assert practice.order(second)["sends"] == 0
            await services.orders.resolve(first, WrittenOff("ana", "closed at Swift"))
            await work_until_idle(practice, services)
            await services.orders.watch()
            assert (practice.order(second)["state"], active_alarms(practice)) == ("COMPLETED", [])

    run(waiting())


def test_order_that_keeps_its_lock_for_long_raises_an_alarm_every_hour(practice: SwiftPractice) -> None:
    """Also when a person has cleared the alarm meanwhile."""

    async def stuck() -> None:
        async with practice.opened() as services:
            first = await accept_one(services, a_purchase("first", **NEVER_ENDS))
            await work_once(practice, services)
            await accept_one(services, a_purchase("second"))
            await work_once(practice, services, minutes=50)
            await services.orders.watch()
            assert active_alarms(practice) == []
            await work_once(practice, services, minutes=20)
            await services.orders.watch()
            await services.ledger.alarms.clear(by="ana")
            await services.orders.watch()
            assert active_alarms(practice) == []
            practice.db.execute("UPDATE alarms SET last_at = last_at - '61 min'::interval WHERE what = 'turn_held'")
            await services.orders.watch()
            assert active_alarms(practice) == [("turn_held", first, 2)]

    run(stuck())


def test_removal_that_waits_for_a_parked_order_raises_an_alarm_until_that_is_resolved(practice: SwiftPractice) -> None:
    async def awaited() -> None:
        async with practice.opened() as services:
            adding = await accept_one(services, an_addition("+12025550111"))
            removal = await accept_one(services, a_removal(["+12025550111"]))
            await work_once(practice, services)
            assert active_alarms(practice) == []
            await services.orders.park(adding, by="ana", why="wait")
            await work_once(practice, services, minutes=30)
            await work_once(practice, services, minutes=30)
            assert [what for what, *_ in active_alarms(practice)] == ["waits_for_parked"]
            ((what, about, _),) = active_alarms(practice)
            assert (what, about) == ("waits_for_parked", adding)
            await services.orders.watch()
            assert len(active_alarms(practice)) == 1
            assert practice.order(removal)["state"] == "ACCEPTED"
            await services.orders.resolve(adding, WrittenOff("ana", "not ours to add"))
            await services.orders.watch()
            assert active_alarms(practice) == []

    run(awaited())


def test_removal_that_is_closed_halfway_is_partial(practice: SwiftPractice) -> None:
    """One number is released, the other was still tainted: PARTIAL, number by number."""

    async def closed() -> None:
        async with practice.opened() as services:
            (old,) = await buy(practice, services, key="old")
            practice.pass_time(minutes=32)
            (young,) = await buy(practice, services, key="young")
            removal = await accept_one(services, a_removal([old, young], when_tainted="split"))
            await work_once(practice, services)
            await work_once(practice, services, seconds=5)
            assert practice.states(removal) == {old: "released", young: "requested"}
            await services.orders.park(removal, by="ana", why="keep the other")
            order = await services.orders.resolve(removal, WrittenOff("ana", "keep the other"))
            assert order.state is State.PARTIAL
            assert practice.states(removal) == {old: "released", young: "failed"}
            assert practice.held() == {young}
            assert practice.is_idle()

    run(closed())


def test_removal_that_the_carrier_has_is_not_sent_again(practice: SwiftPractice) -> None:
    """Otherwise it could be cancelled as one that was never sent, while its numbers leave the account."""

    async def again() -> None:
        async with practice.opened() as services:
            (number,) = await buy(practice, services)
            practice.pass_time(minutes=32)
            removal = await accept_one(services, a_removal([number]))
            await work_once(practice, services)
            assert practice.order(removal)["state"] == "OPEN"
            await services.orders.park(removal, by="ana", why="what is this")
            with pytest.raises(NotResolvable, match="adopt it"):
                await services.orders.resolve(removal, SentAgain("ana", "it never moves"))
            assert practice.order(removal)["state"] == "PARKED"

    run(again())


def test_removal_inside_its_taint_window_is_not_tried_sooner(practice: SwiftPractice) -> None:
    """A person who asks for it is told the rule."""

    async def ruled() -> None:
        async with practice.opened() as services:
            numbers = await buy(practice, services)
            removal = await accept_one(services, a_removal(numbers))
            await work_once(practice, services)
            (outcome,) = await services.orders.retry([removal], by="ana", why="now")
            assert str(outcome.refusal).startswith("a rule holds it back, and trying sooner would break it: tainted")
            await work_once(practice, services)
            assert practice.order(removal)["sends"] == 1
            assert practice.violations() == []

    run(ruled())


@pytest.mark.parametrize("refusal", ["error", "refused"])
def test_number_that_stays_tainted_raises_an_alarm(practice: SwiftPractice, refusal: str) -> None:
    """It is tried again after every window; after an hour of that, the overdue alarm is raised."""

    async def for_ever() -> None:
        async with practice.opened() as services:
            numbers = await buy(practice, services)
            practice.pass_time(minutes=32)
            practice.carrier.behave(taint_s=864_000, tainted_removal=refusal)
            removal = await accept_one(services, a_removal(numbers))
            raised = []
            for _ in range(4):
                await work_once(practice, services)
                await work_once(practice, services, seconds=5)
                practice.pass_time(minutes=32)
                raised.append([what for what, *_ in active_alarms(practice)])
            assert raised[0] == []
            assert raised[-1] == ["overdue"]
            assert practice.order(removal)["ended_at"] is None

    run(for_ever())
