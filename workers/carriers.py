"""Every carrier there is, one entry each: the only place in which a carrier's adapter meets its settings.

Knows what each carrier is called, which setting names the account, and how its settings become an adapter with
credentials. Opens nothing. Another carrier is another entry: docs/adding-a-carrier.md.
"""

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, Final

from config.settings import BandwidthSettings, CarrierSettings, CMSettings, Settings, SwiftSettings
from number_orders.carriers.bandwidth.adapter import Bandwidth
from number_orders.carriers.bandwidth.market import BandwidthMarket
from number_orders.carriers.cm.adapter import CM
from number_orders.carriers.cm.facts import TOKEN_HEADER, Meaning
from number_orders.carriers.cm.market import CMMarket
from number_orders.carriers.contract import Adapter
from number_orders.carriers.http.courier import Courier, CourierSettings, boot_clock
from number_orders.carriers.http.credentials import (
    ApiKeyHeader,
    Authenticator,
    Basic,
    OAuth2ClientCredentials,
    StaticBearer,
)
from number_orders.carriers.market import SILENT, Market
from number_orders.carriers.swift.adapter import Swift
from number_orders.carriers.swift.coverage import SwiftMarket
from number_orders.carriers.swift.taint import Taint
from number_orders.orders.model import CarrierName
from workers.clock import utc_now


@dataclass(frozen=True, slots=True)
class SetUp:
    """One carrier as the settings have it. Nothing is open yet."""

    adapter: Adapter
    settings: CarrierSettings
    account: str
    authenticator: Callable[[], Authenticator] = field(repr=False)
    market: Market = SILENT
    """What it answers when no order is concerned."""

    def courier(self, *, tls: ssl.SSLContext | None = None) -> Courier:
        """Return a courier to this carrier. Belongs to the running event loop."""
        return Courier(_courier_settings(self.settings), self.authenticator(), now=utc_now, tls=tls)


@dataclass(frozen=True, slots=True)
class Entry:
    """One carrier that orders can be placed with, once its settings name an account."""

    name: str
    """In orders, in the ledger, and of the field of `Settings` that holds the carrier's own."""
    title: str
    """As people write it."""
    account: str
    """The setting that names the account: with it the carrier is set up, without it there is none."""
    build: Callable[[Any], SetUp]
    """Makes it from its own settings, whose account is named."""

    def own(self, settings: Settings) -> CarrierSettings:
        """Return the carrier's own settings."""
        own: CarrierSettings = getattr(settings, self.name)
        return own

    def set_up(self, settings: Settings) -> SetUp | None:
        """Return the carrier as these settings have it, or None when they name no account."""
        own = self.own(settings)
        return None if getattr(own, self.account) is None else self.build(own)


def set_up(settings: Settings, carriers: Sequence[Entry] | None = None) -> dict[CarrierName, SetUp]:
    """Return every carrier that is set up, by its name; of those there are, or of `carriers`."""
    found = {entry.name: entry.set_up(settings) for entry in (CARRIERS if carriers is None else carriers)}
    return {CarrierName(name): carrier for name, carrier in found.items() if carrier}


def adapters(settings: Settings) -> dict[CarrierName, Adapter]:
    """Return the adapter of every carrier that is set up. Opens nothing."""
    return {name: carrier.adapter for name, carrier in set_up(settings).items()}


def _bandwidth(settings: BandwidthSettings) -> SetUp:
    assert settings.account_id, "without an account there is nothing to set up"
    assert settings.site_id, "the settings refuse an account without a site"
    adapter = Bandwidth(settings.account_id, settings.site_id)
    credentials = partial(_bandwidth_credentials, settings)
    return SetUp(adapter, settings, settings.account_id, credentials, BandwidthMarket(settings.account_id))


def _bandwidth_credentials(settings: BandwidthSettings) -> Authenticator:
    if settings.client_id and settings.client_secret:
        secret = settings.client_secret.get_secret_value()
        return OAuth2ClientCredentials(settings.client_id, secret, clock=boot_clock, now=utc_now)
    if settings.token:
        return StaticBearer(settings.token.get_secret_value())
    if settings.username and settings.password:
        return Basic(settings.username, settings.password.get_secret_value())
    raise ValueError("bandwidth has no credentials")  # the settings refuse this before anybody gets here


def _cm(settings: CMSettings) -> SetUp:
    assert settings.account_guid, "without an account there is nothing to set up"
    assert settings.product_token, "the settings refuse an account without a token"
    statuses = {word: Meaning(meaning) for word, meaning in settings.statuses.items()}
    adapter = CM(
        settings.account_guid, settings.company_profiles, statuses=statuses, callback_url=settings.callback_url
    )
    token = settings.product_token.get_secret_value()
    market = CMMarket(settings.account_guid, settings.company_profiles)
    return SetUp(adapter, settings, settings.account_guid, partial(ApiKeyHeader, TOKEN_HEADER, token), market)


def _swift(settings: SwiftSettings) -> SetUp:
    assert settings.api_key, "without a key there is nothing to set up"
    taint = Taint(timedelta(seconds=settings.taint_window_s), timedelta(seconds=settings.taint_margin_s))
    adapter = Swift(settings.account_id, taint=taint)
    key = settings.api_key.get_secret_value()
    return SetUp(adapter, settings, settings.account_id or "of the API key", partial(StaticBearer, key), SwiftMarket())


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


CARRIERS: Final[Sequence[Entry]] = (
    Entry("bandwidth", "Bandwidth", account="account_id", build=_bandwidth),
    Entry("cm", "CM.com", account="account_guid", build=_cm),
    Entry("swift", "Swift", account="api_key", build=_swift),
)
