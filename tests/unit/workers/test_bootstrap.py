"""Which carriers the settings set up, and how patient we are with each."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from config.settings import CMSettings, Settings
from number_orders.carriers.bandwidth.adapter import Bandwidth
from number_orders.carriers.cm.adapter import CM
from number_orders.carriers.contract import EVERYTHING, Adapter, CarrierRequest
from number_orders.cli.stack.environment import as_environment
from number_orders.fulfilment.intake import Intake
from number_orders.orders.errors import OrderRefused
from number_orders.orders.model import CarrierName, Kind, Lane
from tests.unit.carriers.cm_examples import an_order
from workers.bootstrap import policy
from workers.carriers import CARRIERS, adapters, set_up

GUID = "11111111-2222-4333-8444-555555555555"
PROFILE = "9f0c0000-0000-4000-8000-000000000001"
TOKEN = "hush-hush-hush"
CM_ENV = {
    "ACCOUNT_GUID": GUID,
    "PRODUCT_TOKEN": TOKEN,
    "COMPANY_PROFILES": json.dumps({"NLD:local": PROFILE}),
    "STATUSES": json.dumps({"Done": "completed"}),
}
BANDWIDTH_ENV = {"ACCOUNT_ID": "9900000", "SITE_ID": "743", "TOKEN": TOKEN}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in as_environment(Settings()):
        monkeypatch.delenv(name)
    return monkeypatch


def give(environment: pytest.MonkeyPatch, carrier: str, values: dict[str, str]) -> None:
    for name, value in values.items():
        environment.setenv(f"NUMBER_ORDERS_{carrier}__{name}", value)


def test_nothing_is_set_up_by_default(environment: pytest.MonkeyPatch) -> None:
    assert set_up(Settings()) == {}


def test_carriers_stand_side_by_side_each_with_its_own(environment: pytest.MonkeyPatch) -> None:
    give(environment, "CM", CM_ENV)
    give(environment, "BANDWIDTH", BANDWIDTH_ENV)

    carriers = set_up(Settings())

    found = {name: (type(carrier.adapter), carrier.account) for name, carrier in carriers.items()}
    assert found == {"bandwidth": (Bandwidth, "9900000"), "cm": (CM, GUID)}
    assert carriers[CarrierName("cm")].settings.base_url == "https://api.cm.com"
    assert carriers[CarrierName("bandwidth")].settings.base_url == "https://api.bandwidth.com"


def test_cm_is_told_where_to_call(environment: pytest.MonkeyPatch) -> None:
    give(environment, "CM", {**CM_ENV, "CALLBACK_URL": "https://numbers.example/cm?key=7"})

    post = next(adapters(Settings())[CarrierName("cm")].submit(an_order()))

    assert isinstance(post, CarrierRequest)
    assert json.loads(post.body)["callbackUrl"] == "https://numbers.example/cm?key=7"


def test_cm_is_asked_at_the_pace_of_people_and_doubt_is_for_a_person() -> None:
    how = policy(CMSettings())
    assert (how.ask_first, how.ask_max, how.slow_ask_max) == (
        timedelta(seconds=30),
        timedelta(minutes=15),
        timedelta(hours=1),
    )
    assert how.overdue_after == timedelta(days=3)
    assert not how.resend_when_absent


def test_how_many_lost_answers_are_too_many_is_set_per_carrier(environment: pytest.MonkeyPatch) -> None:
    give(environment, "BANDWIDTH", {"LOSSES_MAX": "5"})
    settings = Settings()

    assert (policy(settings.bandwidth).losses_max, policy(settings.cm).losses_max) == (5, 3)


def test_settings_with_maps_survive_being_handed_down(environment: pytest.MonkeyPatch) -> None:
    give(environment, "CM", CM_ENV)
    given = Settings()
    for name in CM_ENV:
        environment.delenv(f"NUMBER_ORDERS_CM__{name}")
    for name, value in as_environment(given).items():
        environment.setenv(name, value)

    assert Settings() == given
    assert given.cm.company_profiles == {"NLD:local": PROFILE}
    assert given.cm.statuses == {"Done": "completed"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"account_guid": "7"}, "account_guid"),
        ({"product_token": None}, "product_token is needed"),
        ({"product_token": "  "}, "product_token is needed"),
        ({"company_profiles": {}}, "company_profiles are needed"),
        ({"company_profiles": {"NL:local": PROFILE}}, "company_profiles"),
        ({"company_profiles": {"NLD:mobile": PROFILE}}, "company_profiles"),
        ({"company_profiles": {"NLD:local": "dutch"}}, "company_profiles"),
        ({"company_profiles": "{"}, "company_profiles"),
        ({"statuses": {"Done": "finished"}}, "statuses"),
        ({"base_url": "https://api.cm.com/v1"}, "base_url"),
        ({"callback_url": "http://numbers.example/cm"}, "callback_url"),
        ({"callback_url": "https://numbers.example/ cm"}, "callback_url"),
        ({"callback_url": "https://"}, "callback_url"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any], says: str) -> None:
    good = {"account_guid": GUID, "product_token": TOKEN, "company_profiles": {"NLD:local": PROFILE}}
    CMSettings.model_validate(good)
    with pytest.raises(ValidationError, match=says) as refused:
        CMSettings.model_validate({**good, **changes})
    assert TOKEN not in str(refused.value.errors(include_input=False))


def test_no_secret_is_part_of_a_representation(environment: pytest.MonkeyPatch) -> None:
    give(environment, "CM", CM_ENV)
    give(environment, "BANDWIDTH", BANDWIDTH_ENV)
    assert TOKEN not in repr(set_up(Settings()))


def test_every_limit_that_can_be_set_is_one_that_work_draws_on(environment: pytest.MonkeyPatch) -> None:
    """The settings name a carrier's groups for whoever misspells one, the adapter for whoever sends."""
    known: dict[str, Adapter] = {"bandwidth": Bandwidth("1", "2"), "cm": CM("g", {})}
    for entry in CARRIERS:
        if entry.name in known:
            group = known[entry.name].capabilities.limit_group
            groups = {group(lane, kind) for lane in (Lane.SUBMIT, Lane.ASK) for kind in Kind}
            assert groups - {EVERYTHING} == entry.own(Settings()).limit_groups - {EVERYTHING}


def test_an_order_for_another_carrier_is_refused_with_those_there_are(environment: pytest.MonkeyPatch) -> None:
    give(environment, "CM", CM_ENV)
    give(environment, "BANDWIDTH", BANDWIDTH_ENV)
    intake = Intake(store=None, adapters=adapters(Settings()), bell=None)  # type: ignore[arg-type]  # it gets no further
    order = {"key": "k", "carrier": "acme", "kind": "new_numbers", "criteria": {"npa": "919"}, "quantity": 1}

    with pytest.raises(OrderRefused, match="carrier: is not one of ours: bandwidth, cm"):
        asyncio.run(intake.submit(order, producer="p"))
