"""Settings become each carrier's policy: how often it is asked, and what happens to an order in doubt."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from config.settings import CMSettings, Settings, SwiftSettings, WebhookSettings
from number_orders.fulfilment.webhooks.addresses import AddressRules
from number_orders.fulfilment.webhooks.delivery import WebhookPolicy
from workers.bootstrap import address_rules, policy, webhook_policy


def test_cm_is_asked_slowly_and_a_person_decides_about_an_order_in_doubt() -> None:
    """People at CM.com decide about orders, and an order that is not listed there is not sent again."""
    cm = policy(CMSettings())

    assert (cm.ask_first, cm.ask_max, cm.slow_ask_max) == (
        timedelta(seconds=30),
        timedelta(minutes=15),
        timedelta(hours=1),
    )
    assert cm.overdue_after == timedelta(days=3)
    assert not cm.resend_when_absent


def test_swift_orders_that_are_not_listed_are_sent_again() -> None:
    assert policy(SwiftSettings()).resend_when_absent


def test_the_number_of_lost_answers_before_parking_is_set_per_carrier(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBER_ORDERS_BANDWIDTH__LOSSES_MAX", "5")
    settings = Settings()

    assert (policy(settings.bandwidth).losses_max, policy(settings.cm).losses_max) == (5, 3)


def test_webhook_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists as JSON; names as DNS compares them."""
    given = {
        "PORTS": "[443, 9443]",
        "ALLOWED_NETWORKS": '["10.20.0.0/16", "fd00::/8"]',
        "ALLOWED_HOSTS": '["CRM.internal."]',
        "TIMEOUT_S": "3",
        "PER_HOST": "2",
        "RETRY_FOR_S": "3600",
    }
    for name, value in given.items():
        monkeypatch.setenv(f"NUMBER_ORDERS_WEBHOOKS__{name}", value)
    settings = Settings().webhooks

    rules, sends = address_rules(settings), webhook_policy(settings)

    assert list(rules.faults("https://10.20.3.4:9443/")) == list(rules.faults("https://crm.internal/")) == []
    assert list(rules.faults("https://crm.example:8443/")) != []
    assert rules.allows_address("fd12::1")
    assert (sends.timeout, sends.per_host, sends.retry_for) == (timedelta(seconds=3), 2, timedelta(hours=1))


def test_documents_are_tried_for_three_days_unless_set() -> None:
    """The defaults of the settings are those of the code that uses them."""
    assert webhook_policy(WebhookSettings()) == WebhookPolicy()
    assert address_rules(WebhookSettings()) == AddressRules()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORTS", "[0]"),
        ("PORTS", "443"),
        ("ALLOWED_NETWORKS", '["10.20.0.1/16"]'),
        ("ALLOWED_NETWORKS", '["crm.internal"]'),
        ("CA_FILE", "/no/such/file.pem"),
        ("TIMEOUT_S", "0"),
        ("TIMEOUT_S", "600"),
        ("PER_HOST", "0"),
    ],
)
def test_webhook_settings_that_cannot_work_are_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"NUMBER_ORDERS_WEBHOOKS__{name}", value)
    with pytest.raises(ValidationError, match="webhooks"):
        Settings()
