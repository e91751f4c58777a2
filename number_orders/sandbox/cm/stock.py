"""The stock of the sandbox CM.com: areas with a block of numbers each, restrictions, and magic areas.

The blocks do not overlap those of the other sandbox carriers, so that no number is sold by two of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

LOCAL: Final = "LOCAL"
NATIONAL: Final = "NATIONAL"
TOLLFREE: Final = "TOLLFREE"
NANPA: Final = {"US", "CA"}


class CmFate(StrEnum):
    """How a request goes, whatever the stock has."""

    ORDINARY = "ordinary"
    REJECTED = "rejected"
    PARTIAL = "partial"
    NEVER_DECIDED = "never_decided"
    STRANGE_WORD = "strange_word"
    CONTRADICTS = "contradicts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """A block of numbers: `prefix` and `digits` more. The first `directly_available` are assigned at once."""

    country: str
    number_type: str = LOCAL
    area_code: str
    city: str = ""
    region: str = ""
    prefix: str
    digits: int = 4
    directly_available: int = 0
    fate: CmFate = CmFate.ORDINARY

    @property
    def size(self) -> int:
        """Count the numbers of the block."""
        return int(10**self.digits)

    def number(self, line: int) -> str:
        """Return one number of the block in E.164."""
        return f"{self.prefix}{line:0{self.digits}}"


@dataclass(frozen=True, slots=True)
class Restriction:
    """What may be requested in one country and type."""

    country: str
    number_type: str
    quantity_max: int
    range_sizes: tuple[int, ...]


RESTRICTIONS: Final = (
    Restriction("NL", LOCAL, 1000, (10, 100)),
    Restriction("NL", NATIONAL, 500, (10, 100)),
    Restriction("NL", TOLLFREE, 25, ()),
    Restriction("BE", LOCAL, 500, (10, 100)),
    Restriction("BE", TOLLFREE, 25, ()),
    Restriction("GB", LOCAL, 1000, (10, 100, 1000)),
    Restriction("DE", LOCAL, 1000, (10, 100, 1000)),
    Restriction("US", LOCAL, 100, ()),
    Restriction("US", TOLLFREE, 25, ()),
)


def _dutch(area_code: str, city: str, fate: CmFate) -> Area:
    return Area(country="NL", area_code=area_code, city=city, prefix=f"+31{area_code[1:]}498", digits=3, fate=fate)


def _american(area_code: str, city: str, region: str, fate: CmFate) -> Area:
    prefix = f"+1{area_code}960"
    return Area(country="US", area_code=area_code, city=city, region=region, prefix=prefix, fate=fate)


MAGIC_AREAS: Final = (
    _dutch("0111", "ZIERIKZEE", CmFate.REJECTED),
    _dutch("0113", "GOES", CmFate.PARTIAL),
    _dutch("0114", "HULST", CmFate.NEVER_DECIDED),
    _dutch("0115", "TERNEUZEN", CmFate.STRANGE_WORD),
    _dutch("0117", "OOSTBURG", CmFate.CONTRADICTS),
    _american("406", "HELENA", "MT", CmFate.REJECTED),
    _american("808", "HONOLULU", "HI", CmFate.PARTIAL),
    _american("907", "ANCHORAGE", "AK", CmFate.NEVER_DECIDED),
    _american("605", "PIERRE", "SD", CmFate.STRANGE_WORD),
    _american("208", "BOISE", "ID", CmFate.CONTRADICTS),
)

ORDINARY_AREAS: Final = (
    Area(country="NL", area_code="020", city="AMSTERDAM", prefix="+3120799", directly_available=2000),
    Area(country="NL", area_code="010", city="ROTTERDAM", prefix="+3110798"),
    Area(country="NL", area_code="070", city="DEN HAAG", prefix="+3170797", directly_available=20),
    Area(country="NL", area_code="030", city="UTRECHT", prefix="+3130796"),
    Area(country="NL", number_type=NATIONAL, area_code="085", prefix="+3185798", directly_available=2000),
    Area(country="NL", number_type=NATIONAL, area_code="088", prefix="+3188797"),
    Area(country="NL", number_type=TOLLFREE, area_code="0800", prefix="+31800798", directly_available=100),
    Area(country="BE", area_code="02", city="BRUSSEL", prefix="+322588", directly_available=1000),
    Area(country="BE", area_code="03", city="ANTWERPEN", prefix="+323588"),
    Area(country="BE", number_type=TOLLFREE, area_code="0800", prefix="+328008"),
    Area(country="GB", area_code="020", city="LONDON", prefix="+442085", digits=6, directly_available=2000),
    Area(country="GB", area_code="0161", city="MANCHESTER", prefix="+441615", digits=6),
    Area(country="DE", area_code="030", city="BERLIN", prefix="+493055", digits=6, directly_available=2000),
    Area(country="DE", area_code="089", city="MUENCHEN", prefix="+498955", digits=6),
    Area(country="US", area_code="646", city="NEW YORK", region="NY", prefix="+1646960", directly_available=500),
    Area(country="US", area_code="720", city="DENVER", region="CO", prefix="+1720960"),
    Area(country="US", number_type=TOLLFREE, area_code="888", prefix="+1888960", directly_available=100),
)


def find_area(country: str, number_type: str, area_code: str | None, city: str | None) -> Area | None:
    """Return the area with this area code, city, or both; None if there is none."""
    return next(
        (
            area
            for area in ORDINARY_AREAS + MAGIC_AREAS
            if (area.country, area.number_type) == (country, number_type)
            and (not area_code or area.area_code.lstrip("0") == area_code.strip().lstrip("0"))
            and (not city or area.city == city.strip().upper())
        ),
        None,
    )


def restrictions(country: str | None = None, number_type: str | None = None) -> Iterator[Restriction]:
    """Return the restrictions of one country, of one type, or of all."""
    for each in RESTRICTIONS:
        if country in {None, each.country} and number_type in {None, each.number_type}:
            yield each


class CmStock:
    """What is left of each block. A range begins at a multiple of its size, and a block is used in order."""

    def __init__(self) -> None:
        self._next: dict[Area, int] = {}

    def take(self, area: Area, count: int, size: int) -> tuple[str, ...]:
        """Take `count // size` consecutive ranges and return their first numbers; nothing if the block is used up."""
        first = self._first(area, size)
        if first + count > area.size:
            return ()
        self._next[area] = first + count
        return tuple(area.number(line) for line in range(first, first + count, size))

    def directly_available(self, area: Area, size: int = 1) -> int:
        """Count the numbers that can be assigned at once."""
        return max(0, area.directly_available - self._first(area, size))

    def left(self, area: Area) -> int:
        """Count the numbers that can be assigned at all."""
        return area.size - self._first(area, 1)

    def count_free(self) -> int:
        """Count the numbers left in all areas."""
        return sum(map(self.left, ORDINARY_AREAS + MAGIC_AREAS))

    def _first(self, area: Area, size: int) -> int:
        used = self._next.get(area, 0)
        return used + -used % size
