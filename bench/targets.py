"""What an order may cost against bare aiohttp, which stores nothing: targets, figures and verdicts.

Each target compares medians of contenders in the same bench, because machines differ from day to day.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Console

from bench import report
from bench.contenders import BASE
from bench.runs import Run

Runs = Sequence[Run]
LARGE: Final = 5000
"""The size of the workload at which both cores of a small machine are busy."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One figure, what it must be at least, and what is aimed at."""

    figure: str
    at_least: float
    aim: float
    is_floor: bool = False
    """Whether more is better."""

    def verdict(self, value: float) -> str:
        """Say whether a value meets the target."""
        sign = -1 if self.is_floor else 1
        if sign * value <= sign * self.aim:
            return "the aim"
        return "met" if sign * value <= sign * self.at_least else "missed"

    def row(self, value: float) -> dict[str, str]:
        """Return a row of a table: the value, what is wanted, and the verdict."""
        sign = "≥" if self.is_floor else "≤"
        return {
            "figure": self.figure,
            "measured": f"{value:.2f}" if value < 100 else f"{value:.0f}",  # noqa: PLR2004
            "at least": f"{sign} {self.at_least:g}",
            "aim": f"{sign} {self.aim:g}",
            "": self.verdict(value),
        }


@dataclass(frozen=True, slots=True)
class Target:
    """A limit, and how its figure is found."""

    limit: Limit
    of: Callable[[Runs, Runs], float]
    """Return the figure of the first runs, given those of the anchor."""
    size: int | None = None
    """The number of orders that it is set for; None: any."""


def _ratio(field: str) -> Callable[[Runs, Runs], float]:
    return lambda own, anchor: report.middle(own, field) / report.middle(anchor, field)


def _of_all(own: Runs, anchor: Runs) -> float:
    everything = report.middle(own, "worker_cpu_ms") + report.middle(own, "server_cpu_ms")
    return everything / report.middle(anchor, "worker_cpu_ms")


def _own(field: str) -> Callable[[Runs, Runs], float]:
    return lambda own, _: report.middle(own, field)


TARGETS: Final = (
    Target(Limit("worker CPU / aiohttp", 2.0, 1.5), _ratio("worker_cpu_ms")),
    Target(Limit("workers + servers / aiohttp", 2.7, 2.0), _of_all),
    Target(Limit("late p50 / aiohttp", 1.1, 1.0), _ratio("late_p50_s")),
    Target(Limit("late p95 / aiohttp", 1.1, 1.0), _ratio("late_p95_s")),
    Target(Limit("wall / aiohttp", 1.5, 1.2), _ratio("wall_s"), size=LARGE),
    Target(Limit("GETs an order", 1.95, 2.05, is_floor=True), _own("gets"), size=LARGE),
    Target(Limit("memory at rest, PSS MB", 250, 150), _own("rest_pss_mb")),
    Target(Limit("memory at its peak, PSS MB", 300, 200), _own("peak_pss_mb")),
)


def show(runs: Runs, console: Console) -> None:
    """Print the figures of every number-orders contender with their verdicts, if the anchor was run too."""
    found = report.by_contender(runs)
    anchor = found.get(BASE)
    for name, own in found.items():
        if anchor and name.startswith("number-orders"):
            title = f"{name} against {BASE}, W({own[0].orders})"
            rows = [target.limit.row(target.of(own, anchor)) for target in _targets(own[0].orders)]
            console.print(report.table(title, rows))


def _targets(orders: int) -> Sequence[Target]:
    return [target for target in TARGETS if target.size in (None, orders)]
