"""Lines, removals and parts at Swift, where one order keeps others waiting, and what closing one leaves."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.rows import dict_row

from number_orders.orders.events import WrittenOff
from number_orders.orders.model import State
from number_orders.sandbox.control import SandboxControl
from tests.integration.fulfilment.practice import live, run
from tests.integration.fulfilment.swift_practice import (
    SwiftPractice,
    a_purchase,
    a_removal,
    bought,
    brought_along,
    take,
    turn,
)

NEVER_ENDS = {"criteria": {"npa": "907"}}


@pytest.fixture
def practice(ledger_url: str, carrier: SandboxControl) -> Iterator[SwiftPractice]:
    with psycopg.connect(ledger_url, autocommit=True, row_factory=dict_row) as db:
        yield SwiftPractice(ledger_url, db, carrier)


def alarms(practice: SwiftPractice) -> list[tuple[str, object, int]]:
    """Return the alarms that stand: what, about which order, and how often."""
    found = practice.rows("SELECT what, order_id, times FROM alarms WHERE cleared_at IS NULL ORDER BY alarm_id")
    return [(row["what"], row["order_id"], row["times"]) for row in found]


def test_a_line_behind_a_parked_order_is_a_persons_business_until_it_moves(practice: SwiftPractice) -> None:
    """Told at once, once; closing the order lets the next one go, and the alarm is over by itself."""

    async def line() -> None:
        async with practice.opened() as services:
            first = await take(services, a_purchase("first", **NEVER_ENDS))
            await turn(practice, services)
            second = await take(services, a_purchase("second"))
            await turn(practice, services)
            await services.orders.watch()
            assert alarms(practice) == []
            await services.orders.park(first, by="ana", why="it never moves")
            for _ in range(3):
                await services.orders.watch()
            assert alarms(practice) == [("turn_held", first, 1)]
            ((detail,),) = [row.values() for row in practice.rows("SELECT detail FROM alarms")]
            assert f"order {first} is PARKED and has the serial lock since" in detail
            assert "1 order waits behind it until a person decides about it" in detail
            await turn(practice, services, minutes=2)
            assert practice.order(second)["sends"] == 0
            await services.orders.resolve(first, WrittenOff("ana", "closed at Swift"))
            await live(practice, services)
            await services.orders.watch()
            assert (practice.order(second)["state"], alarms(practice)) == ("COMPLETED", [])

    run(line())


def test_a_line_behind_an_order_that_does_not_move_is_told_after_a_while(practice: SwiftPractice) -> None:
    """It is told anew an hour later, also when somebody has put the alarm away."""

    async def stuck() -> None:
        async with practice.opened() as services:
            first = await take(services, a_purchase("first", **NEVER_ENDS))
            await turn(practice, services)
            await take(services, a_purchase("second"))
            await turn(practice, services, minutes=50)
            await services.orders.watch()
            assert alarms(practice) == []
            await turn(practice, services, minutes=20)
            await services.orders.watch()
            await services.ledger.alarms.clear()
            await services.orders.watch()
            assert alarms(practice) == []
            practice.db.execute("UPDATE alarms SET last_at = last_at - '61 min'::interval WHERE what = 'turn_held'")
            await services.orders.watch()
            assert alarms(practice) == [("turn_held", first, 2)]

    run(stuck())


def test_a_removal_that_waits_for_a_parked_order_calls_a_person_until_that_is_decided(practice: SwiftPractice) -> None:
    async def awaited() -> None:
        async with practice.opened() as services:
            bringing = await take(services, brought_along("+12025550111"))
            removal = await take(services, a_removal(["+12025550111"]))
            await turn(practice, services)
            assert alarms(practice) == []
            await services.orders.park(bringing, by="ana", why="wait")
            await turn(practice, services, minutes=30)
            await turn(practice, services, minutes=30)
            assert [what for what, *_ in alarms(practice)] == ["waits_for_parked"]
            ((what, about, _),) = alarms(practice)
            assert (what, about) == ("waits_for_parked", bringing)
            await services.orders.watch()
            assert len(alarms(practice)) == 1
            assert practice.order(removal)["state"] == "ACCEPTED"
            await services.orders.resolve(bringing, WrittenOff("ana", "not ours to bring"))
            await services.orders.watch()
            assert alarms(practice) == []

    run(awaited())


def test_a_removal_that_is_closed_in_the_middle_ends_with_the_part_that_was_done(practice: SwiftPractice) -> None:
    """One number was given up, the other was still tainted: PARTIAL, number by number."""

    async def closed() -> None:
        async with practice.opened() as services:
            (old,) = await bought(practice, services, key="old")
            practice.pass_time(minutes=32)
            (young,) = await bought(practice, services, key="young")
            removal = await take(services, a_removal([old, young], when_tainted="split"))
            await turn(practice, services)
            await turn(practice, services, seconds=5)
            assert practice.states(removal) == {old: "released", young: "requested"}
            await services.orders.park(removal, by="ana", why="keep the other")
            order = await services.orders.resolve(removal, WrittenOff("ana", "keep the other"))
            assert order.state is State.PARTIAL
            assert practice.states(removal) == {old: "released", young: "failed"}
            assert practice.held() == {young}
            assert practice.at_rest()

    run(closed())


def test_what_a_rule_holds_back_is_not_tried_sooner(practice: SwiftPractice) -> None:
    """Nobody is impatient enough for a removal inside its window."""

    async def ruled() -> None:
        async with practice.opened() as services:
            numbers = await bought(practice, services)
            removal = await take(services, a_removal(numbers))
            await turn(practice, services)
            (outcome,) = await services.orders.retry([removal], by="ana", why="now")
            assert str(outcome.refusal).startswith("a rule holds it back, and trying sooner would break it: tainted")
            await turn(practice, services)
            assert practice.order(removal)["sends"] == 1
            assert practice.violations() == []

    run(ruled())


@pytest.mark.parametrize("refusal", ["error", "refused"])
def test_a_carrier_that_calls_a_number_tainted_for_ever_calls_a_person(practice: SwiftPractice, refusal: str) -> None:
    """It is tried again after every window, and after an hour of that somebody is told."""

    async def for_ever() -> None:
        async with practice.opened() as services:
            numbers = await bought(practice, services)
            practice.pass_time(minutes=32)
            practice.carrier.behave(taint_s=864_000, tainted_removal=refusal)
            removal = await take(services, a_removal(numbers))
            told = []
            for _ in range(4):
                await turn(practice, services)
                await turn(practice, services, seconds=5)
                practice.pass_time(minutes=32)
                told.append([what for what, *_ in alarms(practice)])
            assert told[0] == []
            assert told[-1] == ["overdue"]
            assert practice.order(removal)["ended_at"] is None

    run(for_ever())
