"""Shift the wall clock of a Python process by `TEST_CLOCK_AHEAD_S` seconds; Python imports this at its start.

With `TEST_CLOCK_SHIFTS_WHEN` the clock is right until a file of that name exists.

Put this folder on `PYTHONPATH`. Everything of ours, Celery's and kombu's that asks for the time of day asks `time` or
`datetime`. The monotonic clock is left alone: on a machine whose clock is wrong it is right.
"""

import datetime as dt
import os
import time
from typing import Any

AHEAD_S = float(os.environ.get("TEST_CLOCK_AHEAD_S", "0"))

SWITCH = os.environ.get("TEST_CLOCK_SHIFTS_WHEN")

_true_time, _true_time_ns = time.time, time.time_ns
_TrueDatetime = dt.datetime


class _AlsoTrueOnes(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _TrueDatetime)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, _TrueDatetime)


class _ShiftedDatetime(_TrueDatetime, metaclass=_AlsoTrueOnes):
    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return cls.fromtimestamp(time.time(), tz)

    @classmethod
    def utcnow(cls) -> Any:
        return cls.fromtimestamp(time.time(), dt.UTC).replace(tzinfo=None)

    @classmethod
    def today(cls) -> Any:
        return cls.fromtimestamp(time.time())


def _ahead_s() -> float:
    return AHEAD_S if SWITCH is None or os.path.exists(SWITCH) else 0.0  # noqa: PTH110  nothing is imported here


if AHEAD_S:
    time.time = lambda: _true_time() + _ahead_s()
    time.time_ns = lambda: _true_time_ns() + int(_ahead_s() * 1e9)
    vars(dt)["datetime"] = _ShiftedDatetime
