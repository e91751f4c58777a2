"""The services with everything real below them: ledger, adapter, courier, practice carrier. Only time is simulated.

Time passes by moving every moment in the ledger into the past, so an hour costs a few statements. No worker may be at
work meanwhile.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import DictRow

from number_orders.carriers.bandwidth.adapter import Bandwidth
from number_orders.carriers.contract import Adapter
from number_orders.carriers.http.courier import Courier, CourierSettings, boot_clock
from number_orders.carriers.http.credentials import Authenticator, OAuth2ClientCredentials
from number_orders.carriers.market import NO_MARKET, Market
from number_orders.carriers.subscriptions import WantedSubscription
from number_orders.fulfilment.carrier import Carrier
from number_orders.fulfilment.intake import Intake
from number_orders.fulfilment.lanes.runner import Serves
from number_orders.fulfilment.ports import Delivery
from number_orders.fulfilment.runtime import Services
from number_orders.fulfilment.service import OrderService
from number_orders.fulfilment.webhooks.addresses import AddressRules
from number_orders.fulfilment.webhooks.delivery import WebhookPolicy, WebhookSender
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
"""Not used on loopback; made once, because it is slow to make."""
QUIET = Behaviour(latency_s={}, processing_s=(0, 0), backorder_s=(0, 0), strange_s=(0, 0))
"""A carrier that takes no time."""
SETTLED = CarrierPolicy(settle_after=timedelta(), settle_looks=1)
"""For a carrier whose lists never lag: its ends are believed at once."""
POST = {"method": "POST", "path": "/orders"}
LIST = {"method": "GET", "path": "/orders"}
GET = {"method": "GET", "path": "/orders/{orderId}"}

PASSING = """
    UPDATE owed SET not_before = not_before - %(time)s, hurried_at = hurried_at - %(time)s;
    UPDATE notices SET received_at = received_at - %(time)s, match_at = match_at - %(time)s;
    UPDATE orders SET accepted_at = accepted_at - %(time)s, moved_at = moved_at - %(time)s,
        ended_at = ended_at - %(time)s,
        doubt_since = doubt_since - %(time)s, history_lost_at = history_lost_at - %(time)s;
    UPDATE orders SET progress = jsonb_set(progress, '{begun}',
        to_jsonb((progress ->> 'begun')::timestamptz - %(time)s)) WHERE progress ? 'begun';
    UPDATE guard SET began_at = began_at - %(time)s, ends_at = ends_at - %(time)s;
    UPDATE orders SET request = jsonb_set(request, '{not_before}',
        to_jsonb((request ->> 'not_before')::timestamptz - %(time)s)) WHERE request ? 'not_before';
    UPDATE order_events SET at = at - %(time)s;
    UPDATE order_events SET detail = jsonb_set(detail, '{not_before}',
        to_jsonb((detail ->> 'not_before')::timestamptz - %(time)s)) WHERE detail ? 'not_before';
    UPDATE receipts SET at = at - %(time)s;
    UPDATE turns SET since = since - %(time)s;
    UPDATE budgets SET paused_until = paused_until - %(time)s;
    UPDATE breakers SET held_until = held_until - %(time)s, probe_until = probe_until - %(time)s,
        closed_at = closed_at - %(time)s;
    UPDATE readings SET not_before = not_before - %(time)s, began_at = began_at - %(time)s,
        whole_at = whole_at - %(time)s;
    UPDATE webhook_deliveries SET not_before = not_before - %(time)s;
    UPDATE webhook_hosts SET held_until = held_until - %(time)s, faulted_at = faulted_at - %(time)s;
    UPDATE tellings SET tried_since = tried_since - %(time)s;
    UPDATE archived_orders SET archived_at = archived_at - %(time)s;
    UPDATE restored_orders SET restored_at = restored_at - %(time)s;
    UPDATE scheduled_runs SET began_at = began_at - %(time)s, ended_at = ended_at - %(time)s;
    UPDATE list_questions SET asked_at = asked_at - %(time)s;
    UPDATE held_numbers SET acquired_at = acquired_at - %(time)s, released_at = released_at - %(time)s"""


class RecordingBell:
    """Notes the lanes that were rung; wakes nobody."""

    def __init__(self) -> None:
        self.rung: list[tuple[CarrierName, Lane]] = []

    def ring(self, lanes: Iterable[tuple[CarrierName, Lane]]) -> None:
        self.rung += lanes

    def reset(self, carrier: CarrierName, lane: Lane) -> None:
        """Forget nothing: no bell is held back."""

    def mute(self, carrier: CarrierName, lane: Lane) -> None:
        """Mute nothing: every bell is noted."""


class RecordingNotifier:
    """Keeps the documents that it delivers. `error_of` says which deliveries fail, and why."""

    def __init__(self, error_of: Callable[[Delivery], str | None] = lambda _: None) -> None:
        self.delivered: list[dict[str, Any]] = []
        self.error_of = error_of

    def deliver(self, deliveries: Sequence[Delivery]) -> list[str | None]:
        errors = [self.error_of(delivery) for delivery in deliveries]
        self.delivered += [
            dict(delivery.message.document) for delivery, error in zip(deliveries, errors, strict=True) if not error
        ]
        return errors


class UnlimitedSlots:
    """Always has a free slot."""

    @contextmanager
    def take(self, carrier: CarrierName, lane: Lane) -> Iterator[bool]:
        yield True

    def keep_alone(self, carrier: CarrierName, lane: Lane) -> None:
        """Change nothing: there is a free slot for every child."""

    def allow_another(self, carrier: CarrierName, lane: Lane) -> None:
        """Change nothing: every other child is allowed already."""


@dataclass
class Practice:
    """One ledger, one practice carrier, and the services that a test opens on them."""

    url: str
    db: psycopg.Connection[DictRow]
    carrier: SandboxControl
    policy: CarrierPolicy = SETTLED
    notifier: RecordingNotifier = field(default_factory=RecordingNotifier)
    bell: RecordingBell = field(default_factory=RecordingBell)
    timeout_s: float = 20.0
    """Far longer than this carrier takes on a busy machine."""
    silence_s: float | None = None
    """How long the carrier may be silent after a request. Tests of one that never answers set less than `timeout_s`."""
    concurrency: int = 10
    name: CarrierName = BANDWIDTH
    rates: Mapping[str, float] = field(default_factory=dict)
    breaker_policy: BreakerPolicy = field(default_factory=BreakerPolicy)
    address_rules: AddressRules = field(default_factory=AddressRules)
    webhook_sender: WebhookSender | None = None
    webhook_policy: WebhookPolicy = field(default_factory=WebhookPolicy)
    subscription: WantedSubscription | None = None
    notice_asks_every: timedelta | None = None
    market: Market = NO_MARKET
    archive_after: timedelta | None = None
    serves: Serves | None = None
    """Which lanes a run works beside the one it was called for; by default none, so that a test calls each itself."""

    @asynccontextmanager
    async def opened(
        self,
        ledger: Ledger | None = None,
        courier: type[Courier] | Callable[..., Courier] = Courier,
        notifier: RecordingNotifier | None = None,
        auth: Authenticator | None = None,
        adapter: Adapter | None = None,
        boot_clock: Callable[[], float] = boot_clock,
        watched_by: Any = None,
    ) -> AsyncIterator[Services]:
        """Open a worker's services on this ledger and carrier, with their own connections or those of `ledger`.

        `watched_by` is their monitor, tracer and meter.
        """
        authenticator = auth or self.credentials()
        settings = _settings(self.carrier.url, self.timeout_s, self.silence_s)
        open_courier = courier(settings, authenticator, now=utc_now, clock=boot_clock, tls=TLS)
        adapter = adapter or self.adapter()
        async with nullcontext(ledger) if ledger else PostgresLedger.at(self.url, connections_max=2) as open_ledger:
            carrier = Carrier(
                adapter,
                open_courier,
                self.policy,
                self.concurrency,
                self.rates,
                self.breaker_policy,
                self.subscription,
                self.market,
                meter=watched_by,
            )
            orders = OrderService(
                ledger=open_ledger,
                carriers={self.name: carrier},
                notifier=notifier or self.notifier,
                bell=self.bell,
                slots=UnlimitedSlots(),
                boot_clock=boot_clock,
                webhook_sender=self.webhook_sender,
                webhook_policy=self.webhook_policy,
                notice_asks_every=self.notice_asks_every,
                archive_after=self.archive_after,
                serves=self.serves,
                monitor=watched_by,
                tracer=watched_by,
            )
            if ledger is None:
                await orders.set_up_carriers()
            intake = Intake(
                open_ledger.intake,
                {self.name: adapter},
                self.bell,
                now=utc_now,
                secrets=open_ledger.webhook_secrets,
                removals=open_ledger.removals,
                address_rules=self.address_rules,
                monitor=watched_by,
                tracer=watched_by,
            )
            try:
                yield Services(open_ledger, orders, intake)
            finally:
                await open_courier.aclose()

    def adapter(self) -> Adapter:
        """Return the adapter of this carrier."""
        return Bandwidth("9900000", "743")

    def credentials(self) -> Authenticator:
        """Return our credentials at the practice carrier."""
        return OAuth2ClientCredentials("sandbox-client", "sandbox-secret", clock=boot_clock, now=utc_now)

    def pass_time(self, **time: float) -> None:
        """Let time pass while no worker is at work: in one message, for a test may do so a thousand times."""
        with psycopg.ClientCursor(self.db) as cursor:
            cursor.execute(PASSING.encode(), {"time": timedelta(**time)})

    def remember(self) -> None:
        """Keep the ledger as it is now, as a backup does."""
        with self.db.transaction():
            self.db.execute("CREATE SCHEMA kept")
            for table in _tables(self.db):
                self.db.execute(sql.SQL("CREATE TABLE kept.{0} AS TABLE public.{0}").format(sql.Identifier(table)))

    def fall_back(self) -> None:
        """Put the ledger back as it was at `remember`. It forgets what has happened since, and is on another server."""
        tables = _tables(self.db)
        with self.db.transaction():
            self.db.execute("SET LOCAL session_replication_role = replica")  # no foreign keys, no triggers
            for table in tables:
                self.db.execute(sql.SQL("DELETE FROM public.{}").format(sql.Identifier(table)))
                self.db.execute(
                    sql.SQL("INSERT INTO public.{0} OVERRIDING SYSTEM VALUE SELECT * FROM kept.{0}").format(
                        sql.Identifier(table)
                    )
                )
            self.db.execute("UPDATE guard SET identity = 'the server before'")

    def rows(self, query: str, **params: Any) -> list[dict[str, Any]]:
        """Return the rows of a query on the ledger."""
        return self.db.execute(query.encode(), params).fetchall()

    def order(self, order_id: OrderId) -> dict[str, Any]:
        """Return the row of one order."""
        (row,) = self.rows("SELECT * FROM orders WHERE order_id = %(order_id)s", order_id=order_id)
        return row

    def story(self, order_id: OrderId) -> list[str]:
        """Return the names of the events of an order."""
        found = self.rows("SELECT event FROM order_events WHERE order_id = %(id)s ORDER BY version", id=order_id)
        return [row["event"] for row in found]

    def numbers(self, order_id: OrderId) -> list[str]:
        """Return the numbers that an order has acquired."""
        query = "SELECT e164 FROM order_numbers WHERE order_id = %(id)s AND state = 'acquired' ORDER BY e164"
        return [row["e164"] for row in self.rows(query, id=order_id)]

    def alarms(self) -> list[tuple[str, int]]:
        """Return every alarm, and how often it happened."""
        return [(row["what"], row["times"]) for row in self.rows("SELECT what, times FROM alarms ORDER BY alarm_id")]

    def is_idle(self) -> bool:
        """Tell whether no order has any work left but a late look."""
        query = "SELECT 1 FROM owed JOIN orders USING (order_id) WHERE ended_at IS NULL OR lane <> 'ask' LIMIT 1"
        return not self.rows(query)

    def sold(self, order_id: OrderId | None = None) -> list[dict[str, Any]]:
        """Return the orders that the carrier really has: all, or those with the reference of one of ours."""
        orders: list[dict[str, Any]] = self.carrier.report()["orders"]
        reference = None if order_id is None else self.order(order_id)["reference"]
        return [order for order in orders if reference in {None, order["customer_order_id"]}]

    def differences(self, *order_ids: OrderId, since: datetime | None = None) -> list[str]:
        """Return how ledger and carrier differ: each order must be bought once, and must have ended as it did there."""
        report = self.carrier.report(since)
        wrong = [f"{what}: {twice}" for what, twice in report["duplicates"].items() if twice]
        for order_id in order_ids:
            order, numbers = self.order(order_id), self.numbers(order_id)
            sold = [sale for sale in report["orders"] if sale["customer_order_id"] == order["reference"]]
            truth = [(sale["outcome"], sorted(sale["bought"])) for sale in sold]
            if truth != [(order["state"], numbers)]:
                wrong.append(f"{order['state']} with {numbers}, at the carrier {truth}: {self.story(order_id)}")
        return wrong


def _tables(db: psycopg.Connection[DictRow]) -> list[str]:
    found = db.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    return [row["tablename"] for row in found]


def an_order(key: str = "crm-1", **changes: Any) -> dict[str, Any]:
    """Return an order of one number, from an area code that has plenty. `changes` replace fields; None removes one."""
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
    """Take orders in; return their ids."""
    return [(await services.intake.submit(raw, producer="default")).order_id for raw in raws or (an_order(),)]


async def work(services: Services, *lanes: Lane, carrier: CarrierName = BANDWIDTH) -> None:
    """Run lanes one after the other, all three if none is given."""
    for lane in lanes or tuple(Lane):
        await services.orders.work(carrier, lane)


async def work_until_idle(
    practice: Practice, services: Services, *, step: timedelta = timedelta(minutes=10), rounds: int = 40
) -> None:
    """Work and let time pass until no order has any work left."""
    for _ in range(rounds):
        await work(services, carrier=practice.name)
        if practice.is_idle():
            return
        practice.pass_time(seconds=step.total_seconds())
    raise AssertionError(practice.rows("SELECT order_id, state, reason, sends, losses, doubt_asks FROM orders"))


async def story(services: Services, order_id: OrderId) -> Story:
    """Return everything about one order."""
    return await services.ledger.history.story(order_id)


def run(work: Coroutine[Any, Any, None], *, within_s: float = 500) -> None:
    """Run a test's coroutine within a generous time limit."""

    async def bounded() -> None:
        async with asyncio.timeout(within_s):
            await work

    asyncio.run(bounded())


def _settings(url: str, timeout_s: float, silence_s: float | None) -> CourierSettings:
    return CourierSettings(
        url, connect_timeout_s=timeout_s, read_timeout_s=silence_s or timeout_s, total_timeout_s=timeout_s
    )
