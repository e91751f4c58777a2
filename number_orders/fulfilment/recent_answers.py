"""Answers of the ledger that a process keeps for some seconds."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Answer(Generic[Value]):
    """An answer, and how long it holds, on the clock of this process."""

    value: Value
    asked_at: float
    until: float


class RecentAnswers(Generic[Key, Value]):
    """Keeps the latest answers, each for a while; of too many the oldest goes."""

    def __init__(self, *, lasts_s: float, clock: Callable[[], float], count_max: int = 10_000) -> None:
        self._lasts_s = lasts_s
        self._clock = clock
        self._count_max = count_max
        self._answers: OrderedDict[Key, Answer[Value]] = OrderedDict()

    def get(self, key: Key) -> Answer[Value] | None:
        """Return the answer, if it still holds."""
        answer = self._answers.get(key)
        return answer if answer is not None and self._clock() < answer.until else None

    def keep(self, key: Key, value: Value, *, lasts_s: float | None = None) -> None:
        """Keep an answer, for at most `lasts_s` seconds if that is given."""
        now = self._clock()
        lasts = self._lasts_s if lasts_s is None else min(lasts_s, self._lasts_s)
        self._answers.pop(key, None)
        self._answers[key] = Answer(value, now, now + lasts)
        if len(self._answers) > self._count_max:
            self._answers.popitem(last=False)
