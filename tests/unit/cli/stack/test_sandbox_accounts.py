"""The sandbox accounts are complete: the settings accept them, and they configure every carrier."""

from config.settings import Settings, SwiftSettings
from number_orders.cli.stack.sandbox_accounts import sandbox_settings, sandbox_settle_time
from workers.carriers import CARRIERS, configured_carriers

URL = "http://127.0.0.1:8085"


def test_sandbox_accounts_configure_every_carrier() -> None:
    carriers = configured_carriers(Settings.model_validate(sandbox_settings(URL)))
    assert [*carriers] == [entry.name for entry in CARRIERS]
    assert {carrier.settings.base_url for carrier in carriers.values()} == {URL}


def test_a_sandbox_settles_within_seconds_unless_a_time_is_set() -> None:
    """Its lists lag by seconds."""
    assert sandbox_settle_time(SwiftSettings()) == {"settle_s": 10.0}
    assert sandbox_settle_time(SwiftSettings(settle_s=600)) == {}
