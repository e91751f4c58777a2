"""The environment sets everything; an empty variable sets nothing; what cannot work is refused at the start."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from config.settings import PREFIX, BandwidthSettings, CMSettings, ReceiverSettings, Settings, SwiftSettings
from number_orders.cli.stack.environment import as_environment

GUID = "11111111-2222-4333-8444-555555555555"
PROFILE = "9f0c0000-0000-4000-8000-000000000001"
TOKEN = "hush-hush-hush"
KEY = "apik_hush-hush-hush"
CM_ENV = {
    "ACCOUNT_GUID": GUID,
    "PRODUCT_TOKEN": TOKEN,
    "COMPANY_PROFILES": json.dumps({"NLD:local": PROFILE}),
    "STATUSES": json.dumps({"Done": "completed"}),
}


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith(PREFIX):
            monkeypatch.delenv(name)


@pytest.mark.parametrize("name", ["DATABASE_URL", "CHILDREN", "LOG_JSON", "BANDWIDTH__TIMEOUT_S", "BANDWIDTH__TOKEN"])
def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Compose files and .env files pass on as an empty text what nobody filled in."""
    monkeypatch.setenv(f"{PREFIX}{name}", "")

    assert Settings() == Settings.model_construct()


def test_empty_credentials_are_not_a_second_way_to_sign_in(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"ACCOUNT_ID": "9900000", "SITE_ID": "743", "TOKEN": "t0ken", "USERNAME": "", "PASSWORD": ""}
    for name, value in given.items():
        monkeypatch.setenv(f"{PREFIX}BANDWIDTH__{name}", value)

    assert (Settings().bandwidth.account_id, Settings().bandwidth.username) == ("9900000", None)


def test_a_limit_must_name_one_of_the_carriers_limit_groups() -> None:
    """A misspelt group would limit nothing, and nobody would notice."""
    assert BandwidthSettings(limits={"ORDER": 1.6, "HISTORY": 10}).limits == {"ORDER": 1.6, "HISTORY": 10.0}
    with pytest.raises(ValidationError, match="ORDERS is none of DISCONNECT, HISTORY, INSERVICE_NPANXX, ORDER"):
        BandwidthSettings(limits={"ORDERS": 1.6})
    with pytest.raises(ValidationError, match="greater than 0"):
        CMSettings(limits={"ALL": 0})


def test_settings_survive_being_passed_to_a_child_process_as_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Maps too, which travel as JSON."""
    for name, value in CM_ENV.items():
        monkeypatch.setenv(f"{PREFIX}CM__{name}", value)
    given = Settings()
    for name in CM_ENV:
        monkeypatch.delenv(f"{PREFIX}CM__{name}")
    for name, value in as_environment(given).items():
        monkeypatch.setenv(name, value)

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
def test_cm_settings_that_cannot_work_are_refused(changes: dict[str, Any], says: str) -> None:
    """The message names the setting and never repeats the token."""
    good = {"account_guid": GUID, "product_token": TOKEN, "company_profiles": {"NLD:local": PROFILE}}
    CMSettings.model_validate(good)
    with pytest.raises(ValidationError, match=says) as refused:
        CMSettings.model_validate({**good, **changes})
    assert TOKEN not in str(refused.value.errors(include_input=False))


def test_the_taint_window_is_half_an_hour_and_a_minute_unless_set() -> None:
    settings = SwiftSettings()
    assert (settings.taint_window_s, settings.taint_margin_s) == (1800, 60)


@pytest.mark.parametrize("key", ["hush-hush-hush", "apik_", "", "apik_hush hush", " apik_hush", "Bearer apik_hush"])
def test_a_malformed_swift_key_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(ValidationError, match="api_key must start with apik_") as refused:
        SwiftSettings(api_key=SecretStr(key))
    assert key in {"", "apik_"} or key not in str(refused.value.errors(include_input=False))


@pytest.mark.parametrize(
    "changes", [{"taint_window_s": 0}, {"taint_margin_s": -1}, {"account_id": "a/b"}, {"base_url": "https://x/api"}]
)
def test_swift_settings_that_cannot_work_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(changes))):
        SwiftSettings.model_validate({"api_key": KEY, **changes})


def test_receiver_is_set_and_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}RECEIVER__PORT", "9000")
    monkeypatch.setenv(f"{PREFIX}RECEIVER__TRUSTED_PROXIES", "10.0.0.0/8")

    receiver = Settings().receiver

    assert (receiver.host, receiver.port, receiver.trusted_proxies) == ("127.0.0.1", 9000, "10.0.0.0/8")
    for name, value in (("PORT", "70000"), ("RATE_PER_S", "0"), ("DATABASE_CONNECTIONS", "0"), ("QUESTIONS_MAX", "0")):
        with monkeypatch.context() as wrong:
            wrong.setenv(f"{PREFIX}RECEIVER__{name}", value)
            with pytest.raises(ValidationError, match=name.lower()):
                Settings()


@pytest.mark.parametrize(
    "changes",
    [
        {"public_url": "numbers.example"},
        {"public_url": "ftp://numbers.example"},
        {"public_url": "https://numbers.example/?a=1"},
        {"public_url": "https://user:word@numbers.example"},
        {"notice_secret": "short"},
        {"notices_per_second": 0},
        {"notice_asks_every_s": 0},
    ],
)
def test_settings_of_notices_that_cannot_work_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(changes))):
        Settings.model_validate(changes)


def test_only_a_trusted_proxy_may_name_operators() -> None:
    with pytest.raises(ValidationError, match="trusted_proxies"):
        ReceiverSettings(board_user_header="X-Forwarded-User")
    assert ReceiverSettings(board_user_header="X-Forwarded-User", trusted_proxies="10.0.0.1").board


@pytest.mark.parametrize("url", ["https://numbers.example", "http://10.0.0.7:8000/", "https://numbers.example/a/b"])
def test_a_proxy_may_add_a_path_to_the_public_address(url: str) -> None:
    assert Settings(public_url=url).public_url == url


def test_bandwidths_notices_need_a_long_password_and_a_user_without_a_colon() -> None:
    """A colon ends the user in HTTP basic credentials."""
    for changes in ({"notice_password": "short"}, {"notice_username": "a:b"}, {"subscription_s": 60}):
        with pytest.raises(ValidationError, match=next(iter(changes))):
            BandwidthSettings.model_validate(changes)


def test_secrets_are_read_from_files_and_variables_go_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As docker and systemd hand them over; files of others and empty ones set nothing."""
    for name, text in {
        "NUMBER_ORDERS_BROKER_URL": "redis://:from-file@valkey/0\n",
        "NUMBER_ORDERS_DATABASE_URL": "postgresql://from-file@db/orders",
        "NUMBER_ORDERS_SWIFT__API_KEY": "apik_from_file",
        "NUMBER_ORDERS_NOTICE_SECRET": "",
        "postgres_owner_password": "of another process",
    }.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("NUMBER_ORDERS_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("NUMBER_ORDERS_DATABASE_URL", "postgresql://from-variable@db/orders")

    read = Settings()

    assert read.broker_url is not None
    assert read.broker_url.get_secret_value() == "redis://:from-file@valkey/0"
    assert read.database_url is not None
    assert "from-variable" in read.database_url.get_secret_value()
    assert read.swift.api_key is not None
    assert read.swift.api_key.get_secret_value() == "apik_from_file"
    assert read.notice_secret is None
    assert "from-file" not in repr(read)


@pytest.mark.parametrize(("cores", "children", "lanes"), [(1, 3, 2), (2, 3, 2), (4, 4, 3), (64, 8, 6)])
def test_worker_has_as_many_children_as_cores_within_bounds_and_keeps_some_from_lanes(
    monkeypatch: pytest.MonkeyPatch, cores: int, children: int, lanes: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    assert (Settings().children, Settings().lanes_together) == (children, lanes)


@pytest.mark.parametrize(("children", "lanes"), [(1, 1), (2, 1), (3, 2)])
def test_a_child_is_left_to_incoming_orders_wherever_there_are_two(children: int, lanes: int) -> None:
    assert Settings(children=children).lanes_together == lanes
