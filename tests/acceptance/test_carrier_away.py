"""A carrier is away for long, with hundreds of orders waiting, and comes back: it is not run over, down or up."""

import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import floor, log
from pathlib import Path
from typing import Final

import httpx
import pytest

from number_orders.embedded.engines import Engines
from number_orders.sandbox.control import SandboxControl
from tests.acceptance.conftest import Backend, MakeOrder, Producer
from tests.acceptance.queries import rows
from tests.acceptance.test_killed_workers import PATIENT, await_rest, differences
from tests.conftest import empty_broker, fresh_ledger
from tests.pace import Arrival, arrivals
from tests.processes import REPOSITORY, Processes, eventually

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]

ORDERS: Final = 300
WITHIN_S: Final = 300
HOLDS: Final = {
    "NUMBER_ORDERS_BANDWIDTH__BREAKER_HOLD_FIRST_S": "1",
    "NUMBER_ORDERS_BANDWIDTH__BREAKER_HOLD_MAX_S": "2",
}
PROBES: Final = 2
"""So many are watched while the carrier is down, each way of being down."""
EASED_S: Final = 16.0
"""For so long after its return it is given no more than the ramp allows (ADR 11)."""
LATE_S: Final = 1.0
"""How much later than its place a request may arrive: more than is promised, since this machine may be a busy one."""
BEHAVIOUR: Final = {"processing_s": [0.05, 0.4], "latency_s": {"order_create": [0.005, 0.02]}}


@dataclass
class Site:
    """A carrier on a machine of its own, which can be switched off and on; it keeps its books."""

    port: int
    folder: Path
    control: SandboxControl = field(init=False)
    _popen: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.control = SandboxControl(f"http://127.0.0.1:{self.port}")

    def switch_on(self) -> None:
        books, behaviour = self.folder / "books", json.dumps(BEHAVIOUR)
        command = ["--port", str(self.port), "--memory", str(books), "--behaviour", behaviour]
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "number_orders.sandbox", *command], cwd=REPOSITORY, stdout=subprocess.DEVNULL
        )
        for _ in eventually(WITHIN_S):
            with contextlib.suppress(httpx.TransportError):
                self.control.health()
                return

    def switch_off(self) -> None:
        """SIGKILL: from now on connections are refused."""
        if self._popen is not None:
            self._popen.kill()
            self._popen.wait()
            self._popen = None


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with socket.socket() as kept:  # bound and not listening: while the carrier is off, nobody else gets its port
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(("127.0.0.1", 0))
        site = Site(kept.getsockname()[1], tmp_path)
        with site.control:
            site.switch_on()
            yield site
            site.switch_off()


@pytest.fixture
def backend(engines: Engines, ledger_template: str, site: Site) -> Iterator[Backend]:
    with fresh_ledger(engines) as ledger_url:
        yield Backend(ledger_url, empty_broker(engines), site.control)


def test_a_carrier_that_was_away_is_tried_by_one_at_a_time_and_not_run_over_at_its_return(
    producer: Producer, processes: Processes, site: Site, ledger_url: str, an_order: MakeOrder
) -> None:
    """First its gateway says 503, and some of what it was sent it has taken; then nobody listens; then it is back."""
    site.control.fault("error_after", status=503, method="POST", path="/orders", probability=0.3)
    site.control.fault("error_before", status=503, path="/orders*")
    processes.beat()
    for _ in range(2):
        processes.worker(env={**PATIENT, **HOLDS})
    answer = producer.call("orders.submit_many", [an_order() for _ in range(ORDERS)])
    assert len(answer["tickets"]) == ORDERS

    await_probes(ledger_url, PROBES)  # by then whatever was under way when the way was closed has come back
    gateway = watch(ledger_url)
    taken = site.control.report()["totals"]["orders"]
    assert taken, "nothing was bought behind a 503 that could be bought twice"
    site.switch_off()
    refused = watch(ledger_url)
    assert [max(0, seen.tries - seen.probes - 1) for seen in (gateway, refused)] == [0, 0]

    site.switch_on()
    orders = await_rest(ledger_url, ORDERS, within_s=WITHIN_S)
    report = site.control.report()
    assert report["duplicates"] == {"customer_order_ids": {}, "numbers": {}}
    assert {order["state"] for order in orders} == {"COMPLETED"}
    assert differences(orders, report["orders"], ledger_url) == []

    back_at = returned_at(ledger_url)
    sent, asked = arrivals(report, "POST", "/orders"), arrivals(report, "GET")
    assert too_many(sent, back_at) == []
    assert too_many(asked, back_at) == []
    print(  # noqa: T201
        f"{ORDERS} orders; {taken} bought behind a 503; 503: {gateway}; refused: {refused}\n"
        f"sent each second after the return: {by_second(sent, back_at)}\n"
        f"asked: {by_second(asked, back_at)}"
    )


@dataclass(frozen=True, slots=True)
class Seen:
    """What happened in some stretch of time: conversations that were tried, and probes that came to nothing."""

    tries: int
    probes: int


def watch(url: str) -> Seen:
    """Watch until so many probes have failed. One more may be under way when that ends."""
    probes, tries = probes_failed(url), tried(url)
    await_probes(url, probes + PROBES)
    tries = tried(url) - tries
    return Seen(tries, probes_failed(url) - probes)


def await_probes(url: str, count: int) -> None:
    """Wait until so many probes have failed, and no more than one conversation is under way."""
    for _ in eventually(WITHIN_S):
        if probes_failed(url) >= count and under_way(url) <= 1:
            break


def probes_failed(url: str) -> int:
    """Return how often the carrier was left alone again."""
    ((holds,),) = (row.values() for row in rows(url, "SELECT holds FROM breakers WHERE carrier = 'bandwidth'"))
    return int(holds)


def tried(url: str) -> int:
    """Return how many conversations were begun: to send an order, or to ask about one that is in doubt."""
    query = """
        SELECT (SELECT count(*) FROM order_events WHERE event = 'SubmissionBegun')
             + (SELECT coalesce(sum(attempts), 0) FROM owed JOIN orders USING (order_id)
                WHERE lane = 'ask' AND state = 'IN_DOUBT') AS tries"""
    return int(rows(url, query)[0]["tries"])


def under_way(url: str) -> int:
    query = """
        SELECT count(*) AS orders FROM orders
        WHERE state = 'SUBMITTING' OR order_id IN (SELECT order_id FROM owed WHERE lease_token IS NOT NULL)"""
    return int(rows(url, query)[0]["orders"])


def returned_at(url: str) -> float:
    closed_at: datetime = rows(url, "SELECT closed_at FROM breakers WHERE carrier = 'bandwidth'")[0]["closed_at"]
    return closed_at.timestamp()


def too_many(seen: Sequence[Arrival], back_at: float) -> list[tuple[float, int, int]]:
    """Return every second of the return that held more than the ramp allows: when, how many, how many it may hold."""
    begins = sorted({each.earliest for each in seen if back_at <= each.earliest < back_at + EASED_S - 1})
    found = []
    for begin in begins:
        count = sum(begin <= each.earliest and each.at < begin + 1 for each in seen)
        allowed = 1 + floor(places(begin - back_at + 1) - places(max(0.0, begin - back_at - LATE_S)))
        if count > allowed:
            found.append((round(begin - back_at, 2), count, allowed))
    return found


def places(until_s: float) -> float:
    """Return how many places the ramp has from the return on: 4 a second, doubled every two seconds."""
    return 4 * 2 / log(2) * (2 ** (until_s / 2) - 1)


def by_second(seen: Sequence[Arrival], back_at: float) -> list[int]:
    """Return how many arrived in the first second after the return, in the next, and so on."""
    after = [int(each.at - back_at) for each in seen if each.at >= back_at]
    return [after.count(second) for second in range(max(after) + 1)]
