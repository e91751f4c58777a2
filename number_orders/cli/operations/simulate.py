"""The command `simulate`: runs worlds from seeds, one after the other, until a promise is broken.

Prints the reports. The worlds are in `number_orders.simulation.world`.
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import typer

from number_orders.simulation.carriers import POLICIES
from number_orders.simulation.faults import PROFILES
from number_orders.simulation.paths import PROMISED, Path
from number_orders.simulation.world import Plan, Report, run


@dataclass(slots=True)
class Tally:
    """The totals of several worlds."""

    worlds: int = 0
    orders: int = 0
    events: int = 0
    simulated: timedelta = timedelta()
    states: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    paths: Counter[str] = field(default_factory=Counter)
    took_s: float = 0.0

    def add(self, report: Report, took_s: float) -> None:
        """Add the report of one world."""
        self.worlds += 1
        self.orders += sum(report.states.values())
        self.events += report.events
        self.simulated += report.simulated
        self.states.update(report.states)
        self.counts.update(report.counts)
        self.paths.update(report.paths)
        self.took_s += took_s

    def lines(self) -> list[str]:
        """Return the totals as lines."""
        rate = self.events / self.took_s if self.took_s else 0.0
        days = self.simulated / timedelta(days=1)
        simulated = f"{self.worlds} worlds, {self.orders} orders, {days:.0f} simulated days"
        return [
            f"{simulated}, {self.events} events in {self.took_s:.0f} s ({rate:.0f} events/s)",
            "ended: " + ", ".join(f"{state} {count}" for state, count in sorted(self.states.items())),
            "happened: " + ", ".join(f"{what} {self.counts[what]}" for what in _COUNTED if self.counts[what]),
            *(f"  {self.paths[path]:7} times  {path}" for path in Path if self.paths[path]),
        ]

    def missing(self, profile: str) -> list[Path]:
        """Return the paths that the profile promises and that no world has walked, if there were enough worlds."""
        if self.worlds < _WORLDS_FOR_PATHS:
            return []
        return sorted(path for path in PROMISED.get(profile, ()) if not self.paths[path])


_WORLDS_FOR_PATHS = 200
"""In so many worlds of a profile, each path that it promises is walked."""
_COUNTED = ("killed", "frozen", "lost", "late", "dropped", "wiped", "restored", "acted", "record_steps", "decides")


def simulate_worlds(
    *, orders: int, days: float, seed: int, faults: str, carriers: Sequence[str], worlds: int, trace: bool
) -> bool:
    """Run `worlds` worlds from `seed` on, print a line for each, and return whether all held and every path was walked.

    Raises:
        typer.BadParameter: There is no such fault profile or carrier.
    """
    if faults not in PROFILES:
        raise typer.BadParameter(f"{faults!r} is none of {', '.join(PROFILES)}", param_hint="--faults")
    if unknown := set(carriers) - {str(name) for name in POLICIES}:
        raise typer.BadParameter(f"{sorted(unknown)} is none of {', '.join(POLICIES)}", param_hint="--carrier")
    tally = Tally()
    for number in range(seed, seed + worlds):
        begun = time.monotonic()
        plan = Plan.from_seed(number, profile=faults, orders=orders, days=days, carriers=carriers)
        report = run(plan, listener=typer.echo if trace else None)
        tally.add(report, time.monotonic() - begun)
        typer.echo(_summary(report))
        if report.broken:
            _show_broken(report, faults)
            return False
    for line in tally.lines():
        typer.echo(line)
    for path in (missing := tally.missing(faults)):
        typer.echo(f"never walked, though the profile {faults} promises it: {path}")
    return not missing


def _summary(report: Report) -> str:
    states = " ".join(f"{state}:{count}" for state, count in report.states.items())
    lasted = timedelta(seconds=round(report.simulated.total_seconds()))
    held = "BROKEN" if report.broken else "held"
    return f"seed {report.plan.seed}: {held}, trace {report.digest}, {report.events} events, {lasted}, {states}"


def _show_broken(report: Report, faults: str) -> None:
    plan = report.plan
    for promise in report.broken:
        typer.echo(f"broken: {promise}")
    only = "".join(f" --carrier {carrier}" for carrier in plan.carriers)
    again = f"--seed {plan.seed} --orders {plan.orders} --days {plan.days:g} --faults {faults}{only} --trace"
    typer.echo(f"again:  number-orders simulate {again}")
    typer.echo(f"keep:   {faults} {plan.seed} {plan.orders}   (a line for tests/simulation/seeds.txt)")
