"""Ends that contradict the carrier's lists, and removals that a list seems to confirm: neither is believed at once."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import psycopg
import pytest
from psycopg.rows import dict_row

from number_orders.orders.events import Acknowledged, Event, Filled, FilledWithErrors, PartlyFilled, Refused
from number_orders.orders.model import CarrierOrderId, NumberResult, NumberState
from number_orders.orders.policy import CarrierPolicy
from number_orders.sandbox.control import SandboxControl
from tests.integration.fulfilment.portal import SwiftPortal
from tests.integration.fulfilment.practice import BANDWIDTH, Practice, accept, run, work, work_until_idle
from tests.integration.fulfilment.swift_practice import SwiftPractice, a_removal, accept_one, buy, work_once
from tests.integration.fulfilment.test_settling import (
    E164S,
    MINUTE,
    A,
    Scripted,
    bought,
    held,
    lagging,  # noqa: F401  a fixture
    look,
    send,
    states,
)
from tests.unit.carriers.bandwidth import examples as bandwidth_examples
from tests.unit.carriers.cm import examples as cm_examples
from tests.unit.carriers.conversations import converse

GONE = CarrierOrderId("cccccccc")
RANGES = [f"+3120123456{digit}" for digit in range(5)]
RELEASED = tuple(NumberResult(e164, NumberState.RELEASED) for e164 in E164S[:2])
STAYS = tuple(NumberResult(e164, NumberState.FAILED, None, "still on the account") for e164 in E164S[:2])


@pytest.fixture
def swift(ledger_url: str, carrier: SandboxControl) -> Iterator[SwiftPractice]:
    with psycopg.connect(ledger_url, autocommit=True, row_factory=dict_row) as db:
        yield SwiftPractice(ledger_url, db, carrier, policy=CarrierPolicy(settle_after=timedelta(minutes=10)))


def at_cm(status: str, *numbers: str) -> Event:
    """Return what the adapter makes of a number request with these numbers, of three that were asked for."""
    order = cm_examples.an_order(cm_examples.a_request(3))
    ranges = [cm_examples.a_range(number) for number in numbers]
    answer = cm_examples.answered(200, cm_examples.shown(status, *ranges, quantity=3))
    return converse(cm_examples.CARRIER.ask(order), answer)[0]


def at_bandwidth(status: str, *numbers: str) -> Event:
    order = bandwidth_examples.searched(3)
    shown = bandwidth_examples.shown(status, completed=bandwidth_examples.bare(*numbers))
    bodies = [shown, *([bandwidth_examples.own_list(*numbers)] if numbers else [])]
    answers = [bandwidth_examples.answered(200, body) for body in bodies]
    return converse(bandwidth_examples.BANDWIDTH.ask(order), *answers)[0]


@pytest.mark.parametrize(
    ("contradiction", "then", "state"),
    [
        (at_cm("cancelled", *RANGES[:3]), at_cm("cancelled"), "FAILED"),
        (at_cm("rejected", *RANGES[:3]), at_cm("rejected"), "FAILED"),
        (at_cm("completed", *RANGES), at_cm("completed", *RANGES[2:]), "COMPLETED"),
        (at_bandwidth("FAILED", *E164S[:3]), at_bandwidth("FAILED"), "FAILED"),
    ],
    ids=["cm cancelled", "cm rejected", "cm replaces", "bandwidth failed"],
)
def test_an_end_that_contradicts_its_list_waits_for_the_list(
    lagging: Practice,  # noqa: F811
    contradiction: Event,
    then: Event,
    state: str,
) -> None:
    """The list shows the numbers for a while, and they are not on the account."""

    async def scenario() -> None:
        carrier = Scripted(stands={A: contradiction})
        async with lagging.opened(adapter=carrier) as services:
            order_id = await send(services)
            await look(lagging, services, MINUTE / 2)
            assert lagging.order(order_id)["state"] == "OPEN"
            carrier.stands[A] = then
            await look(lagging, services, MINUTE, times=6)
            assert lagging.order(order_id)["state"] == state
            assert held(lagging) == sorted(result.e164 for result in getattr(then, "numbers", ()))
            withdrawn = [e164 for e164, became in states(lagging, order_id).items() if became == "withdrawn"]
            assert lagging.alarms() == [("numbers_withdrawn", 1)]
            assert len(withdrawn) == len(getattr(contradiction, "numbers", ())) - len(held(lagging))

    run(scenario())


def test_an_end_with_errors_beside_all_numbers_is_believed_when_it_stays(lagging: Practice) -> None:  # noqa: F811
    async def scenario() -> None:
        carrier = Scripted(stands={A: FilledWithErrors("COMPLETE", bought(0, 1, 2), "complete, with errors")})
        async with lagging.opened(adapter=carrier) as services:
            order_id = await send(services)
            await look(lagging, services, MINUTE)
            assert (lagging.order(order_id)["state"], held(lagging)) == ("OPEN", E164S[:3])
            await look(lagging, services, MINUTE, times=4)
            assert lagging.order(order_id)["state"] == "COMPLETED_WITH_ERRORS"

    run(scenario())


@pytest.mark.parametrize(
    "first",
    [
        FilledWithErrors("ERROR", (RELEASED[0], STAYS[1]), "ERROR, yet 1 of 2 numbers is gone"),
        FilledWithErrors("ERROR", RELEASED, "ERROR, yet 2 of 2 numbers are gone"),
        PartlyFilled("PARTIAL", (RELEASED[0], STAYS[1]), "1 of 2"),
    ],
    ids=["error, one gone", "error, all gone", "partial"],
)
def test_a_removal_that_is_not_believed_yet_releases_nothing(lagging: Practice, first: Event) -> None:  # noqa: F811
    """The first list lacks numbers that the later ones show."""

    async def scenario() -> None:
        carrier = Scripted(stands={A: Filled("COMPLETE", bought(0, 1))})
        async with lagging.opened(adapter=carrier) as services:
            await send(services, quantity=2)
            await look(lagging, services, MINUTE)
            carrier.answers = [Acknowledged(GONE, "RECEIVED")]
            removal = {"key": "gone", "carrier": "bandwidth", "kind": "remove_numbers", "numbers": E164S[:2]}
            (order_id,) = await accept(services, removal)
            carrier.stands[GONE] = first
            await work(services, carrier=BANDWIDTH)
            await look(lagging, services, MINUTE)
            order = lagging.order(order_id)
            assert (order["state"], held(lagging)) == ("OPEN", E164S[:2]), order["reason"]
            assert set(states(lagging, order_id).values()) == {"requested"}
            carrier.stands[GONE] = Refused("ERROR", None, "ERROR", STAYS)
            await look(lagging, services, MINUTE, times=6)
            assert (lagging.order(order_id)["state"], held(lagging)) == ("FAILED", E164S[:2])

    run(scenario())


def test_a_removal_is_believed_when_its_numbers_stay_away(lagging: Practice) -> None:  # noqa: F811
    async def scenario() -> None:
        carrier = Scripted(stands={A: Filled("COMPLETE", bought(0, 1))})
        async with lagging.opened(adapter=carrier) as services:
            await send(services, quantity=2)
            await look(lagging, services, MINUTE)
            carrier.answers = [Acknowledged(GONE, "RECEIVED")]
            carrier.stands[GONE] = PartlyFilled("PARTIAL", (RELEASED[0], STAYS[1]), "1 of 2")
            removal = {"key": "gone", "carrier": "bandwidth", "kind": "remove_numbers", "numbers": E164S[:2]}
            (order_id,) = await accept(services, removal)
            await work(services, carrier=BANDWIDTH)
            await look(lagging, services, MINUTE, times=6)
            assert (lagging.order(order_id)["state"], held(lagging)) == ("PARTIAL", E164S[1:2])
            assert set(states(lagging, order_id).values()) == {"released", "failed"}

    run(scenario())


def test_an_error_of_a_removal_is_not_believed_because_its_number_is_not_listed(swift: SwiftPractice) -> None:
    """The number left by hand and was added again by hand, and the list shows that a minute later."""

    async def scenario() -> None:
        async with swift.opened() as services:
            (number,) = await buy(swift, services)
            swift.pass_time(minutes=40)
            with closing(SwiftPortal(swift.carrier)) as portal:
                portal.remove(number)
                swift.pass_time(minutes=10)
                swift.carrier.behave(swift_did_delay_s=60)
                portal.add(number)
                swift.pass_time(seconds=5)
                gone = await accept_one(services, a_removal([number]))
                for _ in range(4):
                    await work_once(swift, services, seconds=5)
                assert swift.order(gone)["state"] == "OPEN", swift.order(gone)
                await work_until_idle(swift, services, step=timedelta(minutes=2))
                assert portal.listed() == swift.held() == {number}
                assert swift.order(gone)["state"] == "FAILED"

    run(scenario())
