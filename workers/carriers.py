"""The list of carriers, and the only place where a carrier's adapter is made from its settings.

An entry says what a carrier is called, which setting names its account, and how its settings become an adapter with
credentials. Connects to nothing. How to add a carrier: docs/adding-a-carrier.md.
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
from number_orders.carriers.cm.facts import TOKEN_HEADER, StatusMeaning
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
from number_orders.carriers.market import NO_MARKET, Market
from number_orders.carriers.notices import NoticeAddresses
from number_orders.carriers.subscriptions import WantedSubscription
from number_orders.carriers.swift.adapter import Swift
from number_orders.carriers.swift.coverage import SwiftMarket
from number_orders.carriers.swift.taint import Taint
from number_orders.orders.model import CarrierName
from workers.clock import utc_now


@dataclass(frozen=True, slots=True)
class ConfiguredCarrier:
    """One carrier with its settings. Nothing is connected yet."""

    adapter: Adapter
    settings: CarrierSettings
    account: str
    authenticator: Callable[[], Authenticator] = field(repr=False)
    market: Market = NO_MARKET
    """The questions it answers that concern no order: searches, reservations, inventory."""
    subscription: WantedSubscription | None = None
    """Where it is to send notices, if it takes subscriptions and the settings want any."""
    addresses: NoticeAddresses | None = None
    """Where it is to send the notices of each order, if it takes an address with the order."""

    def courier(self, *, tls: ssl.SSLContext | None = None) -> Courier:
        """Return a new courier for this carrier, which belongs to the running event loop."""
        return Courier(_courier_settings(self.settings), self.authenticator(), now=utc_now, tls=tls)


@dataclass(frozen=True, slots=True)
class CarrierEntry:
    """One carrier that orders can be placed with, if the settings name an account there."""

    name: str
    """Its name in orders, in the ledger, and as the field of `Settings` that holds its settings."""
    title: str
    """Its name for people."""
    account_setting: str
    """The setting that names the account. The carrier is configured if this is set."""
    build: Callable[[Any, NoticeAddresses | None], ConfiguredCarrier]
    """Makes the carrier from its settings and the addresses of the receiver, if carriers can reach it. Called only if
    the settings name an account."""

    def settings_in(self, settings: Settings) -> CarrierSettings:
        """Return the part of the settings that is this carrier's."""
        own: CarrierSettings = getattr(settings, self.name)
        return own

    def configure(self, settings: Settings) -> ConfiguredCarrier | None:
        """Return the carrier with its settings, or None if they name no account."""
        own = self.settings_in(settings)
        return None if getattr(own, self.account_setting) is None else self.build(own, notice_addresses(settings))


def notice_addresses(settings: Settings) -> NoticeAddresses | None:
    """Return the addresses at which the receiver takes notices; None if carriers cannot reach it."""
    if settings.public_url is None:
        return None
    secrets = (settings.notice_secret, settings.notice_secret_before)
    return NoticeAddresses(
        settings.public_url, *(each.get_secret_value().encode() if each else b"" for each in secrets)
    )


def configured_carriers(
    settings: Settings, entries: Sequence[CarrierEntry] | None = None
) -> dict[CarrierName, ConfiguredCarrier]:
    """Return the configured carriers of `entries`, by default of `CARRIERS`, by name."""
    carriers = {entry.name: entry.configure(settings) for entry in (CARRIERS if entries is None else entries)}
    return {CarrierName(name): carrier for name, carrier in carriers.items() if carrier}


def adapters(settings: Settings) -> dict[CarrierName, Adapter]:
    """Return the adapters of the configured carriers."""
    return {name: carrier.adapter for name, carrier in configured_carriers(settings).items()}


def _bandwidth(settings: BandwidthSettings, addresses: NoticeAddresses | None) -> ConfiguredCarrier:
    assert settings.account_id, "build is called only if the settings name an account"
    assert settings.site_id, "the settings refuse an account without a site"
    adapter = Bandwidth(settings.account_id, settings.site_id)
    credentials = partial(_bandwidth_credentials, settings)
    market, subscription = BandwidthMarket(settings.account_id), None
    if addresses and settings.notice_password:
        subscription = WantedSubscription(
            addresses.of_carrier(adapter.name),
            settings.notice_username,
            settings.notice_password.get_secret_value(),
            timedelta(seconds=settings.subscription_s),
        )
    return ConfiguredCarrier(adapter, settings, settings.account_id, credentials, market, subscription)


def _bandwidth_credentials(settings: BandwidthSettings) -> Authenticator:
    if settings.client_id and settings.client_secret:
        secret = settings.client_secret.get_secret_value()
        return OAuth2ClientCredentials(settings.client_id, secret, clock=boot_clock, now=utc_now)
    if settings.token:
        return StaticBearer(settings.token.get_secret_value())
    if settings.username and settings.password:
        return Basic(settings.username, settings.password.get_secret_value())
    raise ValueError("bandwidth has no credentials")  # never reached: the settings refuse it


def _cm(settings: CMSettings, addresses: NoticeAddresses | None) -> ConfiguredCarrier:
    assert settings.account_guid, "build is called only if the settings name an account"
    assert settings.product_token, "the settings refuse an account without a token"
    statuses = {word: StatusMeaning(meaning) for word, meaning in settings.statuses.items()}
    own = addresses if addresses and addresses.secret else None
    adapter = CM(
        settings.account_guid,
        settings.company_profiles,
        statuses=statuses,
        callback_url=settings.callback_url,
        addresses=own,
    )
    token = settings.product_token.get_secret_value()
    market = CMMarket(settings.account_guid, settings.company_profiles)
    credentials = partial(ApiKeyHeader, TOKEN_HEADER, token)
    return ConfiguredCarrier(adapter, settings, settings.account_guid, credentials, market, addresses=own)


def _swift(settings: SwiftSettings, addresses: NoticeAddresses | None) -> ConfiguredCarrier:
    assert settings.api_key, "build is called only if the settings have a key"
    taint = Taint(timedelta(seconds=settings.taint_window_s), timedelta(seconds=settings.taint_margin_s))
    adapter = Swift(settings.account_id, taint=taint, settle_after=timedelta(seconds=settings.settle_s))
    key = settings.api_key.get_secret_value()
    return ConfiguredCarrier(
        adapter, settings, settings.account_id or "of the API key", partial(StaticBearer, key), SwiftMarket()
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


CARRIERS: Final[Sequence[CarrierEntry]] = (
    CarrierEntry("bandwidth", "Bandwidth", account_setting="account_id", build=_bandwidth),
    CarrierEntry("cm", "CM.com", account_setting="account_guid", build=_cm),
    CarrierEntry("swift", "Swift", account_setting="api_key", build=_swift),
)
