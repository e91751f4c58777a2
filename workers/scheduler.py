"""Beat's scheduler and its answers. The schedule is part of the code (`config/schedule.py`), so nothing is stored.

Celery's scheduler goes by the clock of the machine. This one goes by the time that has passed, so beat goes on at once
when that clock is set back.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import redis
import structlog
from celery import beat
from celery.beat import ScheduleEntry, Scheduler, SchedulingError
from kombu.transport import redis as kombu_redis

from config.queues import TICKS_WAITING_MAX
from workers.health import HEALTH_COMMAND, beat_health

log = structlog.get_logger(__name__)

_LATE_S: Final = 0.001
_STARTED_AT: Final = datetime.fromtimestamp(time.time(), UTC)
_STARTED_S: Final = time.monotonic()


def steady_now() -> datetime:
    """Return a time that goes on evenly, however the machine's clock is set meanwhile."""
    return _STARTED_AT + timedelta(seconds=time.monotonic() - _STARTED_S)


class SteadyEntry(ScheduleEntry):
    """An entry of the schedule that is due by `steady_now`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        schedule: Any = self.schedule  # the stubs do not know its function for the time
        if schedule.nowfun is not steady_now:
            schedule.nowfun = steady_now
            self.last_run_at = steady_now()


class BeatScheduler(Scheduler):
    """Celery's in-memory scheduler without its busy waiting, and without a traceback for each tick it cannot send."""

    Entry = SteadyEntry

    def apply_entry(self, entry: ScheduleEntry, producer: Any = None) -> None:
        """Send a tick, unless many wait already because no worker takes them.

        If the broker does not take it, log one line. Celery would log a traceback every second.
        """
        if producer is not None and _waiting(producer.channel, entry) >= TICKS_WAITING_MAX:
            return
        try:
            self.apply_async(entry, producer=producer, advance=False)
        except SchedulingError as fault:
            log.warning("tick_lost", task=entry.task, trouble=str(fault))

    def adjust(self, n: float, drift: float = _LATE_S) -> float:
        """Wake up 1 ms late. Celery wakes up 10 ms early and then spins until the tick is due."""
        adjusted: float = super().adjust(n, drift)  # type: ignore[arg-type]  # seconds; the stubs say int
        return adjusted


class HealthMailbox(beat.BeatPidbox):  # type: ignore[misc,name-defined]  # missing in the stubs
    """Beat's mailbox, which answers `ping`, with the doctor's question added."""

    def __init__(self, service: Any) -> None:
        super().__init__(service)
        self.node.handlers[HEALTH_COMMAND] = beat_health


def install() -> None:
    """Make beat use this mailbox: Celery has no setting for it."""
    beat.BeatPidbox = HealthMailbox  # type: ignore[attr-defined]


def _waiting(channel: Any, entry: ScheduleEntry) -> int:
    """Return how many messages wait in a tick's queue at a Redis; 0 if it is not known, or if the broker drops them."""
    options: dict[str, Any] = entry.options or {}
    if not isinstance(channel, kombu_redis.Channel) or channel.connection is None:
        return 0  # a channel whose broker was lost is closed, and sending opens another
    try:
        return int(channel._size(options["queue"]))  # noqa: SLF001  as `kombu` counts
    except (redis.RedisError, OSError):
        return 0  # sending will say what is wrong
