"""What an order looks like from outside, where its status and its lists do not show at once how it goes.

Changes the stages of a timeline after the planner has decided them: a backorder loses a number of its first delivery,
a status flips and an end is taken back, numbers are in lists only some time after the end.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from random import Random

from number_orders.sandbox.bandwidth.outcomes import BACKORDERED, COMPLETE, FAILED, PARTIAL, RECEIVED, Stage
from number_orders.sandbox.bandwidth.vocabulary import error
from number_orders.sandbox.behaviour import Behaviour, random_duration, random_flips, random_listing


def as_shown(stages: tuple[Stage, ...], behaviour: Behaviour, dice: Random) -> tuple[Stage, ...]:
    """Return the stages as the carrier shows them. An order that never ends is shown as it is."""
    *earlier, last = stages
    if not earlier or not last.is_final:
        return stages
    last = _without_lost_number(earlier[-1], last, behaviour, dice)
    flipped, delay = _flips(earlier[-1], last, behaviour, dice)
    return (*earlier, *flipped, *_listed_late(replace(last, at=last.at + delay), behaviour, dice))


def _without_lost_number(before: Stage, last: Stage, behaviour: Behaviour, dice: Random) -> Stage:
    """Return the end of a backorder without one number of the first delivery, if it loses one."""
    if dice.random() >= behaviour.backorder_loses or not before.bought or last.status not in {COMPLETE, PARTIAL}:
        return last
    lost = dice.choice(before.bought)
    kept = tuple(e164 for e164 in last.bought if e164 != lost)
    return replace(last, status=PARTIAL if kept else FAILED, bought=kept, errors=(*last.errors, error(5005, e164=lost)))


def _flips(before: Stage, last: Stage, behaviour: Behaviour, dice: Random) -> tuple[list[Stage], timedelta]:
    """Return the stages that an order shows instead of its end, and how much later the end is for them.

    Its status alternates; the last of the stages may be an end that falls short and is taken back.
    """
    flipped, delay, status = [], timedelta(), before.status
    for lasts in random_flips(behaviour, dice):
        status = RECEIVED if status == BACKORDERED else BACKORDERED
        flipped.append(replace(before, at=last.at + delay, status=status))
        delay += lasts
    if flipped and last.bought and dice.getrandbits(1):
        some = tuple(e164 for e164 in last.bought if e164 in before.bought) or last.bought[: len(last.bought) // 2]
        taken_back = replace(flipped[-1], status=PARTIAL if some else FAILED, listed=some, provisional=True)
        flipped.append(replace(taken_back, at=last.at + delay))
        delay += random_duration(behaviour.flip_s, dice)
    return flipped, delay


def _listed_late(last: Stage, behaviour: Behaviour, dice: Random) -> Iterator[Stage]:
    """Yield the end, and once more for each number that is in the lists only later."""
    for lag, listed in random_listing(last.bought, behaviour, dice):
        yield replace(last, at=last.at + lag, listed=listed)
