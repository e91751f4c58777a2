"""Log of requests to the sandbox carriers: counts, the busiest second, the last requests of each order."""

from collections import Counter, OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from number_orders.sandbox.clock import Clock, iso

_REFERENCES_KEPT: Final = 20_000


@dataclass(slots=True)
class _RequestCount:
    """Number of requests of one kind: in total, in the current second, and the most in any second."""

    total: int = 0
    second: int = 0
    in_second: int = 0
    peak: int = 0

    def count(self, second: int) -> None:
        if second != self.second:
            self.second, self.in_second = second, 0
        self.total += 1
        self.in_second += 1
        self.peak = max(self.peak, self.in_second)

    def as_json(self) -> dict[str, int]:
        return {"total": self.total, "peak_per_second": self.peak}


@dataclass(slots=True)
class LoggedRequest:
    """One request and its answer; `status` is None when no answer was sent."""

    at: datetime
    method: str
    path: str
    status: int | None = None
    fault: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the request as the report shows it."""
        return {
            "at": iso(self.at),
            "method": self.method,
            "path": self.path,
            "status": self.status,
            "fault": self.fault,
        }


def _counts_as_json(counts: Mapping[str, _RequestCount]) -> dict[str, dict[str, int]]:
    return {route: count.as_json() for route, count in sorted(counts.items())}


class RequestLog:
    """Counts every request and keeps the last few of each customer order id."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._all = _RequestCount()
        self._by_route: dict[str, _RequestCount] = {}
        self._by_carrier: dict[str, dict[str, _RequestCount]] = {}
        self._statuses: Counter[str] = Counter()
        self._by_reference: OrderedDict[str, deque[LoggedRequest]] = OrderedDict()

    def start(self, carrier: str, method: str, template: str, path: str) -> LoggedRequest:
        """Count a request when it arrives, before any fault applies."""
        now = self._clock()
        second = int(now.timestamp())
        self._all.count(second)
        route = f"{method} {template}"
        self._by_route.setdefault(route, _RequestCount()).count(second)
        self._by_carrier.setdefault(carrier, {}).setdefault(route, _RequestCount()).count(second)
        return LoggedRequest(now, method, path)

    def finish(self, logged: LoggedRequest, reference: str | None, keep: int) -> None:
        """Record the answer and file the request under its reference."""
        self._statuses[str(logged.status or "no answer")] += 1
        if reference is None or keep == 0:
            return
        entries = self._by_reference.get(reference)
        if entries is None or entries.maxlen != keep:
            entries = self._by_reference[reference] = deque(entries or (), maxlen=keep)
        entries.append(logged)
        if len(self._by_reference) > _REFERENCES_KEPT:
            self._by_reference.popitem(last=False)

    def requests_as_json(self) -> dict[str, Any]:
        """Return counts by method and path template, over all carriers and by carrier, and by status."""
        return {
            **self._all.as_json(),
            "by_route": _counts_as_json(self._by_route),
            "by_carrier": {carrier: _counts_as_json(counts) for carrier, counts in sorted(self._by_carrier.items())},
            "by_status": dict(sorted(self._statuses.items())),
        }

    def log_as_json(self, since: datetime | None) -> dict[str, list[dict[str, Any]]]:
        """Return the last requests of every customer order id."""
        logs = {
            reference: [logged.as_json() for logged in entries if since is None or logged.at >= since]
            for reference, entries in self._by_reference.items()
        }
        return {reference: entries for reference, entries in logs.items() if entries}
