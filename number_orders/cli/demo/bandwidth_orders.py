"""Generates the demo's orders for Bandwidth: every type of order and every outcome.

Knows the geography and the magic inputs of Bandwidth's sandbox (docs/sandbox.md). Expects no particular outcome.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count, cycle, islice
from random import Random
from typing import Any, Final

from number_orders.sandbox.geography import MAGIC_AREAS, ORDINARY_AREAS, THIN_AREA, Place
from number_orders.sandbox.inventory import Inventory, StockPlan

_MAGIC_SHARE: Final = 0.035
"""Share of all orders for each magic outcome by criteria, and again for each by named numbers."""
_LAST_DIGITS: Final = {"808": "9901", "406": "9902", "307": "9903", "605": "9906", "208": "9907", "802": "9908"}
"""Magic area codes of orders that end, and the last four digits that give a named number the same outcome."""

Body = dict[str, Any]


def bodies(orders: int, dice: Random) -> list[Body]:
    """Return `orders` order bodies, those with unusual outcomes first."""
    named = _names()
    special = list(_special(max(1, int(orders * _MAGIC_SHARE)), dice, named))
    plain = _Types(dice, named).endless()
    return [*special, *islice(plain, max(0, orders - len(special)))][:orders]


def ordinary(orders: int, dice: Random) -> list[Body]:
    """Return `orders` orders that the sandbox fills completely: named numbers that no other order wants."""
    return [{"numbers": [f"+1{_area(dice)}3{12 + serial:02}1{dice.randint(0, 999):03}"]} for serial in range(orders)]


def _area(dice: Random) -> str:
    return dice.choice(ORDINARY_AREAS)[0].area_code


def _special(each: int, dice: Random, named: Iterator[str]) -> Iterator[Body]:
    """Yield orders with unusual outcomes: magic inputs, too little stock, or two orders for one number."""
    for area_code, digits in _LAST_DIGITS.items():
        place = next(towns[0] for towns in MAGIC_AREAS if towns[0].area_code == area_code)
        for number_of_same in range(each):
            by_place = {"npa": area_code} if number_of_same % 2 == 0 else {"city": place.city, "state": place.state}
            yield {"criteria": by_place, "quantity": dice.randint(2, 8)}
            yield {"numbers": [*islice(named, dice.randint(1, 3)), next(named)[:-4] + digits]}
    thin = {"npa": THIN_AREA[0].area_code}
    yield from ({"criteria": thin, "quantity": 2, "allow_partial": True} for _ in range(4))
    for wanted in islice(named, 2):
        yield from ({"numbers": [wanted, next(named)], "allow_partial": True} for _ in range(2))
    yield {"criteria": {"npa": "919"}, "quantity": 1, "options": {"site_id": "744"}}  # the carrier refuses: 5020


def _names() -> Iterator[str]:
    """Yield numbers that are outside the stock and not magic, so that only an order by name gets them.

    Each of the first thousands has its own prefix.
    """
    codes = [code for code in range(320, 900) if code % 100 != 11 and code != 555]  # noqa: PLR2004  not given to anybody
    for serial in count():
        area_code = ORDINARY_AREAS[serial % len(ORDINARY_AREAS)][0].area_code
        yield f"+1{area_code}{codes[serial // len(ORDINARY_AREAS) % len(codes)]}0{serial % 1000:03}"


class _Types:
    """Ordinary orders, one type after the other."""

    def __init__(self, dice: Random, named: Iterator[str]) -> None:
        self._dice = dice
        self._named = named
        self._stock = [e164 for e164 in Inventory(StockPlan()).all_free() if e164[2:5] in _ordinary_codes()]

    def endless(self) -> Iterator[Body]:
        """Yield one order of each type, endlessly."""
        types: Sequence[Callable[[], Body]] = (
            self._numbers,
            lambda: self._near(("npa",)),
            lambda: self._near(("rate_center", "state")),
            self._exchange,
            self._thousands_block,
            lambda: self._near(("state",)),
            lambda: self._near(("city", "state")),
            lambda: self._near(("zip",)),
            lambda: self._near(("lata",)),
            lambda: self._near(("npa", "rate_center", "state")),
            self._local_vanity,
            self._toll_free,
            self._toll_free_vanity,
        )
        for make in cycle(types):
            yield make()

    def _numbers(self) -> Body:
        return {"numbers": list(islice(self._named, self._dice.randint(1, 6)))}

    def _near(self, fields: Sequence[str]) -> Body:
        place = self._dice.choice(self._dice.choice(ORDINARY_AREAS))
        known = _criteria(place)
        return {"criteria": {field: known[field] for field in fields}, "quantity": self._few()}

    def _exchange(self) -> Body:
        number = self._dice.choice(self._stock)
        return {"criteria": {"npa": number[2:5], "nxx": number[5:8]}, "quantity": self._few()}

    def _thousands_block(self) -> Body:
        number = self._dice.choice(self._stock)
        criteria = {"npa": number[2:5], "nxx": number[5:8], "thousands_block": number[8]}
        return {"criteria": criteria, "quantity": self._dice.randint(1, 4)}

    def _local_vanity(self) -> Body:
        npa = self._dice.choice(ORDINARY_AREAS)[0].area_code
        word = self._dice.choice(("CALL", "HOME", "SALE", "TAXI"))
        return {"criteria": {"npa": npa, "vanity": word, "vanity_at_end": True}, "quantity": 1}

    def _toll_free(self) -> Body:
        return {"criteria": {"toll_free_pattern": self._dice.choice(("8**", "83*", "88*"))}, "quantity": self._few()}

    def _toll_free_vanity(self) -> Body:
        word = self._dice.choice(("FLOWERS", "TICKETS"))
        return {"criteria": {"number_type": "toll_free", "vanity": word}, "quantity": 1}

    def _few(self) -> int:
        return self._dice.choice((1, 1, 2, 2, 3, 4, 5, 8, 10, 20))


def _ordinary_codes() -> frozenset[str]:
    return frozenset(towns[0].area_code for towns in ORDINARY_AREAS)


def _criteria(place: Place) -> Mapping[str, str]:
    return {
        "npa": place.area_code,
        "rate_center": place.rate_center,
        "city": place.city,
        "state": place.state,
        "zip": place.zip_code,
        "lata": place.lata,
    }
