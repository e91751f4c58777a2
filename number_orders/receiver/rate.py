"""Token buckets: how many requests each producer may make in this process."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RequestRate:
    """Requests a second on average, and how many may come at once after a rest."""

    per_s: float
    burst: float


@dataclass(slots=True)
class _Bucket:
    left: float
    filled_at: float


class TokenBuckets:
    """One bucket a name."""

    def __init__(self, rate: RequestRate, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def take(self, name: str, cost: float = 1) -> float:
        """Take `cost` tokens and return 0, or take none and return the seconds until they are there.

        A cost above the burst waits for a full bucket.
        """
        rate, now = self._rate, self._clock()
        bucket = self._buckets.setdefault(name, _Bucket(rate.burst, now))
        bucket.left = min(rate.burst, bucket.left + (now - bucket.filled_at) * rate.per_s)
        bucket.filled_at = now
        needed = min(cost, rate.burst)
        if bucket.left < needed:
            return (needed - bucket.left) / rate.per_s
        bucket.left -= needed
        return 0
