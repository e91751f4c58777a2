"""Run the workload W(N) with number-orders and with other designs, interleaved."""

from typing import Annotated

import typer

from bench import report, targets
from bench.contenders import CONTENDERS, USUAL
from bench.runs import Run, run
from bench.servers import Servers
from bench.workload import ORDERS_MAX


def bench(
    orders: Annotated[int, typer.Option(min=1, max=ORDERS_MAX, help="How many orders, all at once.")] = 1000,
    runs: Annotated[int, typer.Option(min=1, help="How often to run each contender.")] = 3,
    contenders: Annotated[
        str, typer.Option(help=f"Contenders, separated by commas: {', '.join(CONTENDERS)}.")
    ] = ",".join(USUAL),
    json_path: report.JsonPath = None,
) -> None:
    """Submit N orders at once; each is sent once and polled every two seconds until the carrier is done."""
    console = report.screen()
    chosen = _chosen(contenders)
    done: list[Run] = []
    with Servers() as servers:
        for number in range(1, runs + 1):
            for name in chosen:
                one = run(CONTENDERS[name], servers, orders)
                done.append(one)
                console.print(
                    f"run {number}, {name}: {one.wall_s:.1f} s, {one.worker_cpu_ms:.2f} ms of worker CPU per order, "
                    f"{one.server_cpu_ms:.2f} of the servers, {one.posts:.2f} POSTs, {one.gets:.2f} GETs"
                )
    report.show(done, console)
    targets.show(done, console)
    path = json_path or report.RESULTS / f"orders-{orders}.json"
    report.write(path, report.as_json(done))
    console.print(f"written to {path}")


def _chosen(names: str) -> list[str]:
    chosen = [name.strip() for name in names.split(",") if name.strip()]
    if unknown := [name for name in chosen if name not in CONTENDERS]:
        raise typer.BadParameter(f"{unknown[0]} is no contender; there are {', '.join(CONTENDERS)}")
    return chosen
