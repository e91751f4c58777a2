"""Find what Bandwidth would refuse in an order, before it is sent.

Knows what the page's tables allow to combine, and the formats of the fields. Every fault names the field as the
producer wrote it. What every carrier refuses is checked by the contract.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Final

from number_orders.carriers.bandwidth.facts import NAME_LENGTH_MAX, NUMBERS_MAX, PROTECTED, QUANTITY_MAX
from number_orders.carriers.bandwidth.search import LOCAL, TOLL_FREE, location_criteria
from number_orders.orders.errors import Fault
from number_orders.orders.model import Criteria, Kind, OrderRequest, WhenTainted
from number_orders.orders.numbering import npa_fault, nxx_fault, state_fault
from number_orders.orders.numbers import is_nanp

OPTIONS: Final = (
    "site_id",
    "peer_id",
    "voice_configuration_package_id",
    "requirements_package_id",
    "auto_activate",
    "reservation_ids",
)

REMOVAL_OPTIONS: Final = ("protected",)

_TAINT_RULES: Final = {
    Kind.NEW_NUMBERS: "goes with removals only",
    Kind.REMOVE_NUMBERS: "Bandwidth has no taint window: its numbers can be removed at any age",
}
NANP_COUNTRIES: Final = ("USA", "CAN")
_PRINTABLE: Final = r"(?=.*\S)[^\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]"
"""Something visible, and no character that XML cannot carry."""
_PLACE_NAME: Final = (re.compile(_PRINTABLE + "{1,100}"), "must be 1 to 100 printable characters")
_NAME: Final = re.compile(f"{_PRINTABLE}{{1,{NAME_LENGTH_MAX}}}")

_FORMATS: Final[Mapping[str, tuple[re.Pattern[str], str]]] = {
    "npa": (re.compile(r"[2-9][0-9]{2}"), "must be an area code: three digits, the first 2-9"),
    "nxx": (re.compile(r"[2-9][0-9]{2}"), "must be an exchange: three digits, the first 2-9"),
    "thousands_block": (re.compile(r"[0-9]"), "must be one digit, the one after the exchange"),
    "city": _PLACE_NAME,
    "rate_center": _PLACE_NAME,
    "state": (re.compile(r"[A-Za-z]{2}"), "must be two letters, such as NC"),
    "lata": (re.compile(r"[0-9]{1,5}"), "must be a LATA: up to five digits"),
    "zip": (re.compile(r"[0-9]{5}(-[0-9]{4})?"), "must be a ZIP code: 27601 or 27601-1234"),
    "vanity": (re.compile(r"[0-9A-Za-z]{4,7}"), "must be 4 to 7 letters and digits"),
    "toll_free_pattern": (re.compile(r"8[0-9*]\*"), "must be three characters: 8** for any, 80* for 800, 83* for 833"),
}
_NEEDS: Final = (("nxx", "npa"), ("thousands_block", "nxx"), ("city", "state"), ("rate_center", "state"))
_TOKEN: Final = re.compile(r"[0-9A-Za-z-]{1,64}")
_DIGITS: Final = re.compile(r"[0-9]{1,12}")
_CALLING_AREA_FITS: Final = frozenset({frozenset({"npa", "nxx"}), frozenset({"rate_center", "state"})})


def faults(request: OrderRequest) -> tuple[Fault, ...]:
    """Return everything that Bandwidth would refuse, or would understand differently."""
    checks = _CHECKS.get(request.kind)
    if checks is None:
        return (Fault("kind", f"must be {' or '.join(_CHECKS)}: Bandwidth does not take {request.kind}"),)
    return tuple(chain.from_iterable(check(request) for check in checks))


def _order_faults(request: OrderRequest) -> Iterator[Fault]:
    if request.range_size is not None:
        yield Fault("range_size", "is not offered by Bandwidth: numbers come one by one")
    if request.account is not None:
        yield Fault("account", "is not offered: the account is a setting, the sub-account is options.site_id")
    if request.when_tainted is not WhenTainted.WAIT:
        yield Fault("when_tainted", _TAINT_RULES[request.kind])
    if request.name is not None and not _NAME.fullmatch(request.name):
        yield Fault("name", f"must be 1 to {NAME_LENGTH_MAX} printable characters")


def _count_faults(request: OrderRequest) -> Iterator[Fault]:
    if len(request.numbers) > NUMBERS_MAX:
        yield Fault("numbers", f"may be {NUMBERS_MAX} at most")
    if len(set(request.numbers)) < len(request.numbers):
        yield Fault("numbers", "may name each number once only")
    if request.criteria and not 1 <= (request.quantity or 0) <= QUANTITY_MAX:
        yield Fault("quantity", f"must be 1 to {QUANTITY_MAX}")


def _backorder_faults(request: OrderRequest) -> Iterator[Fault]:
    if not request.allow_backorder:
        return
    if request.numbers:
        yield Fault("allow_backorder", "named numbers cannot be backordered")
    elif request.criteria and request.criteria.nxx:
        yield Fault("allow_backorder", "an NPA-NXX or thousands block cannot be backordered")
    elif request.criteria and request.criteria.vanity:
        yield Fault("allow_backorder", "vanity numbers cannot be backordered")


def _criteria_faults(request: OrderRequest) -> Iterator[Fault]:
    criteria = request.criteria
    if criteria is None:
        return
    if criteria.country not in {None, *NANP_COUNTRIES}:
        yield Fault(
            "criteria.country",
            "Bandwidth searches and orders in one step in USA and CAN only: "
            "elsewhere search first, then order the numbers by name",
        )
        return
    yield from north_american_format_faults(criteria)
    yield from _place_faults(criteria)
    yield from _type_and_companion_faults(criteria)
    yield from _toll_free_faults(criteria) if _is_toll_free(criteria) else _local_faults(criteria)


def north_american_format_faults(criteria: Criteria) -> Iterator[Fault]:
    """Yield every criterion that does not have the format used in North America."""
    for field, (pattern, rule) in _FORMATS.items():
        value = getattr(criteria, field)
        if value is not None and not pattern.fullmatch(value):
            yield Fault(f"criteria.{field}", rule)


def _place_faults(criteria: Criteria) -> Iterator[Fault]:
    """Yield every criterion that is well written, and names what no carrier has."""
    checks = (
        ("npa", lambda npa: npa_fault(npa, toll_free=_is_toll_free(criteria))),
        ("nxx", nxx_fault),
        ("state", lambda state: state_fault(state, criteria.country)),
    )
    for field, check in checks:
        value = getattr(criteria, field)
        if value is not None and _FORMATS[field][0].fullmatch(value) and (rule := check(value)):
            yield Fault(f"criteria.{field}", rule)


def _type_and_companion_faults(criteria: Criteria) -> Iterator[Fault]:
    if criteria.number_type not in {None, LOCAL, TOLL_FREE}:
        yield Fault("criteria.number_type", f"must be {LOCAL} or {TOLL_FREE}")
    yield from companion_faults(criteria)


def companion_faults(criteria: Criteria) -> Iterator[Fault]:
    """Yield every North American criterion that lacks the one it needs beside it."""
    given = criteria.given()
    for field, other in _NEEDS:
        if field in given and other not in given:
            yield Fault(f"criteria.{field}", f"needs criteria.{other} beside it")


def _is_toll_free(criteria: Criteria) -> bool:
    return criteria.number_type == TOLL_FREE or criteria.toll_free_pattern is not None


def _toll_free_faults(criteria: Criteria) -> Iterator[Fault]:
    if criteria.number_type == LOCAL:
        yield Fault("criteria.toll_free_pattern", f"cannot go with number_type {LOCAL}")
    given = {"vanity", "toll_free_pattern"} & criteria.given()
    if not given:
        yield Fault("criteria.number_type", "toll_free needs criteria.vanity or criteria.toll_free_pattern")
    if len(given) > 1:
        yield Fault("criteria.toll_free_pattern", "cannot go with criteria.vanity")
    if criteria.vanity_at_end is not None:
        yield Fault("criteria.vanity_at_end", "goes with a local vanity only")
    for field in sorted(location_criteria(criteria) - {"vanity", "toll_free_pattern"}):
        yield Fault(f"criteria.{field}", "cannot go with toll-free numbers, which live nowhere")
    if criteria.local_calling_area:
        yield Fault("criteria.local_calling_area", "cannot go with toll-free numbers")


def _local_faults(criteria: Criteria) -> Iterator[Fault]:
    where = location_criteria(criteria)
    if not where:
        yield Fault("criteria", "must say where: npa, rate_center, city, state, zip, lata, vanity or toll_free_pattern")
    if criteria.vanity is not None:
        yield from _vanity_faults(where)
    elif criteria.vanity_at_end is not None:
        yield Fault("criteria.vanity_at_end", "needs criteria.vanity beside it")
    if criteria.local_calling_area and "thousands_block" not in where and where not in _CALLING_AREA_FITS:
        yield Fault(
            "criteria.local_calling_area",
            "goes with npa and nxx alone, with a thousands_block, or with rate_center and state alone",
        )


def _vanity_faults(where: frozenset[str]) -> Iterator[Fault]:
    if not where & {"npa", "state"}:
        yield Fault("criteria.vanity", "needs criteria.npa, criteria.state or both beside it")
    for field in sorted(where - {"vanity", "npa", "state"}):
        yield Fault(f"criteria.{field}", "cannot go with a local vanity, which goes with npa and state only")


def _removal_faults(request: OrderRequest) -> Iterator[Fault]:
    if request.criteria or not request.numbers:
        yield Fault("criteria", "cannot be used for removals: name the numbers")
    if not request.allow_partial:
        yield Fault("allow_partial", "must be true for removals: Bandwidth gives up what it can, number by number")
    if request.allow_backorder:
        yield Fault("allow_backorder", "goes with new numbers only")
    for name, value in request.options.items():
        if name not in REMOVAL_OPTIONS:
            yield Fault(f"options.{name}", f"is unknown for removals; Bandwidth knows {', '.join(REMOVAL_OPTIONS)}")
        elif value not in PROTECTED:
            yield Fault(f"options.{name}", f"must be one of {', '.join(PROTECTED)}")
        elif not all(map(is_nanp, request.numbers)):
            yield Fault(f"options.{name}", "goes with North American numbers only")


def _option_faults(request: OrderRequest) -> Iterator[Fault]:
    for name, value in request.options.items():
        if name not in OPTIONS:
            yield Fault(f"options.{name}", f"is unknown; Bandwidth knows {', '.join(OPTIONS)}")
        elif rule := _broken_rule(name, value):
            yield Fault(f"options.{name}", rule)
    if "reservation_ids" in request.options:
        yield from _reservation_faults(request)


def _reservation_faults(request: OrderRequest) -> Iterator[Fault]:
    field, given = "options.reservation_ids", request.options["reservation_ids"]
    if not request.numbers:
        yield Fault(field, "go with named numbers only")
        return
    if not all(map(is_nanp, request.numbers)):
        yield Fault(field, "go with North American numbers only")
    if not _are_tokens(given):
        return  # reported already
    assert isinstance(given, Sequence), "it has tokens in it"
    if len(given) > len(request.numbers):
        yield Fault(field, "cannot be more than the numbers: a reservation keeps one number")
    if len(set(map(str, given))) < len(given):
        yield Fault(field, "may name each reservation once only")


def _broken_rule(name: str, value: object) -> str | None:
    match name:
        case "site_id" | "peer_id":
            return None if _DIGITS.fullmatch(_plain_id(value)) else "must be an id in digits"
        case "auto_activate":
            return None if isinstance(value, bool) else "must be true or false"
        case "reservation_ids":
            return None if _are_tokens(value) else "must be a list of reservation ids"
        case _:
            return None if _is_token(value) else "must be an id: letters, digits and dashes, 64 at most"


def _plain_id(value: object) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _is_token(value: object) -> bool:
    return isinstance(value, str) and _TOKEN.fullmatch(value) is not None


def _are_tokens(value: object) -> bool:
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        return False
    return bool(value) and all(map(_is_token, value))


_CHECKS: Final[Mapping[Kind, Sequence[Callable[[OrderRequest], Iterator[Fault]]]]] = {
    Kind.NEW_NUMBERS: (_order_faults, _count_faults, _backorder_faults, _criteria_faults, _option_faults),
    Kind.REMOVE_NUMBERS: (_order_faults, _count_faults, _removal_faults),
}
