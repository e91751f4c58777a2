"""Make the services from the settings: the ledger, the configured carriers, and how each carrier is dealt with."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    nullcontext,
)
from datetime import timedelta

from config.queues import OPERATORS
from config.settings import CarrierSettings, OnNotListed, Settings, WebhookSettings
from number_orders.carriers.http.courier import boot_clock
from number_orders.fulfilment.callers import Callers, SignedMessages
from number_orders.fulfilment.carrier import CallMeter, Carrier
from number_orders.fulfilment.intake import Intake
from number_orders.fulfilment.lanes.rate import LedgerClock
from number_orders.fulfilment.lanes.runner import Serves
from number_orders.fulfilment.ports import Bell, Notifier, OrderMonitor, Slots
from number_orders.fulfilment.runtime import Services
from number_orders.fulfilment.service import OrderService
from number_orders.fulfilment.token_authority import TokenAuthority
from number_orders.fulfilment.webhooks.addresses import AddressRules
from number_orders.fulfilment.webhooks.client import WebhookClient, webhook_tls
from number_orders.fulfilment.webhooks.delivery import WebhookPolicy, WebhookSender
from number_orders.ledger.breakers import BreakerPolicy
from number_orders.ledger.ledger import PostgresLedger
from number_orders.orders.model import CarrierName
from number_orders.orders.policy import CarrierPolicy
from workers.carriers import CarrierEntry, configured_carriers
from workers.clock import following, utc_now
from workers.monitors import together
from workers.tracing import require_installed, tracing
from workers.worker_metrics import CountingNotifier, CountingSender, WorkerMetrics


def policy(settings: CarrierSettings) -> CarrierPolicy:
    """Return how often a carrier is asked, and how an order in doubt there is resolved."""
    return CarrierPolicy(
        answer_within=timedelta(seconds=settings.answer_within_s),
        ask_first=timedelta(seconds=settings.ask_first_s),
        ask_factor=settings.ask_factor,
        ask_max=timedelta(seconds=settings.ask_max_s),
        slow_ask_max=timedelta(seconds=settings.slow_ask_max_s),
        doubt_first=timedelta(seconds=settings.doubt_first_s),
        doubt_patience=timedelta(seconds=settings.doubt_patience_s),
        doubt_asks=settings.doubt_asks,
        resend_when_absent=settings.on_not_listed is OnNotListed.RESEND,
        losses_max=settings.losses_max,
        settle_after=timedelta(seconds=settings.settle_s),
        settle_looks=settings.settle_looks,
        late_look_after=timedelta(seconds=settings.late_look_s),
        overdue_after=timedelta(seconds=settings.overdue_after_s),
    )


def breaker_policy(settings: CarrierSettings) -> BreakerPolicy:
    """Return after how many faults in a row a carrier is left alone, and for how long."""
    return BreakerPolicy(
        faults_max=settings.breaker_faults,
        hold_first=timedelta(seconds=settings.breaker_hold_first_s),
        hold_max=timedelta(seconds=settings.breaker_hold_max_s),
    )


def webhook_policy(settings: WebhookSettings) -> WebhookPolicy:
    """Return how documents are sent to URLs, and for how long each is tried."""
    return WebhookPolicy(
        timeout=timedelta(seconds=settings.timeout_s),
        concurrency=settings.concurrency,
        per_host=settings.per_host,
        per_producer=settings.per_producer,
        retry_first=timedelta(seconds=settings.retry_first_s),
        retry_max=timedelta(seconds=settings.retry_max_s),
        retry_for=timedelta(seconds=settings.retry_for_s),
    )


def address_rules(settings: WebhookSettings) -> AddressRules:
    """Return to which URLs documents may be sent."""
    return AddressRules(settings.ports, settings.allowed_networks, settings.allowed_hosts)


def _none() -> None:
    return None


def services_factory(
    settings: Settings,
    *,
    bell: Callable[[], Bell],
    notifier: Callable[[], Notifier],
    slots: Slots,
    serves: Serves | None = None,
    monitor: Callable[[], AbstractContextManager[OrderMonitor | None]] = nullcontext,
    metrics: Callable[[], WorkerMetrics | None] = _none,
    carriers: Sequence[CarrierEntry] | None = None,
) -> Callable[[], AbstractAsyncContextManager[Services]]:
    """Return a function that opens the services of one process, with the carriers of `carriers` (`CARRIERS`).

    Nothing is connected until that function's context is entered, so the factory may be made before a fork.

    Raises:
        NotInstalled: The settings want traces, and OpenTelemetry is missing.
    """
    require_installed(settings.traces_url)

    @asynccontextmanager
    async def open_services() -> AsyncIterator[Services]:
        assert settings.database_url is not None, "the caller has checked that the settings name a database"
        async with AsyncExitStack() as stack:
            url, guard_lasts = settings.database_url.get_secret_value(), timedelta(seconds=settings.guard_s)
            ledger = await stack.enter_async_context(
                PostgresLedger.at(
                    url,
                    connections_max=settings.database_connections,
                    guard_lasts=guard_lasts,
                    **settings.ledger_options,
                )
            )
            ledger_clock = await _read_clock(ledger)
            stack.enter_context(following(ledger_clock))
            process_bell, process_metrics = bell(), metrics()
            traces = stack.enter_context(tracing(settings.traces_url, now=utc_now))
            process_monitor = together(stack.enter_context(monitor()), process_metrics, traces)
            open_carriers = await _open_carriers(settings, carriers, stack, process_metrics)
            rules = address_rules(settings.webhooks)
            webhooks = WebhookClient(
                rules,
                tls=webhook_tls(settings.webhooks.ca_file),
                timeout_s=settings.webhooks.timeout_s,
                connections_max=settings.webhooks.concurrency,
            )
            stack.push_async_callback(webhooks.aclose)
            to_tasks: Notifier = CountingNotifier(notifier(), process_metrics) if process_metrics else notifier()
            to_urls: WebhookSender = CountingSender(webhooks, process_metrics) if process_metrics else webhooks
            orders = OrderService(
                ledger=ledger,
                carriers=open_carriers,
                notifier=traces.notifying(to_tasks) if traces else to_tasks,
                bell=process_bell,
                slots=slots,
                serves=serves,
                boot_clock=boot_clock,
                ledger_clock=ledger_clock,
                webhook_sender=traces.sending(to_urls) if traces else to_urls,
                webhook_policy=webhook_policy(settings.webhooks),
                receipts_kept=timedelta(days=settings.receipts_kept_days),
                coverage_kept=timedelta(days=settings.coverage_kept_days),
                archive_after=settings.archive_after,
                guard_lasts=guard_lasts,
                notice_asks_every=timedelta(seconds=settings.notice_asks_every_s),
                monitor=process_monitor,
                tracer=traces,
            )
            await orders.set_up_carriers()
            adapters = {name: carrier.adapter for name, carrier in open_carriers.items()}
            intake = Intake(
                ledger.intake,
                adapters,
                process_bell,
                now=utc_now,
                numbers_per_hour=settings.default_numbers_per_hour,
                secrets=ledger.webhook_secrets,
                removals=ledger.removals,
                address_rules=rules,
                monitor=process_monitor,
                tracer=traces,
            )
            callers = Callers(ledger.producers, SignedMessages(settings.signed_messages), operators_queue=OPERATORS)
            yield Services(ledger, orders, intake, callers, TokenAuthority(ledger.producers))

    return open_services


async def _read_clock(ledger: PostgresLedger) -> LedgerClock:
    """Return the ledger's clock; every claim reads it again."""
    clock, asked_at = LedgerClock(), boot_clock()
    clock.learn(await ledger.now(), asked_at=asked_at, heard_at=boot_clock())
    return clock


async def _open_carriers(
    settings: Settings, entries: Sequence[CarrierEntry] | None, stack: AsyncExitStack, meter: CallMeter | None
) -> Mapping[CarrierName, Carrier]:
    carriers = {}
    for name, carrier in configured_carriers(settings, entries).items():
        courier = carrier.courier()
        stack.push_async_callback(courier.aclose)
        carriers[name] = Carrier(
            carrier.adapter,
            courier,
            policy(carrier.settings),
            carrier.settings.concurrency,
            carrier.settings.limits,
            breaker_policy(carrier.settings),
            carrier.subscription,
            carrier.market,
            meter=meter,
        )
    return carriers
