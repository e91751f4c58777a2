"""Beat's clockwork: it sends what is due, and sleeps in between."""

import time
from typing import Any

import pytest
from celery import Celery
from celery.beat import ScheduleEntry, SchedulingError

from workers.scheduler import Ticker


class Counted(Ticker):
    """Ticks that go nowhere."""

    def __init__(self, app: Celery) -> None:
        self.sent: list[str] = []
        self.trouble: Exception | None = None
        super().__init__(app)

    def apply_async(self, entry: ScheduleEntry, *_: Any, **__: Any) -> None:
        self.sent.append(str(entry.task))
        if self.trouble:
            raise self.trouble


@pytest.fixture
def ticker() -> Counted:
    app = Celery("anybody", broker="memory://", set_as_current=False)
    app.conf.beat_schedule = {
        "often": {"task": "often", "schedule": 0.05},
        "rarely": {"task": "rarely", "schedule": 60},
    }
    return Counted(app)


def ticked(ticker: Counted, until: int) -> int:
    """Go on as beat does until so many ticks were sent, and return how often it looked."""
    looks = 0
    while len(ticker.sent) < until:
        looks += 1
        time.sleep(max(ticker.tick(), 0))
    return looks


def test_beat_sleeps_until_a_tick_is_due(ticker: Counted) -> None:
    """Celery's own looks some hundred times before each."""
    assert ticked(ticker, 10) < 10 * 5
    assert set(ticker.sent) == {"often"}


def test_a_tick_that_is_lost_is_followed_by_the_next(ticker: Counted) -> None:
    ticker.trouble = SchedulingError("the broker is away")
    ticked(ticker, 3)
    assert ticker.sent == ["often"] * 3
