"""Token buckets: how many requests each producer, and each carrier that sends notices, may make in this process."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RequestRate:
    """Requests a second on average, and how many may come at once after a rest."""

    per_s: float
    burst: float


class TokenBucket:
    """One bucket, full at first."""

    def __init__(self, rate: RequestRate, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._clock = clock
        self._left = rate.burst
        self._filled_at = clock()

    def take(self, cost: float = 1) -> float:
        """Take `cost` tokens and return 0, or take none and return the seconds until they are there.

        A cost above the burst waits for a full bucket.
        """
        rate, now = self._rate, self._clock()
        self._left = min(rate.burst, self._left + (now - self._filled_at) * rate.per_s)
        self._filled_at = now
        needed = min(cost, rate.burst)
        if self._left < needed:
            return (needed - self._left) / rate.per_s
        self._left -= needed
        return 0

    def give_back(self) -> None:
        """Put back one token that was taken and not used."""
        self._left += 1

    def admit(self) -> bool:
        """Take one token; return whether there was one."""
        return self.take() == 0


class TokenBuckets:
    """One bucket a name."""

    def __init__(self, rate: RequestRate, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._clock = clock
        self._buckets: dict[str, TokenBucket] = {}

    def take(self, name: str, cost: float = 1) -> float:
        """Take `cost` tokens of this name's bucket, as `TokenBucket.take` does."""
        if name not in self._buckets:
            self._buckets[name] = TokenBucket(self._rate, self._clock)
        return self._buckets[name].take(cost)
