"""Four processes race for the last numbers of a budget: it is used up, and never exceeded."""

import asyncio
import random
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import psycopg

from number_orders.ledger.allowances import Limit
from number_orders.ledger.ledger import PostgresLedger
from number_orders.orders.budget import Span
from number_orders.orders.model import CarrierName
from tests.integration.ledger.test_allowances import an_order

CARRIERS = (CarrierName("bandwidth"), CarrierName("swift"))
LIMIT = 400
PER_PROCESS = 120


def order_numbers(url: str, process: int) -> int:
    """Order in batches of mixed sizes until 120 orders have an answer; return how many numbers were granted."""
    dice = random.Random(process)

    async def work() -> int:
        granted = 0
        async with PostgresLedger.at(url, connections_max=2) as ledger:
            orders = [
                an_order(
                    f"{process}-{i}", dice.randint(1, 4), carrier=dice.choice(CARRIERS), producer=dice.choice("ab")
                )
                for i in range(PER_PROCESS)
            ]
            while orders:
                batch, orders = orders[: (size := dice.randint(1, 9))], orders[size:]
                stored = await ledger.intake.accept(batch, numbers_per_hour=LIMIT)
                granted += sum(order.request.wanted for order in batch if order.order_id in stored.states)
        return granted

    return asyncio.run(work())


def test_four_processes_take_exactly_what_there_is(ledger_url: str) -> None:
    """Of producer `a` one row is contended for, the default's; of `b` three, two of them of single carriers."""

    async def set_limits() -> None:
        async with PostgresLedger.at(ledger_url) as ledger:
            limits = [Limit(Span.HOUR, 200), Limit(Span.DAY, 80, CARRIERS[0]), Limit(Span.HOUR, 90, CARRIERS[1])]
            await ledger.allowances.set_limits("b", limits)

    asyncio.run(set_limits())
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        granted = sum(pool.map(order_numbers, [ledger_url] * 4, range(4)))
    with psycopg.connect(ledger_url) as db:
        accepted = db.execute("""
            SELECT producer, carrier, sum((request ->> 'quantity')::integer) FROM orders GROUP BY producer, carrier
        """).fetchall()
        taken = db.execute("SELECT producer, carrier, taken FROM allowances ORDER BY 1, 2").fetchall()
    numbers = {(producer, carrier): count for producer, carrier, count in accepted}
    of_a = sum(count for (producer, _), count in numbers.items() if producer == "a")
    assert granted == sum(numbers.values())
    # A smaller order fits into what a larger one leaves: only when less than the largest is left are all refused.
    assert LIMIT - 4 < of_a <= LIMIT
    assert 80 - 4 < numbers["b", "bandwidth"] <= 80
    assert 90 - 4 < numbers["b", "swift"] <= 90
    assert taken == [
        ("a", "", of_a),
        ("b", "", numbers["b", "bandwidth"] + numbers["b", "swift"]),
        ("b", "bandwidth", numbers["b", "bandwidth"]),
        ("b", "swift", numbers["b", "swift"]),
    ]
