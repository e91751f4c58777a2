"""What beat sends is a task of ours, and the nightly reconciliation can be moved or switched off."""

import pytest
from celery.schedules import crontab
from pydantic import ValidationError

from config.schedule import schedule
from config.settings import Settings
from workers.apps import make_app


def test_the_reconciliation_is_sent_at_its_time_of_day() -> None:
    entry = schedule("23:05")["reconcile"]

    assert (entry["task"], entry["schedule"]) == ("orders.reconcile", crontab(hour=23, minute=5))
    assert "reconcile" not in schedule("off")
    assert schedule("off").keys() == schedule("23:05").keys() - {"reconcile"}


def test_the_setting_is_a_time_of_day_or_off(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().reconcile_at == "02:40"
    for text in ("00:00", "23:59", "off"):
        monkeypatch.setenv("NUMBER_ORDERS_RECONCILE_AT", text)
        assert Settings().reconcile_at == text
    for text in ("24:00", "2:40", "never", "02:40:00"):
        monkeypatch.setenv("NUMBER_ORDERS_RECONCILE_AT", text)
        with pytest.raises(ValidationError):
            Settings()


def test_everything_that_beat_sends_is_a_task() -> None:
    """A name that no worker knows would become a dead letter every night."""
    app = make_app(Settings(reconcile_at="02:40"))
    app.loader.import_default_modules()

    assert {entry["task"] for entry in app.conf.beat_schedule.values()} <= app.tasks.keys()
    assert app.conf.beat_schedule["reconcile"]["schedule"] == crontab(hour=2, minute=40)
