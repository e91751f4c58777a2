"""The parts of a world are complete, and its time only jumps forward."""

import asyncio
import re
from importlib.resources import files

import pytest

from config.settings import BandwidthSettings, CMSettings, Settings, SwiftSettings
from number_orders.ledger.statements import SQL
from number_orders.orders.model import CarrierName
from number_orders.orders.policy import CarrierPolicy
from number_orders.simulation.carriers import BANDWIDTH, CM_COM, POLICIES, SWIFT
from number_orders.simulation.clock import Deadlock, VirtualLoop
from number_orders.simulation.memory_ledger import STATEMENTS
from number_orders.simulation.network import TIMEOUT_S
from number_orders.simulation.receiver import ASKS_EVERY
from workers.bootstrap import policy

FOR_PEOPLE = {"board", "metrics", "overview", "sessions"}
"""The SQL files of what the board, metrics and `status` show: they move no order by themselves."""


def files_of_statements() -> dict[str, str]:
    """The SQL file of every statement that a world runs."""
    found = {
        name: file.name.removesuffix(".sql")
        for file in files("number_orders.ledger").joinpath("sql").iterdir()
        for name in re.findall(r"^-- name: (\w+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert found.keys() == SQL.keys()
    return {name: file for name, file in found.items() if file not in FOR_PEOPLE}


def test_the_ledger_in_memory_knows_every_statement() -> None:
    """A new SQL statement needs a statement in memory, and its contract test."""
    assert STATEMENTS.keys() == files_of_statements().keys()


def test_statement_in_memory_is_in_the_module_named_like_its_sql_file() -> None:
    """So that both are found under one name."""
    assert {name: run.__module__.rpartition(".")[2] for name, run in STATEMENTS.items()} == files_of_statements()


@pytest.mark.parametrize(
    ("carrier", "real"),
    [
        (BANDWIDTH, policy(BandwidthSettings())),
        (CM_COM, policy(CMSettings())),
        (SWIFT, policy(SwiftSettings())),
    ],
)
def test_simulated_policies_are_the_default_ones(carrier: CarrierName, real: CarrierPolicy) -> None:
    """Worlds run with the default settings."""
    assert POLICIES[carrier] == real
    assert BandwidthSettings().timeout_s == TIMEOUT_S
    assert Settings.model_fields["notice_asks_every_s"].default == ASKS_EVERY.total_seconds()


def test_days_pass_without_waiting() -> None:
    """Sleeping tasks wake in order, at the moments they asked for, without any waiting."""

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


def test_work_for_threads_is_done_at_once() -> None:
    """Also if it fails."""

    async def work() -> int:
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 // 0)
        return await asyncio.to_thread(lambda: 7)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(work()) == 7


def test_world_without_tasks_or_timers_raises_deadlock() -> None:
    """It does not wait for ever."""
    loop = VirtualLoop()
    with pytest.raises(Deadlock):
        loop.run_until_complete(asyncio.Event().wait())
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
