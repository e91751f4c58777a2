"""A carrier that takes half a minute to answer: its orders are in doubt, then found; everybody else's flow meanwhile.

`SLOW_ANSWER_S=30` has the half minute itself, with the settings that are the default. Otherwise all of it passes ten
times as fast.
"""

import os
from collections.abc import Sequence
from statistics import median
from typing import Any, Final

import pytest

from number_orders.sandbox.control import SandboxControl
from tests.acceptance.conftest import MakeOrder, Producer
from tests.acceptance.queries import rows
from tests.acceptance.swift_orders import OWN, SUB, UNAPPROVED
from tests.acceptance.test_killed_workers import await_rest, differences
from tests.acceptance.test_offers import three_carriers
from tests.processes import Processes, eventually

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(1200)]

ANSWER_S: Final = float(os.environ.get("SLOW_ANSWER_S", "3"))
WITHIN_S: Final = 300 + 10 * ANSWER_S
DEFAULTS_S: Final = {
    "TIMEOUT_S": 30,
    "READ_TIMEOUT_S": 25,
    "CONNECT_TIMEOUT_S": 25,  # of the default it is 5: here it is no more than what a busy machine may need
    "POOL_TIMEOUT_S": 25,
    "DOUBT_FIRST_S": 5,
    "DOUBT_PATIENCE_S": 300,
    "BREAKER_HOLD_FIRST_S": 5,
    "BREAKER_HOLD_MAX_S": 30,  # of the default it is 300: the test need not last so long
}
"""For a carrier that answers in 30 s."""
SLOW: Final = 120
OTHERS: Final = 20
CHILDREN: Final = 3
"""As many as are the default on a small machine."""


def test_a_carrier_that_answers_too_late_holds_up_nobody_else_and_sells_nothing_twice(
    producer: Producer, processes: Processes, carrier: SandboxControl, ledger_url: str, an_order: MakeOrder
) -> None:
    """It does what it is asked after its time, whether or not anybody still listens."""
    scaled = {f"NUMBER_ORDERS_BANDWIDTH__{name}": str(value * ANSWER_S / 30) for name, value in DEFAULTS_S.items()}
    processes.beat()
    processes.worker(children=CHILDREN, env={**three_carriers(), **scaled})
    alone = await_ends(ledger_url, order(producer, others(an_order)))

    carrier.fault("slow", carrier="bandwidth", path="/orders*", delay_s=ANSWER_S)
    order(producer, [an_order() for _ in range(SLOW)])
    for _ in eventually(WITHIN_S):
        if len(rows(ledger_url, "SELECT FROM orders WHERE state = 'SUBMITTING'")) >= SLOW / 4:
            break
    beside = await_ends(ledger_url, order(producer, others(an_order)))
    for _ in eventually(WITHIN_S):
        if rows(ledger_url, "SELECT FROM breakers WHERE carrier = 'bandwidth' AND held_until IS NOT NULL"):
            break
    carrier.clear_faults()

    orders = await_rest(ledger_url, SLOW + 2 * OTHERS, within_s=WITHIN_S)
    report = carrier.report()
    assert report["duplicates"] == {"customer_order_ids": {}, "numbers": {}}
    assert {order["state"] for order in orders} == {"COMPLETED"}
    assert differences_at_bandwidth(orders, report["orders"], ledger_url) == []
    doubted = sum(order["losses"] > 0 for order in orders)
    assert doubted >= 10, "too few answers came too late to prove anything"
    print(  # noqa: T201
        f"{ANSWER_S:g} s: {doubted} of {SLOW} orders in doubt; {OTHERS} orders of the others ended "
        f"within {median(alone):.1f} s (median) and {max(alone):.1f} s (longest) alone, "
        f"{median(beside):.1f} s and {max(beside):.1f} s beside the slow one"
    )


def others(an_order: MakeOrder) -> list[dict[str, Any]]:
    """Return orders for the other carriers. At Swift those of one account stand in line: so there is one for each."""
    dutch = {"country": "NLD", "number_type": "local", "npa": "020"}
    swift = [an_order(carrier="swift", account=account) for account in (OWN, SUB, UNAPPROVED)]
    return [*swift, *(an_order(carrier="cm", criteria=dutch) for _ in range(OTHERS - len(swift)))]


def order(producer: Producer, orders: Sequence[dict[str, Any]]) -> list[str]:
    """Hand orders in, and return their ids."""
    tickets = producer.call("orders.submit_many", list(orders))["tickets"]
    assert len(tickets) == len(orders)
    return [ticket["order_id"] for ticket in tickets]


def await_ends(url: str, order_ids: Sequence[str]) -> list[float]:
    """Wait until all of these have ended, and return how long each took, in seconds."""
    took: list[float] = []
    for _ in eventually(WITHIN_S):
        ended = rows(
            url,
            """SELECT extract(epoch FROM ended_at - accepted_at)::float AS took_s FROM orders
               WHERE order_id = ANY(%s::uuid[]) AND ended_at IS NOT NULL""",
            order_ids,
        )
        took = [row["took_s"] for row in ended]
        if len(took) == len(order_ids):
            break
    return took


def differences_at_bandwidth(orders: Sequence[dict[str, Any]], sold: list[dict[str, Any]], url: str) -> list[str]:
    """Compare the slow carrier's orders with its own word."""
    theirs = {row["order_id"] for row in rows(url, "SELECT order_id::text FROM orders WHERE carrier = 'bandwidth'")}
    return differences([each for each in orders if each["order_id"] in theirs], sold, url)
