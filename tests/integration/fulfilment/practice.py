"""A desk with everything real below it: ledger, adapter, courier, and the practice carrier. Only time is ours.

Waiting is done by moving every moment in the ledger into the past, so an hour costs a statement. Nothing may be
under way meanwhile, which the tests see to.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import DictRow

from number_orders.carriers.bandwidth.adapter import Bandwidth
from number_orders.carriers.contract import Adapter
from number_orders.carriers.http.courier import Courier, CourierSettings, boot_clock
from number_orders.carriers.http.credentials import Authenticator, OAuth2ClientCredentials
from number_orders.fulfilment.carrier import Carrier
from number_orders.fulfilment.intake import Intake
from number_orders.fulfilment.ports import Delivery
from number_orders.fulfilment.runtime import Services
from number_orders.fulfilment.service import OrderService
from number_orders.ledger.breakers import BreakerPolicy
from number_orders.ledger.history import Story
from number_orders.ledger.ledger import Ledger, PostgresLedger
from number_orders.orders.model import CarrierName, Lane, OrderId
from number_orders.orders.policy import CarrierPolicy
from number_orders.sandbox.behaviour import Behaviour
from number_orders.sandbox.control import SandboxControl
from workers.clock import utc_now

BANDWIDTH = CarrierName("bandwidth")
TLS = ssl.create_default_context()
"""Not needed on loopback, and slow to make."""
QUIET = Behaviour(latency_s={}, processing_s=(0, 0), backorder_s=(0, 0), strange_s=(0, 0))
"""A carrier that needs no time at all."""
POST = {"method": "POST", "path": "/orders"}
LIST = {"method": "GET", "path": "/orders"}
GET = {"method": "GET", "path": "/orders/{orderId}"}

PASSING = """
    UPDATE owed SET not_before = not_before - %(time)s;
    UPDATE orders SET accepted_at = accepted_at - %(time)s, moved_at = moved_at - %(time)s,
        doubt_since = doubt_since - %(time)s;
    UPDATE orders SET request = jsonb_set(request, '{not_before}',
        to_jsonb((request ->> 'not_before')::timestamptz - %(time)s)) WHERE request ? 'not_before';
    UPDATE order_events SET at = at - %(time)s;
    UPDATE order_events SET detail = jsonb_set(detail, '{not_before}',
        to_jsonb((detail ->> 'not_before')::timestamptz - %(time)s)) WHERE detail ? 'not_before';
    UPDATE turns SET since = since - %(time)s;
    UPDATE budgets SET paused_until = paused_until - %(time)s;
    UPDATE breakers SET held_until = held_until - %(time)s, probe_until = probe_until - %(time)s,
        closed_at = closed_at - %(time)s;
    UPDATE held_numbers SET acquired_at = acquired_at - %(time)s, released_at = released_at - %(time)s"""


class SilentBell:
    """Counts its strokes; nobody hears them."""

    def __init__(self) -> None:
        self.rung: list[tuple[CarrierName, Lane]] = []

    def ring(self, lanes: Iterable[tuple[CarrierName, Lane]]) -> None:
        self.rung += lanes

    def reset(self, carrier: CarrierName, lane: Lane) -> None:
        """Nothing is remembered, so nothing is forgotten."""

    def mute(self, carrier: CarrierName, lane: Lane) -> None:
        """Nor is this."""


class Keeper:
    """A notifier that keeps what it is told."""

    def __init__(self, trouble: Callable[[Delivery], str | None] = lambda _: None) -> None:
        self.kept: list[dict[str, Any]] = []
        self._trouble = trouble

    def deliver(self, deliveries: Sequence[Delivery]) -> list[str | None]:
        troubles = [self._trouble(delivery) for delivery in deliveries]
        self.kept += [dict(e.message.document) for e, trouble in zip(deliveries, troubles, strict=True) if not trouble]
        return troubles


class AmpleSlots:
    """There is always a place."""

    @contextmanager
    def take(self, carrier: CarrierName, lane: Lane) -> Iterator[bool]:
        yield True

    def keep_alone(self, carrier: CarrierName, lane: Lane) -> None:
        """Whatever suffices, there is a place."""

    def allow_another(self, carrier: CarrierName, lane: Lane) -> None:
        """Nobody needs to."""


@dataclass
class Practice:
    """One ledger, one carrier, and as many desks as a test opens."""

    url: str
    db: psycopg.Connection[DictRow]
    carrier: SandboxControl
    policy: CarrierPolicy = field(default_factory=CarrierPolicy)
    notifier: Keeper = field(default_factory=Keeper)
    bell: SilentBell = field(default_factory=SilentBell)
    timeout_s: float = 20.0
    """Far longer than this carrier takes on a busy machine; where it never answers, tests are less patient."""
    concurrency: int = 10
    name: CarrierName = BANDWIDTH
    rates: Mapping[str, float] = field(default_factory=dict)
    breaker_policy: BreakerPolicy = field(default_factory=BreakerPolicy)

    @asynccontextmanager
    async def opened(
        self,
        ledger: Ledger | None = None,
        courier: type[Courier] | Callable[..., Courier] = Courier,
        notifier: Keeper | None = None,
        auth: Authenticator | None = None,
        adapter: Adapter | None = None,
        boot_clock: Callable[[], float] = boot_clock,
    ) -> AsyncIterator[Services]:
        """Open a worker's services on this ledger and carrier; on connections of its own, or on those of `ledger`."""
        signed_in = auth or self.credentials()
        settings = _settings(self.carrier.url, self.timeout_s)
        carried_by = courier(settings, signed_in, now=utc_now, clock=boot_clock, tls=TLS)
        adapter = adapter or self.adapter()
        async with nullcontext(ledger) if ledger else PostgresLedger.at(self.url, connections_max=2) as here:
            carrier = Carrier(adapter, carried_by, self.policy, self.concurrency, self.rates, self.breaker_policy)
            if ledger is None:
                await here.schedule.open_lanes([self.name])
                await here.limits.set_limits(self.name, carrier.limits, carrier.limit_groups)
            desk = OrderService(
                ledger=here,
                carriers={self.name: carrier},
                notifier=notifier or self.notifier,
                bell=self.bell,
                slots=AmpleSlots(),
                boot_clock=boot_clock,
            )
            try:
                yield Services(here, desk, Intake(here.intake, {self.name: adapter}, self.bell))
            finally:
                await carried_by.aclose()

    def adapter(self) -> Adapter:
        """Return the adapter of this carrier."""
        return Bandwidth("9900000", "743")

    def credentials(self) -> Authenticator:
        """Return what the practice carrier knows us by."""
        return OAuth2ClientCredentials("sandbox-client", "sandbox-secret", clock=boot_clock, now=utc_now)

    def pass_time(self, **time: float) -> None:
        """Let time pass, while nobody is at work."""
        with self.db.transaction():
            for statement in PASSING.split(";"):
                self.db.execute(statement.encode(), {"time": timedelta(**time)})

    def rows(self, query: str, **params: Any) -> list[dict[str, Any]]:
        """Look into the ledger."""
        return self.db.execute(query.encode(), params).fetchall()

    def order(self, order_id: OrderId) -> dict[str, Any]:
        """Look at one order."""
        (row,) = self.rows("SELECT * FROM orders WHERE order_id = %(order_id)s", order_id=order_id)
        return row

    def story(self, order_id: OrderId) -> list[str]:
        """Return the names of what has happened to an order."""
        found = self.rows("SELECT event FROM order_events WHERE order_id = %(id)s ORDER BY version", id=order_id)
        return [row["event"] for row in found]

    def numbers(self, order_id: OrderId) -> list[str]:
        """Return the numbers that an order got."""
        query = "SELECT e164 FROM order_numbers WHERE order_id = %(id)s AND state = 'acquired' ORDER BY e164"
        return [row["e164"] for row in self.rows(query, id=order_id)]

    def alarms(self) -> list[tuple[str, int]]:
        """Return what a person was called for, and how often it happened."""
        return [(row["what"], row["times"]) for row in self.rows("SELECT what, times FROM alarms ORDER BY alarm_id")]

    def at_rest(self) -> bool:
        """Tell whether no order waits for anything."""
        return not self.rows("SELECT 1 FROM owed LIMIT 1")

    def sold(self, order_id: OrderId | None = None) -> list[dict[str, Any]]:
        """Return what the carrier really has, of one order or of all."""
        orders: list[dict[str, Any]] = self.carrier.report()["orders"]
        return [order for order in orders if order_id is None or order["customer_order_id"] == str(order_id)]

    def untrue(self, *order_ids: OrderId, since: datetime | None = None) -> list[str]:
        """Compare ledger and carrier: these orders bought once and only once, and ended as they did there."""
        report = self.carrier.report(since)
        wrong = [f"{what}: {twice}" for what, twice in report["duplicates"].items() if twice]
        for order_id in order_ids:
            order, mine = self.order(order_id), self.numbers(order_id)
            sold = [theirs for theirs in report["orders"] if theirs["customer_order_id"] == str(order_id)]
            truth = [(theirs["outcome"], sorted(theirs["bought"])) for theirs in sold]
            if truth != [(order["state"], mine)]:
                wrong.append(f"{order['state']} with {mine}, but truly {truth}: {self.story(order_id)}")
        return wrong


def an_order(key: str = "crm-1", **changes: Any) -> dict[str, Any]:
    """Return one number from an area code with plenty of them, unless told otherwise."""
    order: dict[str, Any] = {
        "key": key,
        "carrier": "bandwidth",
        "kind": "new_numbers",
        "criteria": {"npa": "919"},
        "quantity": 1,
    }
    order.update(changes)
    return {name: value for name, value in order.items() if value is not None}


async def accept(services: Services, *raws: dict[str, Any]) -> list[OrderId]:
    """Take orders in."""
    return [(await services.intake.submit(raw, producer="default")).order_id for raw in raws or (an_order(),)]


async def work(services: Services, *lanes: Lane, carrier: CarrierName = BANDWIDTH) -> None:
    """Work lanes off, one after the other."""
    for lane in lanes or tuple(Lane):
        await services.orders.work(carrier, lane)


async def live(
    practice: Practice, services: Services, *, step: timedelta = timedelta(minutes=10), turns: int = 40
) -> None:
    """Work and let time pass until nothing is owed to anybody."""
    for _ in range(turns):
        await work(services, carrier=practice.name)
        if practice.at_rest():
            return
        practice.pass_time(seconds=step.total_seconds())
    raise AssertionError(practice.rows("SELECT order_id, state, reason, sends, losses, doubt_asks FROM orders"))


async def story(services: Services, order_id: OrderId) -> Story:
    """Return everything about one order."""
    return await services.ledger.history.story(order_id)


def run(work: Coroutine[Any, Any, None], *, within_s: float = 500) -> None:
    """Run one test's work; it may take its time, but not for ever."""

    async def bounded() -> None:
        async with asyncio.timeout(within_s):
            await work

    asyncio.run(bounded())


def _settings(url: str, timeout_s: float) -> CourierSettings:
    return CourierSettings(url, connect_timeout_s=timeout_s, read_timeout_s=timeout_s, total_timeout_s=timeout_s)
