"""Beat's schedule: it stands in the code, so beat has nothing to remember and nothing to corrupt."""

from typing import Any, Final

import structlog
from celery.beat import ScheduleEntry, Scheduler, SchedulingError

log = structlog.get_logger(__name__)

_LATE_S: Final = 0.001


class Ticker(Scheduler):
    """Celery's plain scheduler, which neither spins nor makes much of a tick that the broker does not take."""

    def apply_entry(self, entry: ScheduleEntry, producer: Any = None) -> None:
        """Send a tick; one that is lost costs a line, not a trace a second."""
        try:
            self.apply_async(entry, producer=producer, advance=False)
        except SchedulingError as trouble:
            log.warning("tick_lost", task=entry.task, trouble=str(trouble))

    def adjust(self, n: float, drift: float = _LATE_S) -> float:
        """Wake a moment late: Celery wakes 10 ms early, and spins until its time has come."""
        adjusted: float = super().adjust(n, drift)  # type: ignore[arg-type]  # seconds, whatever the stubs say
        return adjusted
