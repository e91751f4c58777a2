"""A worker is killed at every step of every kind of Swift order while the carrier is at it: bought once, ended truly.

Each round holds many orders at one step at once, some before Swift has heard them and some after it has acted, kills
the worker with all its children, lets an hour pass in the ledger so that nothing counts as on its way any more, and has
another worker go on.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from uuid import uuid4

import pytest

from embedded.engines import Engines
from tests.acceptance.conftest import QUICK, House, Producer, empty_house
from tests.acceptance.conftest import environment as house_environment
from tests.acceptance.looking import sold_for
from tests.acceptance.passing import pass_time
from tests.acceptance.swift_orders import (
    CARTS,
    CHECKOUT,
    DIDS,
    ORDER,
    OWN,
    REQUESTS,
    SUB,
    a_purchase,
    a_removal,
    brought_along,
    environment,
    put_on_the_account,
    states,
)
from tests.processes import Process, Processes, eventually

pytestmark = pytest.mark.acceptance

Order = dict[str, Any]
BEFORE, AFTER = "hang_before", "hang_after"
"""Held before Swift has heard of it, and held after Swift has done it."""
PATIENT = {"TIMEOUT_S": "300", "CONNECT_TIMEOUT_S": "300", "READ_TIMEOUT_S": "300", "POOL_TIMEOUT_S": "300"}
"""Whatever is held is held until the worker is killed."""
UNTAINTED = {"TAINT_WINDOW_S": "0.001", "TAINT_MARGIN_S": "0"}

_lines = count(2000)


@dataclass
class Shift:
    """Workers, one at a time, and numbers to give up."""

    house: House
    running: Processes
    worker: Process
    numbers: list[str] = field(default_factory=list)

    def kill_and_replace(self) -> None:
        """Kill the worker and all its children, let an hour pass, and start another."""
        self.worker.kill()
        self.house.carrier.clear_faults()
        pass_time(self.house, hours=1)
        self.worker = self.running.worker()


@pytest.fixture(scope="module")
def shift(engines: Engines, ledger_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shift]:
    with empty_house(engines) as house:
        house.carrier.behave(taint_s=0, swift_usable_s=0)
        env = house_environment(house.ledger_url, house.broker_url, house.carrier)
        env |= environment(**{**QUICK, **PATIENT, **UNTAINTED})
        with Processes(tmp_path_factory.mktemp("log"), env) as running:
            running.beat()
            yield Shift(house, running, running.worker())


@pytest.fixture
def house(shift: Shift) -> House:
    """The house of the shift."""
    return shift.house


def a_number() -> str:
    """Return a number that nobody has heard of."""
    return f"+1202555{next(_lines)}"


def orders(numbers: Iterator[str], strangers: Iterable[str]) -> Iterator[tuple[Order, str]]:
    """Yield orders of every kind and how each is held; of one account only one order that buys can be held."""
    yield a_purchase(quantity=2, account=OWN), BEFORE
    yield a_purchase(quantity=2, account=SUB), AFTER
    for held in (BEFORE, AFTER):
        yield brought_along(a_number(), a_number()), held
        yield a_removal(next(numbers), next(numbers)), held
    for stranger, held in zip(strangers, (BEFORE, AFTER), strict=True):
        yield a_removal(stranger), held


@pytest.mark.parametrize(
    "step", [CARTS, REQUESTS, CHECKOUT, ORDER], ids=lambda step: f"{step['method']} {step['path']}"
)
def test_a_worker_killed_while_a_step_is_answered(producer: Producer, shift: Shift, step: Mapping[str, str]) -> None:
    """Whether Swift had heard the request or not: the order goes on from there, and is done once."""
    wanted = prepared(producer, shift)
    for order_id, (_, held) in wanted.items():
        shift.house.carrier.fault(held, customer_order_id=order_id, **step)
    for order_id, (order, _) in wanted.items():
        producer.submit(order, order_id=order_id)
    await_held(shift, len(wanted))

    shift.kill_and_replace()

    assert untrue(producer, shift, wanted) == []


def test_a_worker_killed_while_it_looks_for_numbers(producer: Producer, shift: Shift) -> None:
    """Before a stranger's cart is made, and after an order has ended: the list of numbers is asked for again."""
    wanted = prepared(producer, shift)
    shift.house.carrier.fault(AFTER, **DIDS)
    for order_id, (order, _) in wanted.items():
        producer.submit(order, order_id=order_id)
    await_held(shift, len(wanted))

    shift.kill_and_replace()

    assert untrue(producer, shift, wanted) == []


def prepared(producer: Producer, shift: Shift) -> dict[str, tuple[Order, str]]:
    """Return orders by their ids; what they are to give up is there."""
    bought = producer.await_end(producer.submit(a_purchase(quantity=4))["order_id"])
    strangers = a_number(), a_number()
    for stranger in strangers:
        put_on_the_account(shift.house.carrier, stranger)
    return {str(uuid4()): order for order in orders(iter(sorted(states(bought))), strangers)}


def await_held(shift: Shift, number: int) -> None:
    """Wait until so many requests are held."""
    for _ in eventually():
        hits = [rule["hits"] for rule in shift.house.carrier.faults()]
        if sum(hits) >= number and all(hits):
            break


def untrue(producer: Producer, shift: Shift, wanted: Mapping[str, tuple[Order, str]]) -> list[str]:
    """Return every order that did not end well, or was not done exactly once, or tells otherwise."""
    ends = {order_id: producer.await_end(order_id) for order_id in wanted}
    wrong = []
    for order_id, document in ends.items():
        theirs = sold_for(shift.house.carrier, order_id)
        done = sorted(number for order in theirs for what in ("bought", "added", "removed") for number in order[what])
        if (document["state"], len(theirs), sorted(states(document))) != ("COMPLETED", 1, done):
            wrong.append(f"{document} but the carrier says {theirs}")
    report = shift.house.carrier.report()
    wrong += [str(report["duplicates"][what]) for what in report["duplicates"] if report["duplicates"][what]]
    return wrong
