"""Generates the demo's orders for Swift: purchases, hosted numbers, and removals that wait for the taint window.

Knows the geography and the magic inputs of Swift's sandbox (docs/sandbox.md). Expects no particular outcome.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from random import Random
from typing import Any, Final

from number_orders.sandbox.geography import CANADIAN_AREAS, ORDINARY_AREAS
from number_orders.sandbox.swift.access import SwiftAccount

Body = dict[str, Any]

_AREAS: Final = (*ORDINARY_AREAS, *CANADIAN_AREAS[:3])
_MAGIC: Final = ("808", "406", "605", "208", "802")
"""A part; refused; an unknown status; COMPLETED with half of the numbers; COMPLETED_WITH_ERRORS with all."""
_MMS_SHARE: Final = 0.3


@dataclass(frozen=True, slots=True)
class Removal:
    """A removal of numbers that other orders bring: sent when these have ended, or at once by name."""

    of: tuple[int, ...]
    """Indexes of these orders in `SwiftPlan.brought`."""
    when_tainted: str = "wait"
    at_once: bool = False


@dataclass(frozen=True, slots=True)
class SwiftPlan:
    """The orders that bring numbers, and the removals of some of these numbers."""

    brought: Sequence[Body]
    removals: Sequence[Removal]

    @property
    def orders(self) -> int:
        """How many orders that makes."""
        return len(self.brought) + len(self.removals)


def plan(orders: int, dice: Random) -> SwiftPlan:
    """Plan Swift's part of a demo of `orders` orders.

    Purchases are few: an account makes one at a time, since Swift does not say which order brought which number.
    """
    accounts = cycle((*SwiftAccount().sub_accounts, None))
    added = [_brought_along(serial, dice) for serial in range(_between(3, orders // 50, 8))]
    magic = [_purchase({"npa": area_code}, 4, next(accounts)) for area_code in _MAGIC]
    plain = [_plain(dice, next(accounts)) for _ in range(_between(2, orders // 30, 8))]
    first, last = _plain(dice, None), _plain(dice, None)
    brought = [first, *added, *magic, *plain, last]
    doubled, *others = range(len(brought) - 1 - len(plain), len(brought) - 1)
    removals = [
        *(Removal((1 + serial,), at_once=serial == 0) for serial in range(len(added))),
        Removal((doubled,)),
        Removal((doubled,)),  # two removals of the same numbers: one finds nothing
        *(Removal((one,)) for one in others[:4]),
        Removal((0, len(brought) - 1), when_tainted="split"),  # by then the first numbers are old enough
    ]
    return SwiftPlan(brought, removals)


def _between(least: int, wanted: int, most: int) -> int:
    return max(least, min(wanted, most))


def _plain(dice: Random, account: str | None) -> Body:
    place = dice.choice(dice.choice(_AREAS))
    by: Body = dice.choice(
        (
            {"npa": place.area_code},
            {"state": place.state, "rate_center": place.rate_center},
            {"lata": place.lata, "npa": place.area_code},
        )
    )
    return _purchase(by, dice.choice((1, 2, 3, 5)), account)


def _purchase(criteria: Body, quantity: int, account: str | None) -> Body:
    of = {"account": account} if account else {}
    return {"kind": "new_numbers", "criteria": criteria, "quantity": quantity, **of}


def _brought_along(serial: int, dice: Random) -> Body:
    area_code = dice.choice(ORDINARY_AREAS)[0].area_code
    numbers = [f"+1{area_code}96{serial % 10}1{dice.randint(0, 99):02}{digit}" for digit in range(dice.randint(1, 3))]
    options = {"mms_enabled": True} if dice.random() < _MMS_SHARE else {}
    return {"kind": "add_messaging_numbers", "numbers": numbers, "options": options}
