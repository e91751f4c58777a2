"""Beat sends what is due and sleeps in between."""

import time
from typing import Any

import pytest
from celery import Celery
from celery.beat import ScheduleEntry, SchedulingError

from workers.scheduler import BeatScheduler, SteadyEntry, steady_now


class RecordingScheduler(BeatScheduler):
    """Records ticks instead of sending them."""

    def __init__(self, app: Celery) -> None:
        self.sent: list[str] = []
        self.fault: Exception | None = None
        super().__init__(app)

    def apply_async(self, entry: ScheduleEntry, *_: Any, **__: Any) -> None:
        self.sent.append(str(entry.task))
        if self.fault:
            raise self.fault


@pytest.fixture
def scheduler() -> RecordingScheduler:
    app = Celery("anybody", broker="memory://", set_as_current=False)
    app.conf.beat_schedule = {
        "often": {"task": "often", "schedule": 0.05},
        "rarely": {"task": "rarely", "schedule": 60},
    }
    return RecordingScheduler(app)


def run_until(scheduler: RecordingScheduler, ticks: int) -> int:
    """Run as beat does until so many ticks were sent; return how often the scheduler was asked."""
    asked = 0
    while len(scheduler.sent) < ticks:
        asked += 1
        time.sleep(max(scheduler.tick(), 0))
    return asked


def test_beat_sleeps_until_a_tick_is_due(scheduler: RecordingScheduler) -> None:
    """Celery's own scheduler is asked some hundred times before each tick."""
    assert run_until(scheduler, 10) < 10 * 5
    assert set(scheduler.sent) == {"often"}


def test_beat_goes_on_after_a_tick_that_it_could_not_send(scheduler: RecordingScheduler) -> None:
    scheduler.fault = SchedulingError("the broker is away")
    run_until(scheduler, 3)
    assert scheduler.sent == ["often"] * 3


def test_every_entry_goes_by_the_time_that_has_passed(scheduler: RecordingScheduler) -> None:
    """Also those that follow a tick; tests/acceptance/test_clocks.py sets the clock of a real beat back."""
    run_until(scheduler, 4)
    entries: Any = list(scheduler.schedule.values())
    assert [entry.schedule.nowfun for entry in entries] == [steady_now] * 2
    assert all(isinstance(entry, SteadyEntry) for entry in entries)
