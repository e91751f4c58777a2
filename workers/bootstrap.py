"""Turns settings into rooms: where the ledger is, which carriers there are, and how patient we are with each."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import timedelta

from config.settings import CarrierSettings, OnNotListed, Settings
from number_orders.carriers.http.courier import boot_clock
from number_orders.fulfilment.carrier import Carrier
from number_orders.fulfilment.intake import Intake
from number_orders.fulfilment.ports import Bell, Notifier, Slots
from number_orders.fulfilment.runtime import Services
from number_orders.fulfilment.service import OrderService
from number_orders.ledger.breakers import BreakerPolicy
from number_orders.ledger.ledger import PostgresLedger
from number_orders.orders.model import CarrierName
from number_orders.orders.policy import CarrierPolicy
from workers.carriers import Entry, SetUp, adapters, set_up

__all__ = ["SetUp", "adapters", "breaker_policy", "opening", "policy", "set_up"]


def policy(settings: CarrierSettings) -> CarrierPolicy:
    """Return how patient we are with a carrier."""
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
        overdue_after=timedelta(seconds=settings.overdue_after_s),
    )


def breaker_policy(settings: CarrierSettings) -> BreakerPolicy:
    """Return when a carrier counts as out of reach, and for how long it is left alone then."""
    return BreakerPolicy(
        faults_max=settings.breaker_faults,
        hold_first=timedelta(seconds=settings.breaker_hold_first_s),
        hold_max=timedelta(seconds=settings.breaker_hold_max_s),
    )


def opening(
    settings: Settings,
    *,
    bell: Callable[[], Bell],
    notifier: Callable[[], Notifier],
    slots: Slots,
    carriers: Sequence[Entry] | None = None,
) -> Callable[[], AbstractAsyncContextManager[Services]]:
    """Return how a process opens its room, with every carrier there is, or those of `carriers`.

    Nothing is connected before it does, so it may be called after a fork.
    """

    @asynccontextmanager
    async def open_services() -> AsyncIterator[Services]:
        assert settings.database_url is not None, "the database's address is known before any room is opened"
        async with AsyncExitStack() as stack:
            url = settings.database_url.get_secret_value()
            ledger = await stack.enter_async_context(
                PostgresLedger.at(url, connections_max=settings.database_connections)
            )
            known = await _carriers(settings, carriers, stack)
            await ledger.schedule.open_lanes(list(known))
            for name, carrier in known.items():
                await ledger.limits.set_limits(name, carrier.limits, carrier.limit_groups)
            rung = bell()
            desk = OrderService(
                ledger=ledger,
                carriers=known,
                notifier=notifier(),
                bell=rung,
                slots=slots,
                boot_clock=boot_clock,
                receipts_kept=timedelta(days=settings.receipts_kept_days),
            )
            checking = {name: carrier.adapter for name, carrier in known.items()}
            yield Services(ledger, desk, Intake(ledger.intake, checking, rung))

    return open_services


async def _carriers(
    settings: Settings, entries: Sequence[Entry] | None, stack: AsyncExitStack
) -> Mapping[CarrierName, Carrier]:
    carriers = {}
    for name, carrier in set_up(settings, entries).items():
        carried_by = carrier.courier()
        stack.push_async_callback(carried_by.aclose)
        carriers[name] = Carrier(
            carrier.adapter,
            carried_by,
            policy(carrier.settings),
            carrier.settings.concurrency,
            carrier.settings.limits,
            breaker_policy(carrier.settings),
        )
    return carriers
