"""A sandbox carrier's stock of numbers: generated from a seed, and finite.

Knows numbers, their locations and whether they are free. Knows nothing of orders: a number that is taken stays taken
until it is released, and taking it twice is an error here, so that no number is sold twice unnoticed.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain, cycle, islice
from random import Random
from typing import ClassVar, Final, Literal

from pydantic import ConfigDict

from number_orders.sandbox import geography
from number_orders.sandbox.geography import ForeignRange, Place

Pool = Literal["local", "toll_free", "foreign"]

KEYPAD: Final = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "22233344455566677778889999")
_NANP: Final = re.compile(r"\+1[2-9]\d{2}[2-9]\d{6}")
_ABROAD: Final = re.compile(r"\+[2-9]\d{7,14}")
# Lines 2000-8999 are stock, 1000-1999 arrive later for backorders, 99xx are magic (fates.py).
_STOCK_LINES: Final = range(2000, 9000)
_ARRIVING_LINES: Final = range(1000, 2000)
_VANITY_LINES: Final = ("CALL", "HOME", "SALE", "TAXI")
_VANITY_TOLL_FREE: Final = ("FLOWERS", "TICKETS")
_NOT_SOLD: Final = {555, 700}
_FOREIGN_CODE_LENGTH: Final = len("+44")  # every country in geography.py has a calling code of two digits
_SUBSCRIBER_DIGITS: Final = 7
_NPA_DIGITS: Final = 3
_CRITERIA_KEPT: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StockPlan:
    """How many numbers a carrier has at the start."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    seed: int = 7
    exchanges_per_area: int = 8
    lines_per_exchange: int = 180
    toll_free_per_code: int = 300
    foreign_per_range: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class StockRanges:
    """Which part of the numbering plan a carrier sells from. No exchange belongs to two carriers."""

    areas: tuple[tuple[Place, ...], ...]
    exchange_codes: tuple[str, ...]
    thin_exchange: str
    raleigh: tuple[str, tuple[str, ...]] | None = None
    toll_free_codes: tuple[str, ...] = ()
    foreign_ranges: tuple[ForeignRange, ...] = ()


def _exchange_codes(first: int, last: int) -> tuple[str, ...]:
    """List the exchange codes that the numbering plan allows."""
    codes = (code for code in range(first, last) if code not in _NOT_SOLD)
    return tuple(f"{code}" for code in codes if f"{code}"[1:] != "11")


BANDWIDTH_RANGES: Final = StockRanges(
    areas=geography.ORDINARY_AREAS + geography.MAGIC_AREAS,
    exchange_codes=_exchange_codes(300, 950),
    thin_exchange="441",
    raleigh=geography.RALEIGH_ON_THE_PAGE,
    toll_free_codes=geography.TOLL_FREE_CODES,
    foreign_ranges=geography.FOREIGN_RANGES,
)
SWIFT_RANGES: Final = StockRanges(
    areas=geography.ORDINARY_AREAS + geography.CANADIAN_AREAS + geography.MAGIC_AREAS + geography.SWIFT_MAGIC_AREAS,
    exchange_codes=_exchange_codes(250, 300),
    thin_exchange="242",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteria:
    """What a search asks for. `starts_with` is national digits: NPA, NPA-NXX or NPA-NXX-X."""

    pool: Pool = "local"
    starts_with: str = ""
    nxx: str = ""
    rate_center: str = ""
    city: str = ""
    state: str = ""
    zip_code: str = ""
    lata: str = ""
    country: str = ""
    number_type: str = ""
    vanity: str = ""
    vanity_at_end: bool = False
    calling_area: bool = False

    def admits(self, exchange: "Exchange") -> bool:
        """Return whether this exchange can have numbers that match."""
        digits, place = exchange.digits, exchange.place
        return (
            (digits.startswith(self.starts_with) or self.starts_with.startswith(digits))
            and self.nxx in {"", digits[_NPA_DIGITS:]}
            and self.state in {"", place.state}
            and self.rate_center in {"", place.rate_center}
            and self.city in {"", place.city}
            and self.zip_code in {"", place.zip_code}
            and self.lata in {"", place.lata}
            and self.country in {"", place.country}
            and self.number_type in {"", place.number_type}
        )


@dataclass(slots=True)
class Exchange:
    """Numbers that share a prefix and a location."""

    place: Place
    prefix: str
    digits: str  # the prefix as searches write it: national, without the calling code
    free: dict[str, None] = field(default_factory=dict)  # in the order in which they are offered
    arriving: Iterator[int] = field(default_factory=lambda: iter(_ARRIVING_LINES))


def dialled(letters: str) -> str:
    """Return a vanity word as digits of a keypad."""
    return letters.upper().translate(KEYPAD)


def plausible(e164: str) -> bool:
    """Return whether a number could exist; any such number can be bought once."""
    return bool((_NANP if e164.startswith("+1") else _ABROAD).fullmatch(e164))


class _StockBuilder:
    """Generates the stock of one carrier, the same for the same plan."""

    def __init__(self, plan: StockPlan, ranges: StockRanges) -> None:
        self._dice = Random(plan.seed)
        self._plan = plan
        self._ranges = ranges

    def local(self) -> Iterator[Exchange]:
        ranges = self._ranges
        if ranges.raleigh is not None:
            code, lines = ranges.raleigh
            raleigh = next(p for area in ranges.areas for p in area if p.area_code == "984")
            yield _exchange(raleigh, "+1", f"984{code}", lines)
        for towns in ranges.areas:
            codes = self._dice.sample(
                ranges.exchange_codes, min(self._plan.exchanges_per_area, len(ranges.exchange_codes))
            )
            for place, nxx in zip(cycle(towns), codes, strict=False):
                yield _exchange(place, "+1", place.area_code + nxx, self._lines())
        thin = geography.THIN_AREA[0]
        yield _exchange(thin, "+1", thin.area_code + ranges.thin_exchange, ("2001", "2002", "2003", "2004", "2005"))

    def _lines(self) -> Iterator[str]:
        """Choose the lines of one exchange. Vanity lines come last, so that other orders use them up last."""
        vanity = [dialled(word) for word in _VANITY_LINES]
        chosen = self._dice.sample(_STOCK_LINES, max(0, self._plan.lines_per_exchange - len(vanity)))
        plain = (f"{line:04}" for line in sorted(chosen))
        return chain((line for line in plain if line not in vanity), vanity)

    def toll_free(self) -> Iterator[Exchange]:
        words = [dialled(word) for word in _VANITY_TOLL_FREE]
        codes = [code for code in self._ranges.exchange_codes if code not in {word[:3] for word in words}]
        for area_code in self._ranges.toll_free_codes:
            place = Place(area_code=area_code, number_type="TOLL_FREE")
            chosen = sorted(self._dice.sample(_STOCK_LINES, self._plan.toll_free_per_code))
            plain = area_code + self._dice.choice(codes)
            yield _exchange(place, "+1", plain, map(str, chosen))
            for word in words:
                yield _exchange(place, "+1", area_code + word[:3], [word[3:]])

    def foreign(self) -> Iterator[Exchange]:
        for block in self._ranges.foreign_ranges:
            on_the_page = [n for n in geography.NUMBERS_ON_THE_PAGE if n.startswith(block.prefix)]
            chosen = sorted(self._dice.sample(_STOCK_LINES, self._plan.foreign_per_range))
            lines = [number.removeprefix(block.prefix) for number in on_the_page]
            lines += [f"{line:0{block.line_digits}}" for line in chosen]
            calling_code = block.prefix[:_FOREIGN_CODE_LENGTH]
            yield _exchange(block.place, calling_code, block.prefix.removeprefix(calling_code), lines)


@lru_cache(maxsize=4)
def _base_stock(plan: StockPlan, ranges: StockRanges) -> Mapping[Pool, tuple[Exchange, ...]]:
    """Generate the stock once for all sandboxes of a process; each sandbox sells from a copy."""
    builder = _StockBuilder(plan, ranges)
    return {
        "local": tuple(builder.local()),
        "toll_free": tuple(builder.toll_free()),
        "foreign": tuple(builder.foreign()),
    }


class Inventory:
    """The stock of one carrier."""

    def __init__(self, plan: StockPlan, ranges: StockRanges = BANDWIDTH_RANGES) -> None:
        self._taken: set[str] = set()
        self._chosen: dict[Criteria, tuple[Exchange, ...]] = {}
        self._pools = {pool: tuple(map(_copy_of, exchanges)) for pool, exchanges in _base_stock(plan, ranges).items()}
        self._by_prefix = {exchange.prefix: exchange for exchange in self._exchanges()}
        self._by_area = {exchange.place.area_code: exchange.place for exchange in reversed(self._pools["local"])}

    def find(self, criteria: Criteria, limit: int) -> tuple[str, ...]:
        """Return up to `limit` free numbers, in the order in which they are offered."""
        return tuple(islice(self._matching(criteria), limit))

    def count(self, criteria: Criteria) -> Iterator[tuple[Place, str, int]]:
        """Count free numbers by exchange: location, national digits, quantity."""
        for exchange in self._exchanges_for(criteria):
            if exchange.free:
                yield exchange.place, exchange.digits, len(exchange.free)

    def is_available(self, e164: str) -> bool:
        """Return whether a number can be bought by name; one that was never in stock is made on demand."""
        return e164 not in self._taken and plausible(e164)

    def take(self, numbers: Iterable[str]) -> None:
        """Take numbers out of stock.

        Raises:
            LookupError: one of them is taken already.
        """
        for e164 in numbers:
            if e164 in self._taken:
                raise LookupError(f"{e164} was sold before")
            self._taken.add(e164)
            exchange = self._exchange_of(e164)
            if exchange is not None:
                exchange.free.pop(e164, None)

    def release(self, numbers: Iterable[str]) -> None:
        """Put numbers back into stock, at the end of the order in which they are offered."""
        for e164 in numbers:
            self._taken.remove(e164)
            exchange = self._exchange_of(e164)
            if exchange is not None:
                exchange.free[e164] = None

    def take_new_stock(self, criteria: Criteria, count: int) -> tuple[str, ...]:
        """Make and take `count` numbers that were never in stock, or fewer when the prefixes run out."""
        fresh = tuple(islice(self._new_numbers(criteria), count))
        self._taken.update(fresh)
        return fresh

    def place_of(self, e164: str) -> Place:
        """Return a number's location, as far as the sandbox knows it."""
        exchange = self._exchange_of(e164)
        if exchange is not None:
            return exchange.place
        if not e164.startswith("+1"):
            country = geography.CALLING_CODES.get(e164[:3], "")
            return Place(country=country, area_code="")
        toll_free = e164[2:5] in geography.TOLL_FREE_CODES
        kind = "TOLL_FREE" if toll_free else "GEOGRAPHIC"
        return self._by_area.get(e164[2:5], Place(area_code=e164[2:5], number_type=kind))

    def count_free(self) -> int:
        """Count the free numbers."""
        return sum(len(exchange.free) for exchange in self._exchanges())

    def all_free(self) -> Iterator[str]:
        """List all free numbers."""
        return chain.from_iterable(exchange.free for exchange in self._exchanges())

    # -- searching ------------------------------------------------------------------------------

    def _matching(self, criteria: Criteria) -> Iterator[str]:
        exchanges = self._exchanges_for(criteria)
        offered = chain.from_iterable(exchange.free for exchange in exchanges)
        fits = _number_test(criteria)
        yield from (e164 for e164 in offered if fits(e164))
        if criteria.calling_area:
            yield from self._neighbours(criteria.pool, exchanges)

    def _exchanges_for(self, criteria: Criteria) -> tuple[Exchange, ...]:
        """Return the exchanges that can match. The result is cached: the map never changes, and searches repeat."""
        known = self._chosen.get(criteria)
        if known is None:
            known = tuple(e for e in self._pools[criteria.pool] if criteria.admits(e))
            if len(self._chosen) < _CRITERIA_KEPT:
                self._chosen[criteria] = known
        return known

    def _neighbours(self, pool: Pool, near: Iterable[Exchange]) -> Iterator[str]:
        """Continue with the local calling area, taken here as the LATA, after the exact matches."""
        latas = {exchange.place.lata for exchange in near}
        already_offered = {exchange.prefix for exchange in near}
        for exchange in self._pools[pool]:
            if exchange.place.lata in latas and exchange.prefix not in already_offered:
                yield from exchange.free

    def _new_numbers(self, criteria: Criteria) -> Iterator[str]:
        for exchange in self._exchanges_for(criteria):
            if exchange.place == geography.THIN_AREA[0]:
                continue
            for line in exchange.arriving:
                e164 = f"{exchange.prefix}{line}"
                if e164 not in self._taken:
                    yield e164

    def _exchange_of(self, e164: str) -> Exchange | None:
        if e164.startswith("+1"):
            return self._by_prefix.get(e164[:8])
        prefixes = (e164[:length] for length in range(len(e164) - 4, 4, -1))
        return next((self._by_prefix[p] for p in prefixes if p in self._by_prefix), None)

    def _exchanges(self) -> Iterator[Exchange]:
        return chain.from_iterable(self._pools.values())


def _copy_of(source: Exchange) -> Exchange:
    return Exchange(source.place, source.prefix, source.digits, dict(source.free))


def _exchange(place: Place, calling_code: str, digits: str, lines: Iterable[str]) -> Exchange:
    prefix = calling_code + digits
    return Exchange(place, prefix, digits, dict.fromkeys(prefix + line for line in lines))


def _number_test(criteria: Criteria) -> Callable[[str], bool]:
    """Build the test of a single number, for exchanges that already match."""
    country = _FOREIGN_CODE_LENGTH if criteria.pool == "foreign" else len("+1")
    wanted = criteria.starts_with
    if not criteria.vanity:
        return lambda e164: e164.startswith(wanted, country)
    spelled = _glob(criteria.vanity) + ("$" if criteria.vanity_at_end else "")
    pattern = re.compile(spelled)
    return lambda e164: e164.startswith(wanted, country) and bool(pattern.search(e164[-_SUBSCRIBER_DIGITS:]))


def _glob(vanity: str) -> str:
    """Return a vanity word as a pattern of digits; `_` and `?` stand for one digit, `*` for any number of them."""
    wild = {"_": r"\d", "?": r"\d", "*": r"\d*"}
    return "".join(wild.get(sign, sign) for sign in dialled(vanity))
