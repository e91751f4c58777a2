"""The settings decide which carriers are configured, and each with its own credentials and options."""

import asyncio
import json
from datetime import timedelta

import pytest

from config.settings import Settings
from number_orders.carriers.bandwidth.adapter import Bandwidth
from number_orders.carriers.cm.adapter import CM
from number_orders.carriers.contract import ONE_LIMIT_GROUP, Adapter, CarrierRequest
from number_orders.carriers.holdings import ShowsHoldings
from number_orders.carriers.subscriptions import TakesSubscriptions, WantedSubscription
from number_orders.carriers.swift.adapter import Swift
from number_orders.carriers.swift.taint import Taint
from number_orders.cli.stack.environment import as_environment
from number_orders.fulfilment.intake import Intake
from number_orders.orders.errors import OrderRefused
from number_orders.orders.model import CarrierName, Kind, Lane, Order
from tests.unit.carriers.cm.examples import an_order
from workers.carriers import CARRIERS, adapters, configured_carriers, notice_addresses
from workers.clock import utc_now
from workers.notices import notice_sources

GUID = "11111111-2222-4333-8444-555555555555"
TOKEN = "hush-hush-hush"
KEY = "apik_hush-hush-hush"
BANDWIDTH_ENV = {"ACCOUNT_ID": "9900000", "SITE_ID": "743", "TOKEN": TOKEN}
CM_ENV = {
    "ACCOUNT_GUID": GUID,
    "PRODUCT_TOKEN": TOKEN,
    "COMPANY_PROFILES": json.dumps({"NLD:local": "9f0c0000-0000-4000-8000-000000000001"}),
    "STATUSES": json.dumps({"Done": "completed"}),
}
BANDWIDTH, CM_COM, SWIFT = CarrierName("bandwidth"), CarrierName("cm"), CarrierName("swift")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Remove every setting of ours from the environment."""
    for name in as_environment(Settings()):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def give(environment: pytest.MonkeyPatch, carrier: str, values: dict[str, str]) -> None:
    for name, value in values.items():
        environment.setenv(f"NUMBER_ORDERS_{carrier}__{name}", value)


def test_no_carrier_is_configured_by_default(environment: pytest.MonkeyPatch) -> None:
    assert configured_carriers(Settings()) == {}


def test_two_carriers_are_configured_side_by_side_each_with_its_own_account(environment: pytest.MonkeyPatch) -> None:
    give(environment, "CM", CM_ENV)
    give(environment, "BANDWIDTH", BANDWIDTH_ENV)

    carriers = configured_carriers(Settings())

    found = {name: (type(carrier.adapter), carrier.account) for name, carrier in carriers.items()}
    assert found == {"bandwidth": (Bandwidth, "9900000"), "cm": (CM, GUID)}
    assert carriers[CM_COM].settings.base_url == "https://api.cm.com"
    assert carriers[BANDWIDTH].settings.base_url == "https://api.bandwidth.com"


def test_cm_is_sent_the_callback_url_of_the_settings(environment: pytest.MonkeyPatch) -> None:
    give(environment, "CM", {**CM_ENV, "CALLBACK_URL": "https://numbers.example/cm?key=7"})

    post = next(adapters(Settings())[CM_COM].submit(an_order()))

    assert isinstance(post, CarrierRequest)
    assert json.loads(post.body)["callbackUrl"] == "https://numbers.example/cm?key=7"


NOTICES = {
    "NUMBER_ORDERS_PUBLIC_URL": "https://numbers.example",
    "NUMBER_ORDERS_NOTICE_SECRET": "s" * 32,
    "NUMBER_ORDERS_BANDWIDTH__NOTICE_PASSWORD": "p" * 32,
}


def test_orders_at_cm_name_the_address_of_our_receiver(environment: pytest.MonkeyPatch) -> None:
    """Each order its own; an address that the operator has set takes precedence."""
    give(environment, "CM", CM_ENV)
    for name, value in NOTICES.items():
        environment.setenv(name, value)

    def callback_url(order: Order) -> str:
        post = next(adapters(Settings())[CM_COM].submit(order))
        assert isinstance(post, CarrierRequest)
        return str(json.loads(post.body)["callbackUrl"])

    order = an_order()
    addresses = notice_addresses(Settings())
    assert addresses is not None
    assert callback_url(order) == addresses.of_order(CM_COM, order.reference)
    assert callback_url(order).startswith(f"https://numbers.example/notices/cm/{order.reference}/")
    give(environment, "CM", {"CALLBACK_URL": "https://elsewhere.example/cm"})
    assert callback_url(order) == "https://elsewhere.example/cm"


@pytest.mark.parametrize(
    ("missing", "taken"),
    [
        (None, {"bandwidth", "cm"}),
        ("NUMBER_ORDERS_PUBLIC_URL", set()),
        ("NUMBER_ORDERS_NOTICE_SECRET", {"bandwidth"}),
        ("NUMBER_ORDERS_BANDWIDTH__NOTICE_PASSWORD", {"cm"}),
    ],
)
def test_notices_are_taken_only_where_they_can_be_authenticated(
    environment: pytest.MonkeyPatch, missing: str | None, taken: set[str]
) -> None:
    give(environment, "CM", CM_ENV)
    give(environment, "BANDWIDTH", BANDWIDTH_ENV)
    give(environment, "SWIFT", {"API_KEY": KEY})
    for name, value in NOTICES.items():
        if name != missing:
            environment.setenv(name, value)

    sources = notice_sources(Settings())

    assert {source.carrier for source in sources if source.credentials or source.addresses} == taken
    assert "s" * 32 not in repr(configured_carriers(Settings()))
    assert "p" * 32 not in repr(configured_carriers(Settings()))


def test_bandwidth_is_subscribed_to_with_the_password_of_the_settings(environment: pytest.MonkeyPatch) -> None:
    give(environment, "BANDWIDTH", {**BANDWIDTH_ENV, "SUBSCRIPTION_S": "86400"})
    for name, value in NOTICES.items():
        environment.setenv(name, value)

    assert configured_carriers(Settings())[BANDWIDTH].subscription == WantedSubscription(
        "https://numbers.example/notices/bandwidth", "number-orders", "p" * 32, timedelta(days=1)
    )


def test_swift_needs_only_an_api_key(environment: pytest.MonkeyPatch) -> None:
    """A compose file passes an empty text for an account id that nobody filled in."""
    give(environment, "SWIFT", {"API_KEY": KEY, "ACCOUNT_ID": ""})

    carrier = configured_carriers(Settings())[SWIFT]

    assert isinstance(carrier.adapter, Swift)
    assert carrier.settings.base_url == "https://api.swift-api.com"
    assert KEY not in repr(carrier)


def test_swift_is_given_the_taint_window_and_account_of_the_settings(environment: pytest.MonkeyPatch) -> None:
    give(environment, "SWIFT", {"API_KEY": KEY, "TAINT_WINDOW_S": "3", "TAINT_MARGIN_S": "0.5", "ACCOUNT_ID": "01K3"})

    adapter = configured_carriers(Settings())[SWIFT].adapter

    assert isinstance(adapter, Swift)
    assert adapter._taint == Taint(timedelta(seconds=3), timedelta(seconds=0.5))
    assert adapter._account_id == "01K3"


def test_no_secret_is_part_of_a_repr(environment: pytest.MonkeyPatch) -> None:
    give(environment, "CM", CM_ENV)
    give(environment, "BANDWIDTH", BANDWIDTH_ENV)
    assert TOKEN not in repr(configured_carriers(Settings()))


def test_every_limit_group_of_the_settings_is_one_that_the_adapter_uses(environment: pytest.MonkeyPatch) -> None:
    """The settings list a carrier's groups to refuse misspelt ones; the adapter names the group of each request."""
    known: dict[str, Adapter] = {"bandwidth": Bandwidth("1", "2"), "cm": CM("g", {})}
    for entry in CARRIERS:
        if entry.name in known:
            group = known[entry.name].capabilities.limit_group
            groups = {group(lane, kind) for lane in (Lane.SUBMIT, Lane.ASK) for kind in Kind}
            adapter = known[entry.name]
            groups |= {adapter.holdings.list_group} if isinstance(adapter, ShowsHoldings) else set()
            groups |= {adapter.subscriptions.limit_group} if isinstance(adapter, TakesSubscriptions) else set()
            assert groups - {ONE_LIMIT_GROUP} == entry.settings_in(Settings()).limit_groups - {ONE_LIMIT_GROUP}


def test_an_order_for_an_unknown_carrier_is_refused_with_the_configured_ones(environment: pytest.MonkeyPatch) -> None:
    give(environment, "CM", CM_ENV)
    give(environment, "BANDWIDTH", BANDWIDTH_ENV)
    intake = Intake(store=None, adapters=adapters(Settings()), bell=None, now=utc_now, secrets=None, removals=None)  # type: ignore[arg-type]  # it gets no further
    order = {"key": "k", "carrier": "acme", "kind": "new_numbers", "criteria": {"npa": "919"}, "quantity": 1}

    with pytest.raises(OrderRefused, match="carrier: is not one of ours: bandwidth, cm"):
        asyncio.run(intake.submit(order, producer="p"))
