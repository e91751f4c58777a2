"""Simulated worlds: every promise holds in each of them, whatever the seed."""

import os
import time
from pathlib import Path
from random import SystemRandom
from typing import NamedTuple

import pytest

from number_orders.simulation.world import Plan, Report, run

BUDGET_S = float(os.environ.get("SIMULATION_BUDGET_S", "15"))
"""How long fresh seeds are tried; a search for bugs sets an hour."""


class Kept(NamedTuple):
    """A world that is run every time."""

    profile: str
    seed: int
    orders: int


def kept() -> list[Kept]:
    lines = (Path(__file__).parent / "seeds.txt").read_text("utf-8").splitlines()
    words = (line.partition("#")[0].split() for line in lines)
    return [Kept(profile, int(seed), int(orders)) for profile, seed, orders in filter(None, words)]


def how_to_repeat(report: Report, profile: str = "swarm") -> str:
    """Say how to repeat a world with a broken promise."""
    seed, orders = report.plan.seed, report.plan.orders
    again = f'make sim SEED={seed} ARGS="--faults {profile} --orders {orders} --trace"'
    return "\n".join((*report.broken, f"again: {again}", *report.last_lines[-40:]))


@pytest.mark.parametrize("world", kept(), ids=lambda world: f"{world.profile}-{world.seed}")
def test_kept_worlds_break_no_promise(world: Kept) -> None:
    """Each kind of fault by itself, all at once, and every seed that ever found a bug."""
    report = run(Plan.from_seed(world.seed, profile=world.profile, orders=world.orders))
    assert not report.broken, how_to_repeat(report, world.profile)
    assert sum(report.states.values()) >= world.orders


@pytest.mark.timeout(BUDGET_S + 120)
def test_fresh_worlds_break_no_promise() -> None:
    """New seeds for as long as the budget lasts. A failure prints its seed; add it to seeds.txt."""
    begun = time.monotonic()
    while time.monotonic() - begun < BUDGET_S:
        report = run(Plan.from_seed(SystemRandom().randrange(10**9)))
        assert not report.broken, how_to_repeat(report)


def test_a_world_is_the_same_every_time() -> None:
    """One seed makes one world, to the last line of its trace; another seed makes another."""
    first, again, other = (run(Plan.from_seed(seed, profile="harsh", orders=4, days=0.25)) for seed in (7, 7, 8))
    assert (first.digest, first.events) == (again.digest, again.events)
    assert first.digest != other.digest


def test_a_harsh_world_is_harsh() -> None:
    """Its faults do happen, or the other tests would prove nothing."""
    counts = run(Plan.from_seed(1, profile="harsh", orders=8)).counts
    assert {"killed", "frozen", "lost", "late", "dropped", "wiped", "calm"} <= counts.keys()
