"""Measure notices: how soon one is acknowledged under a steady load, and how soon it brings an order's end.

Acknowledged: notices at a fixed rate, whether the ones before are answered or not; beside it the same load on a route
that only reads the body, since other work on the machine slows both. Ends: orders at the sandbox Bandwidth with and
without its notices; late is the commit of our end minus the carrier's end.
"""

import asyncio
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import uuid4

import aiohttp
import httpx
import psycopg
import typer

from bench import report
from bench.contenders import NumberOrders
from bench.environment import BenchEnvironment, bench_environment, until
from bench.notice_receiver import BARE
from bench.runs import quantile
from bench.servers import Servers
from number_orders.cli.stack.processes import free_port
from number_orders.sandbox.control import SandboxControl

_PASSWORD: Final = "a password that only this bench uses"  # noqa: S105  nobody else can use it
_UP_WITHIN_S: Final = 30.0
_ENDS_WITHIN_S: Final = 180.0
_WARM_UP: Final = 20
_SUBMIT_EVERY_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """How long notices waited for their answer, in milliseconds."""

    route: str
    per_second: float
    sent: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Ends:
    """How late our ends were, in milliseconds after the carrier's, and how often the carrier was asked."""

    way: str
    orders: int
    late_p50_ms: float
    late_p95_ms: float
    gets: float


def bench(
    per_second: Annotated[float, typer.Option(min=1, help="Notices a second.")] = 200.0,
    seconds: Annotated[float, typer.Option(min=1, help="For how long.")] = 30.0,
    orders: Annotated[int, typer.Option(min=1, help="How many orders with, and as many without notices.")] = 200,
    json_path: report.JsonPath = None,
) -> None:
    """Measure how soon notices are acknowledged, and how soon they bring an order's end."""
    console = report.screen()
    with Servers() as servers:
        with _deployed(servers, notices=True) as deployed:
            acknowledged = [
                asyncio.run(_acknowledged(deployed, route, per_second, seconds))
                for route in (BARE, "/notices/bandwidth")
            ]
            ends = [_ends(deployed, "with notices", orders)]
        with _deployed(servers, notices=False) as deployed:
            ends.append(_ends(deployed, "without", orders))
    console.print(report.table("Acknowledged", [_row(one) for one in acknowledged]))
    console.print(report.table("Ends", [_row(one) for one in ends]))
    path = json_path or report.RESULTS / "notices.json"
    report.write(path, {"acknowledged": [asdict(one) for one in acknowledged], "ends": [asdict(one) for one in ends]})
    console.print(f"written to {path}")


def _row(one: Acknowledged | Ends) -> Mapping[str, str]:
    return {
        name.replace("_", " "): value if isinstance(value, str) else f"{value:.5g}"
        for name, value in asdict(one).items()
    }


@dataclass(frozen=True, slots=True)
class _Deployed:
    """Worker, beat, receiver and the sandbox carriers."""

    env: BenchEnvironment
    service: NumberOrders
    carrier: SandboxControl
    receiver_url: str


@contextmanager
def _deployed(servers: Servers, *, notices: bool) -> Iterator[_Deployed]:
    with bench_environment(servers) as env:
        sandbox, receiver = f"http://127.0.0.1:{(port := free_port())}", f"http://127.0.0.1:{(own := free_port())}"
        env.run("sandbox", [sys.executable, "-m", "number_orders.sandbox", "--port", str(port)])
        settings = _settings(env, sandbox, receiver)
        service = NumberOrders(env, **settings)
        env.run("receiver", [sys.executable, "-m", "bench.notice_receiver", str(own)], **settings)
        with SandboxControl(sandbox) as carrier:
            try:
                _await(env, carrier, receiver)
                carrier.behave(processing_s=[1, 4], notice_drop=0 if notices else 1)
                _subscribe(env, service, carrier)
                yield _Deployed(env, service, carrier, receiver)
            finally:
                service.close()


def _settings(env: BenchEnvironment, sandbox: str, receiver: str) -> dict[str, str]:
    own = {
        "DATABASE_URL": env.servers.database_url,
        "BROKER_URL": env.servers.broker_url,
        "PUBLIC_URL": receiver,
        "NOTICES_PER_SECOND": "10000",
        "BANDWIDTH__BASE_URL": sandbox,
        "BANDWIDTH__ACCOUNT_ID": "9900000",
        "BANDWIDTH__SITE_ID": "743",
        "BANDWIDTH__USERNAME": "sandbox-user",
        "BANDWIDTH__PASSWORD": "sandbox-password",
        "BANDWIDTH__NOTICE_PASSWORD": _PASSWORD,
    }
    return {f"NUMBER_ORDERS_{name}": value for name, value in own.items()}


def _await(env: BenchEnvironment, carrier: SandboxControl, receiver: str) -> None:
    for _ in until(time.monotonic() + _UP_WITHIN_S, "the start of sandbox and receiver"):
        env.check()
        try:
            carrier.health()
            httpx.post(f"{receiver}{BARE}", trust_env=False)
        except httpx.TransportError:
            continue
        return


def _subscribe(env: BenchEnvironment, service: NumberOrders, carrier: SandboxControl) -> None:
    """Have the worker subscribe, as beat does every ten minutes."""
    service.send("orders.subscribe", queue="orders.sweep")
    for _ in until(time.monotonic() + _UP_WITHIN_S, "the subscriptions"):
        env.check()
        counted = carrier.report()["requests"]["by_route"]
        if sum(count["total"] for route, count in counted.items() if route.endswith("POST /subscriptions")) > 1:
            return


async def _acknowledged(deployed: _Deployed, route: str, per_second: float, seconds: float) -> Acknowledged:
    """Send notices at a fixed rate; an answer counts from the moment at which its request was due."""
    waits: list[float] = []
    url, auth = deployed.receiver_url + route, aiohttp.BasicAuth("number-orders", _PASSWORD)
    async with aiohttp.ClientSession(auth=auth, connector=aiohttp.TCPConnector(limit=0)) as http:

        async def send(due_at: float, body: bytes) -> None:
            async with http.post(url, data=body) as answer:
                assert answer.status == 202, answer.status  # noqa: PLR2004  accepted
            waits.append(time.monotonic() - due_at)

        for _ in range(_WARM_UP):
            await send(time.monotonic(), _notice())
        waits.clear()
        began, total = time.monotonic(), round(per_second * seconds)
        async with asyncio.TaskGroup() as sending:
            for number in range(total):
                due_at = began + number / per_second
                await asyncio.sleep(max(0.0, due_at - time.monotonic()))
                sending.create_task(send(due_at, _notice()))
    shares = {f"p{share}_ms": 1000 * quantile(waits, share / 100) for share in (50, 95, 99)}
    return Acknowledged(route, per_second, total, **shares)


def _notice() -> bytes:
    """Return a notice as Bandwidth sends it, about an order that nobody has."""
    return (
        f"<Notification><Status>COMPLETE</Status><OrderId>{uuid4()}</OrderId><OrderType>orders</OrderType>"
        f"<CustomerOrderId>{uuid4()}</CustomerOrderId><CompletedTelephoneNumbers><TelephoneNumber>9195550100"
        f"</TelephoneNumber></CompletedTelephoneNumbers></Notification>"
    ).encode()


def _ends(deployed: _Deployed, way: str, orders: int) -> Ends:
    """Place orders one by one, wait for their ends, and compare them with the carrier's."""
    for number in range(orders):
        deployed.service.submit(_order(f"bench-{number}"))
        time.sleep(_SUBMIT_EVERY_S)
    ours: Mapping[str, float] = {}
    for _ in until(time.monotonic() + _ENDS_WITHIN_S, f"the end of {orders} orders"):
        deployed.env.check()
        if len(ours := _our_ends(deployed.env.servers.database_url)) >= orders:
            break
    theirs = _their_ends(deployed.carrier.report()["orders"])
    late = [1000 * (ours[reference] - theirs[reference]) for reference in ours]
    counted = deployed.carrier.report()["requests"]["by_route"]
    gets = sum(count["total"] for route, count in counted.items() if route.endswith("GET /orders/{orderId}"))
    return Ends(way, orders, quantile(late, 0.5), quantile(late, 0.95), gets / orders)


def _order(key: str) -> Mapping[str, object]:
    return {
        "key": key,
        "carrier": "bandwidth",
        "kind": "new_numbers",
        "criteria": {"npa": "919"},
        "quantity": 1,
    }


def _our_ends(url: str) -> Mapping[str, float]:
    query = (
        "SELECT reference, extract(epoch FROM pg_xact_commit_timestamp(xmin)) FROM orders WHERE ended_at IS NOT NULL"
    )
    with psycopg.connect(url) as db:
        return {reference: float(at) for reference, at in db.execute(query)}


def _their_ends(orders: Sequence[Mapping[str, Any]]) -> Mapping[str, float]:
    return {
        order["customer_order_id"]: datetime.fromisoformat(order["ended_at"]).timestamp()
        for order in orders
        if order["ended_at"]
    }
