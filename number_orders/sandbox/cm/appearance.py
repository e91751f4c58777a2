"""What a number request looks like from outside, where its status and its ranges do not show at once how it goes.

Changes the stages of a request after they have been decided: ranges are shown while people review it and revised at its
end, its status flips and an end is taken back, ranges are shown only some time after the end.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from random import Random

from number_orders.sandbox.behaviour import Behaviour, random_duration, random_flips, random_listing
from number_orders.sandbox.cm.stages import COMPLETED, IN_PROGRESS, NEW, REJECTED, Range, Stage


def as_shown(stages: tuple[Stage, ...], spare: Range | None, behaviour: Behaviour, dice: Random) -> tuple[Stage, ...]:
    """Return the stages as CM.com shows them. A request that is never decided is shown as it is.

    With `spare` the request is revised: the ranges that are shown during its review lose one at the end, and in half of
    the cases get the spare one for it.
    """
    *earlier, last = stages
    if not last.is_final:
        return stages
    if spare is not None and last.ranges and earlier[-1].status == IN_PROGRESS:
        earlier[-1] = replace(earlier[-1], listed=last.ranges)
        last = _revised(last, spare, dice)
    flipped, delay = _flips(earlier[-1], last, behaviour, dice)
    return (*earlier, *flipped, *_listed_late(replace(last, at=last.at + delay), behaviour, dice))


def _revised(last: Stage, spare: Range, dice: Random) -> Stage:
    lost = dice.choice(last.ranges)
    kept = tuple(each for each in last.ranges if each is not lost)
    if dice.getrandbits(1):
        return replace(last, reason="One range was replaced.", ranges=(*kept, spare))
    status = last.status if kept else REJECTED
    return replace(last, status=status, reason="One range could not be assigned.", ranges=kept)


def _flips(before: Stage, last: Stage, behaviour: Behaviour, dice: Random) -> tuple[list[Stage], timedelta]:
    """Return the stages that a request shows instead of its end, and how much later the end is for them.

    Its status alternates; the last of the stages may be an end that falls short and is taken back.
    """
    flipped, delay, status = [], timedelta(), before.status
    for lasts in random_flips(behaviour, dice):
        status = NEW if status == IN_PROGRESS else IN_PROGRESS
        flipped.append(replace(before, at=last.at + delay, status=status))
        delay += lasts
    if flipped and last.ranges and dice.getrandbits(1):
        some = last.ranges[: len(last.ranges) // 2]
        status, reason = (COMPLETED, "Some numbers were assigned.") if some else (REJECTED, "Out of stock.")
        taken_back = Stage(last.at + delay, status, reason, listed=some, provisional=True)
        flipped.append(taken_back)
        delay += random_duration(behaviour.flip_s, dice)
    return flipped, delay


def _listed_late(last: Stage, behaviour: Behaviour, dice: Random) -> Iterator[Stage]:
    """Yield the end, and once more for each range that is shown only later."""
    for lag, listed in random_listing(last.ranges, behaviour, dice):
        yield replace(last, at=last.at + lag, listed=listed)
