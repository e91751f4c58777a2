"""The parts that worlds are made of: nothing of what they stand in for is missing, and time only leaps."""

import asyncio

import pytest

from config.settings import BandwidthSettings, CMSettings, SwiftSettings
from number_orders.ledger.statements import SQL
from number_orders.orders.model import CarrierName
from number_orders.orders.policy import CarrierPolicy
from number_orders.simulation.carriers import BANDWIDTH, CM_COM, POLICIES, SWIFT
from number_orders.simulation.clock import Deadlock, VirtualLoop
from number_orders.simulation.memory_ledger import STATEMENTS
from number_orders.simulation.network import TIMEOUT_S
from workers.bootstrap import policy


def test_the_ledger_in_memory_knows_every_statement() -> None:
    """A statement that is new in queries.sql is missing here until somebody writes it, and its contract."""
    assert STATEMENTS.keys() == SQL.keys()


@pytest.mark.parametrize(
    ("carrier", "real"),
    [
        (BANDWIDTH, policy(BandwidthSettings())),
        (CM_COM, policy(CMSettings())),
        (SWIFT, policy(SwiftSettings())),
    ],
)
def test_simulated_patience_is_the_real_one(carrier: CarrierName, real: CarrierPolicy) -> None:
    """Worlds are run with the settings as they are when nobody touches them."""
    assert POLICIES[carrier] == real
    assert BandwidthSettings().timeout_s == TIMEOUT_S


def test_days_pass_at_once() -> None:
    """Sleepers wake in order, at the moment they asked for, and nobody waits for it."""

    async def sleepers() -> tuple[list[int], float]:
        woken: list[int] = []

        async def sleep(days: int) -> None:
            await asyncio.sleep(days * 86_400)
            woken.append(days)

        await asyncio.gather(*(sleep(days) for days in (3, 1, 2)))
        return woken, asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        woken, passed_s = runner.run(sleepers())
    assert woken == [1, 2, 3]
    assert passed_s == pytest.approx(3 * 86_400)


def test_what_others_do_in_a_thread_is_done_at_once() -> None:
    """Also when it fails."""

    async def work() -> int:
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 // 0)
        return await asyncio.to_thread(lambda: 7)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(work()) == 7


def test_a_world_in_which_nothing_can_happen_any_more_says_so() -> None:
    """Instead of waiting for ever."""
    loop = VirtualLoop()
    with pytest.raises(Deadlock):
        loop.run_until_complete(asyncio.Event().wait())
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
