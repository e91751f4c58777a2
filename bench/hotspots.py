"""Profile number-orders under W(N): CPU by function, for the pool children and for their parent.

A profiler slows everything down, and small functions most: compare shares, not seconds.
"""

import pstats
import time
from pathlib import Path
from typing import Annotated, Final

import typer

from bench import profiled_names, report
from bench.contenders import NumberOrders
from bench.environment import bench_environment, until
from bench.runs import WARM_UP_ORDERS
from bench.servers import Servers
from bench.workload import measured, warm_up

_TIMEOUT_S: Final = 300.0


def bench(
    orders: Annotated[int, typer.Option(min=1, help="How many orders, all at once.")] = 1000,
    lines: Annotated[int, typer.Option(min=1, help="How many functions to show.")] = 45,
    folder: Annotated[Path, typer.Option(help="Where the profiles go, for pstats or snakeviz.")] = report.RESULTS
    / "profiles",
) -> None:
    """Show where the CPU goes, function by function."""
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
    with Servers() as servers, bench_environment(servers) as env:
        deployment = NumberOrders(env, app="bench.profiled_app", **{profiled_names.FOLDER: str(folder)})
        try:
            deployment.place(warm_up(WARM_UP_ORDERS))
            for _ in until(time.monotonic() + _TIMEOUT_S, "the warm-up"):
                if env.ended() >= WARM_UP_ORDERS:
                    break
            (folder / profiled_names.GO).touch()
            deployment.place(measured(orders))
            for _ in until(time.monotonic() + _TIMEOUT_S, f"the end of {orders} orders"):
                if env.ended() >= WARM_UP_ORDERS + orders:
                    break
        finally:
            deployment.close()
