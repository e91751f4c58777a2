"""Beat's scheduler. The schedule is part of the code (`config/schedule.py`), so beat stores nothing on disk."""

from typing import Any, Final

import structlog
from celery.beat import ScheduleEntry, Scheduler, SchedulingError

log = structlog.get_logger(__name__)

_LATE_S: Final = 0.001


class BeatScheduler(Scheduler):
    """Celery's in-memory scheduler without its busy waiting, and without a traceback for each tick it cannot send."""

    def apply_entry(self, entry: ScheduleEntry, producer: Any = None) -> None:
        """Send a tick; if the broker does not take it, log one line. Celery would log a traceback every second."""
        try:
            self.apply_async(entry, producer=producer, advance=False)
        except SchedulingError as fault:
            log.warning("tick_lost", task=entry.task, trouble=str(fault))

    def adjust(self, n: float, drift: float = _LATE_S) -> float:
        """Wake up 1 ms late. Celery wakes up 10 ms early and then spins until the tick is due."""
        adjusted: float = super().adjust(n, drift)  # type: ignore[arg-type]  # seconds; the stubs say int
        return adjusted
