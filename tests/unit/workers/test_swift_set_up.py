"""Which settings set Swift up, and which are refused."""

from datetime import timedelta

import pytest
from pydantic import SecretStr, ValidationError

from config.settings import Settings, SwiftSettings
from number_orders.carriers.swift.adapter import Swift
from number_orders.carriers.swift.taint import Taint
from number_orders.orders.model import CarrierName
from workers.bootstrap import policy
from workers.carriers import set_up

KEY = "apik_hush-hush-hush"
SWIFT = CarrierName("swift")


def test_a_key_alone_sets_it_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBER_ORDERS_SWIFT__API_KEY", KEY)
    monkeypatch.setenv("NUMBER_ORDERS_SWIFT__ACCOUNT_ID", "")  # as a compose file passes on what nobody filled in

    carrier = set_up(Settings())[SWIFT]

    assert isinstance(carrier.adapter, Swift)
    assert carrier.settings.base_url == "https://api.swift-api.com"
    assert KEY not in repr(carrier)


def test_the_window_and_its_margin_are_handed_down(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"API_KEY": KEY, "TAINT_WINDOW_S": "3", "TAINT_MARGIN_S": "0.5", "ACCOUNT_ID": "01K3"}.items():
        monkeypatch.setenv(f"NUMBER_ORDERS_SWIFT__{name}", value)

    adapter = set_up(Settings())[SWIFT].adapter

    assert isinstance(adapter, Swift)
    assert adapter._taint == Taint(timedelta(seconds=3), timedelta(seconds=0.5))
    assert adapter._account_id == "01K3"


def test_the_window_is_half_an_hour_and_a_minute_unless_set() -> None:
    settings = SwiftSettings()
    assert (settings.taint_window_s, settings.taint_margin_s) == (1800, 60)
    assert policy(settings).resend_when_absent


@pytest.mark.parametrize("key", ["hush-hush-hush", "apik_", "", "apik_hush hush", " apik_hush", "Bearer apik_hush"])
def test_what_is_no_key_is_refused_at_the_start_and_not_repeated(key: str) -> None:
    with pytest.raises(ValidationError, match="api_key must start with apik_") as refused:
        SwiftSettings(api_key=SecretStr(key))
    assert key in {"", "apik_"} or key not in str(refused.value.errors(include_input=False))


@pytest.mark.parametrize(
    "changes", [{"taint_window_s": 0}, {"taint_margin_s": -1}, {"account_id": "a/b"}, {"base_url": "https://x/api"}]
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(changes))):
        SwiftSettings.model_validate({"api_key": KEY, **changes})
