"""Settings become each carrier's policy: how often it is asked, and what happens to an order in doubt."""

from datetime import timedelta

import pytest

from config.settings import CMSettings, Settings, SwiftSettings
from workers.bootstrap import policy


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
