"""The first bench: the workload W(N), for number-orders and for what people use instead, interleaved in one run."""

from pathlib import Path
from typing import Annotated

import typer

from bench import report
from bench.contenders import CONTENDERS
from bench.course import Run, run
from bench.servers import Servers
from bench.workload import ORDERS_MAX


def bench(
    orders: Annotated[int, typer.Option(min=1, max=ORDERS_MAX, help="How many orders, all at once.")] = 1000,
    runs: Annotated[int, typer.Option(min=1, help="How often each contender runs.")] = 3,
    contenders: Annotated[str, typer.Option(help=f"Who takes part, by comma: {', '.join(CONTENDERS)}.")] = ",".join(
        CONTENDERS
    ),
    json_path: Annotated[
        Path | None, typer.Option("--json", help="Where the figures go; bench/results/orders-N.json, if not said.")
    ] = None,
) -> None:
    """N orders at once, each sent once and asked about every two seconds until the carrier is done."""
    console = report.screen()
    chosen = _chosen(contenders)
    done: list[Run] = []
    with Servers() as servers:
        for turn in range(1, runs + 1):
            for name in chosen:
                one = run(CONTENDERS[name], servers, orders)
                done.append(one)
                console.print(
                    f"run {turn}, {name}: {one.wall_s:.1f} s, {one.worker_cpu_ms:.2f} ms of worker CPU an order, "
                    f"{one.server_cpu_ms:.2f} of the servers', {one.posts:.2f} POSTs, {one.gets:.2f} GETs"
                )
    report.show(done, console)
    path = json_path or report.RESULTS / f"orders-{orders}.json"
    report.write(path, report.as_json(done))
    console.print(f"written to {path}")


def _chosen(names: str) -> list[str]:
    chosen = [name.strip() for name in names.split(",") if name.strip()]
    if unknown := [name for name in chosen if name not in CONTENDERS]:
        raise typer.BadParameter(f"{unknown[0]} does not take part; {', '.join(CONTENDERS)} do")
    return chosen
