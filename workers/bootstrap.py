"""Turns settings into rooms: which carriers there are, how patient we are with each, and where the ledger is."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from carriers.auth import ApiKeyHeader, Authenticator, Basic, OAuth2ClientCredentials, StaticBearer
from carriers.bandwidth import Bandwidth
from carriers.bandwidth_market import BandwidthMarket
from carriers.cm import CM
from carriers.cm_facts import TOKEN_HEADER, Meaning
from carriers.contract import Adapter
from carriers.courier import Courier, CourierSettings, boot_clock
from carriers.market import Market
from config.settings import BandwidthSettings, CarrierSettings, CMSettings, OnNotListed, Settings
from fulfilment.carrier import Carrier
from fulfilment.desk import Desk
from fulfilment.intake import Intake
from fulfilment.ports import Bell, Herald, Slots
from fulfilment.runtime import Room
from ledger.ledger import Ledger
from orders.lifecycle import Manner
from orders.model import CarrierName
from workers.clock import utc_now


@dataclass(frozen=True, slots=True)
class SetUp:
    """One carrier as the settings have it. Nothing is open yet."""

    adapter: Adapter
    settings: CarrierSettings
    account: str
    authenticator: Callable[[], Authenticator] = field(repr=False)
    market: Market
    """What it answers beside orders."""

    def courier(self) -> Courier:
        """Return a courier to this carrier. Belongs to the running event loop."""
        return Courier(_courier_settings(self.settings), self.authenticator(), now=utc_now)


def set_up(settings: Settings) -> dict[CarrierName, SetUp]:
    """Return every carrier that is set up, by its name."""
    found = (_bandwidth(settings.bandwidth), _cm(settings.cm))
    return {carrier.adapter.name: carrier for carrier in found if carrier}


def adapters(settings: Settings) -> dict[CarrierName, Adapter]:
    """Return the adapter of every carrier that is set up. Opens nothing."""
    return {name: carrier.adapter for name, carrier in set_up(settings).items()}


def manner(settings: CarrierSettings) -> Manner:
    """Return how patient we are with a carrier."""
    return Manner(
        answer_within=timedelta(seconds=settings.answer_within_s),
        ask_first=timedelta(seconds=settings.ask_first_s),
        ask_factor=settings.ask_factor,
        ask_max=timedelta(seconds=settings.ask_max_s),
        slow_ask_max=timedelta(seconds=settings.slow_ask_max_s),
        doubt_first=timedelta(seconds=settings.doubt_first_s),
        doubt_patience=timedelta(seconds=settings.doubt_patience_s),
        doubt_asks=settings.doubt_asks,
        resend_when_absent=settings.on_not_listed is OnNotListed.RESEND,
        overdue_after=timedelta(seconds=settings.overdue_after_s),
    )


def opening(
    settings: Settings, *, bell: Callable[[], Bell], herald: Callable[[], Herald], slots: Slots
) -> Callable[[], AbstractAsyncContextManager[Room]]:
    """Return how a process opens its room. Nothing is connected before it does, so it may be called after a fork."""

    @asynccontextmanager
    async def open_room() -> AsyncIterator[Room]:
        assert settings.database_url is not None, "the database's address is known before any room is opened"
        async with AsyncExitStack() as stack:
            url = settings.database_url.get_secret_value()
            ledger = await stack.enter_async_context(Ledger.at(url, connections_max=settings.database_connections))
            carriers = await _carriers(settings, stack)
            await ledger.open_lanes(list(carriers))
            rung = bell()
            desk = Desk(
                ledger=ledger,
                carriers=carriers,
                herald=herald(),
                bell=rung,
                slots=slots,
                boot_clock=boot_clock,
                receipts_kept=timedelta(days=settings.receipts_kept_days),
            )
            known = {name: carrier.adapter for name, carrier in carriers.items()}
            yield Room(ledger, desk, Intake(ledger, known, rung))

    return open_room


async def _carriers(settings: Settings, stack: AsyncExitStack) -> Mapping[CarrierName, Carrier]:
    carriers = {}
    for name, carrier in set_up(settings).items():
        carried_by = carrier.courier()
        stack.push_async_callback(carried_by.aclose)
        carriers[name] = Carrier(carrier.adapter, carried_by, manner(carrier.settings), carrier.settings.concurrency)
    return carriers


def _bandwidth(settings: BandwidthSettings) -> SetUp | None:
    if settings.account_id is None or settings.site_id is None:
        return None
    adapter = Bandwidth(settings.account_id, settings.site_id)
    market = BandwidthMarket(settings.account_id)
    return SetUp(adapter, settings, settings.account_id, partial(_bandwidth_credentials, settings), market)


def _cm(settings: CMSettings) -> SetUp | None:
    if settings.account_guid is None or settings.product_token is None:
        return None
    statuses = {word: Meaning(meaning) for word, meaning in settings.statuses.items()}
    adapter = CM(settings.account_guid, settings.company_profiles, statuses=statuses)
    token = settings.product_token.get_secret_value()
    return SetUp(
        adapter, settings, settings.account_guid, partial(ApiKeyHeader, TOKEN_HEADER, token), Market(adapter.name)
    )


def _courier_settings(settings: CarrierSettings) -> CourierSettings:
    return CourierSettings(
        base_url=settings.base_url,
        connect_timeout_s=settings.connect_timeout_s,
        read_timeout_s=settings.read_timeout_s,
        pool_timeout_s=settings.pool_timeout_s,
        total_timeout_s=settings.timeout_s,
        connections_max=2 * settings.concurrency,
        answer_bytes_max=settings.answer_bytes_max,
    )


def _bandwidth_credentials(settings: BandwidthSettings) -> Authenticator:
    if settings.client_id and settings.client_secret:
        secret = settings.client_secret.get_secret_value()
        return OAuth2ClientCredentials(settings.client_id, secret, clock=boot_clock, now=utc_now)
    if settings.token:
        return StaticBearer(settings.token.get_secret_value())
    if settings.username and settings.password:
        return Basic(settings.username, settings.password.get_secret_value())
    raise ValueError("bandwidth has no credentials")  # the settings refuse this before anybody gets here
