"""Settings survive a child's environment, and the child gets no other setting."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from config.settings import BandwidthSettings, OnNotListed, Settings, WebhookSettings
from number_orders.cli.stack.environment import as_environment, child_environment, given_settings
from number_orders.cli.stack.readiness import StackError


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in child_environment(Settings.model_construct()):
        assert not name.startswith("NUMBER_ORDERS_")
    for name in as_environment(Settings()):
        monkeypatch.delenv(name)


def test_settings_survive_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings.model_construct(
        database_url=SecretStr("postgresql://user:p%40ss@host/ledger"),
        var_dir=Path("/somewhere/var"),
        children=3,
        log_json=False,
        flower_password=SecretStr("with,comma and space"),
        bandwidth=BandwidthSettings(
            account_id="9900000",
            site_id="743",
            client_id="client",
            client_secret=SecretStr("s3cret"),
            doubt_patience_s=2.5,
            on_not_listed=OnNotListed.PARK,
        ),
    )

    for name, text in as_environment(settings).items():
        monkeypatch.setenv(name, text)

    assert given_settings() == settings


def test_defaults_are_left_out() -> None:
    assert as_environment(Settings.model_construct()) == {}


def test_directory_is_absolute() -> None:
    environment = as_environment(Settings.model_construct(var_dir=Path("elsewhere")))

    assert environment == {"NUMBER_ORDERS_VAR_DIR": str(Path.cwd() / "elsewhere")}


def test_child_gets_only_the_given_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBER_ORDERS_BANDWIDTH__TOKEN", "real money")
    monkeypatch.setenv("number_orders_bandwidth__account_id", "real account")
    monkeypatch.setenv("SOMETHING_ELSE", "stays")

    environment = child_environment(Settings.model_construct(children=2))

    assert {name for name in environment if name.upper().startswith("NUMBER_ORDERS_")} == {"NUMBER_ORDERS_CHILDREN"}
    assert environment["SOMETHING_ELSE"] == "stays"


def test_unreadable_settings_are_named_and_their_values_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBER_ORDERS_CHILDREN", "a-secret-by-mistake")

    with pytest.raises(StackError) as refused:
        given_settings()

    assert "NUMBER_ORDERS_CHILDREN" in refused.value.message
    assert "a-secret-by-mistake" not in refused.value.message


def test_lists_are_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ports, networks and names, as the settings read them."""
    lists = {
        "ports": frozenset({443, 9443}),
        "allowed_networks": ("10.20.0.0/16", "fd00::/8"),
        "allowed_hosts": frozenset({"crm.internal", "shop.internal"}),
    }
    settings = Settings(webhooks=WebhookSettings.model_validate(lists))
    for name, value in as_environment(settings).items():
        monkeypatch.setenv(name, value)
    assert Settings().webhooks == settings.webhooks
