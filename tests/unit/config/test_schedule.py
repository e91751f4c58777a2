"""What beat sends is a task of ours, as often as the settings say, and what is switched off is not sent."""

import ast
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery.schedules import crontab
from pydantic import ValidationError

from config import schedule as module
from config.schedule import schedule
from config.settings import ScheduleSettings, Settings
from workers.apps import make_app

DAILY = {"reconcile": "reconcile_at", "coverage": "coverage_at"}


@pytest.mark.parametrize(("entry", "setting"), DAILY.items())
def test_what_is_daily_is_sent_at_its_time_of_day_or_not_at_all(entry: str, setting: str) -> None:
    given: dict[str, Any] = {setting: "23:05"}
    sent = schedule(Settings(**given))

    assert sent[entry]["schedule"] == crontab(hour=23, minute=5)
    given[setting] = "off"
    assert schedule(Settings(**given)).keys() == sent.keys() - {entry}


@pytest.mark.parametrize("setting", DAILY.values())
def test_the_setting_is_a_time_of_day_or_off(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    name = f"NUMBER_ORDERS_{setting.upper()}"
    for text in ("00:00", "23:59", "off"):
        monkeypatch.setenv(name, text)
        assert getattr(Settings(), setting) == text
    for text in ("24:00", "2:40", "never", "02:40:00"):
        monkeypatch.setenv(name, text)
        with pytest.raises(ValidationError):
            Settings()


def test_intervals_are_settings() -> None:
    own = {name: 7.0 + index for index, name in enumerate(ScheduleSettings.model_fields)}
    sent = schedule(Settings(schedule=ScheduleSettings(**own), archive_after_days=400))

    intervals = {entry["schedule"] for entry in sent.values() if isinstance(entry["schedule"], float)}
    assert set(own.values()) <= intervals


def test_nothing_is_archived_unless_it_is_set() -> None:
    assert "archive" not in schedule(Settings())
    assert Settings().archive_after is None
    assert "archive" in schedule(Settings(archive_after_days=90))
    assert Settings(archive_after_days=90).archive_after == timedelta(days=90)
    with pytest.raises(ValidationError):
        Settings(archive_after_days=7)


def test_everything_that_beat_sends_is_a_task() -> None:
    """A name that no worker knows would become a dead letter every night."""
    app = make_app(Settings(reconcile_at="02:40", archive_after_days=90))
    app.loader.import_default_modules()

    assert {entry["task"] for entry in app.conf.beat_schedule.values()} <= app.tasks.keys()
    assert app.conf.beat_schedule["reconcile"]["schedule"] == crontab(hour=2, minute=40)


def test_a_waiting_tick_never_outlives_its_interval_by_more_than_an_hour() -> None:
    """Ticks that no worker takes do not pile up."""
    for entry in schedule(Settings(archive_after_days=90)).values():
        assert 0 < entry["options"]["expiration"] <= 3600


def test_every_entry_says_why() -> None:
    """A comment stands above each: the schedule is read by people who wonder whether it can be changed."""
    source = Path(module.__file__).read_text(encoding="utf-8")
    lines = source.splitlines()
    ticks = [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_tick"
    ]

    assert len(ticks) == len(schedule(Settings(archive_after_days=90)))
    assert [lines[number - 1] for number in ticks if not lines[number - 2].strip().startswith("#")] == []
