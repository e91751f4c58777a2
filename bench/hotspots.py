"""Where number-orders spends its CPU under W(N): by function, for the pool children and for their parent.

A profiler makes everything dearer and small functions most of all: read shares, not seconds.
"""

import pstats
import time
from pathlib import Path
from typing import Annotated, Final

import typer

from bench import profiled_names, report
from bench.contenders import NumberOrders
from bench.course import WARMED_BY
from bench.servers import Servers
from bench.stage import stage, until
from bench.workload import measured, warming

_PATIENCE_S: Final = 300.0


def bench(
    orders: Annotated[int, typer.Option(min=1, help="How many orders, all at once.")] = 1000,
    lines: Annotated[int, typer.Option(min=1, help="How many functions to show.")] = 45,
    folder: Annotated[Path, typer.Option(help="Where the profiles go, for pstats or snakeviz.")] = report.RESULTS
    / "profiles",
) -> None:
    """Where the CPU goes, function by function."""
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    _run(folder, orders)
    for name in ("child", "parent"):
        files = sorted(map(str, folder.glob(f"{name}-*.prof")))
        if files:
            pstats.Stats(*files).sort_stats("tottime").print_stats(lines)
            pstats.Stats(*files).sort_stats("cumtime").print_stats(lines)


def _run(folder: Path, orders: int) -> None:
    with Servers() as servers, stage(servers) as here:
        crew = NumberOrders(here, app="bench.profiled", **{profiled_names.FOLDER: str(folder)})
        try:
            crew.place(warming(WARMED_BY))
            for _ in until(time.monotonic() + _PATIENCE_S, "the warming up"):
                if here.told() >= WARMED_BY:
                    break
            (folder / profiled_names.GO).touch()
            crew.place(measured(orders))
            for _ in until(time.monotonic() + _PATIENCE_S, f"the end of {orders} orders"):
                if here.told() >= WARMED_BY + orders:
                    break
        finally:
            crew.close()
