"""CM.com's JSON: number requests written, and number requests, lists of them and errors read.

Knows names and shapes (`number_orders.carriers.cm.facts`). Does not judge: what a status means for an order is
the business of `number_orders.carriers.cm.answers`. Every fault of a body is an `UnreadableAnswer`.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from number_orders.carriers.cm.facts import (
    CARRIER,
    GUID,
    NUMBERS_READ_MAX,
    REFERENCE,
    TYPE_WORDS,
    Fault,
    NumberType,
    Sent,
    Shown,
)
from number_orders.orders.errors import UnreadableAnswer
from number_orders.orders.model import CarrierOrderId, Order
from number_orders.orders.numbers import E164, is_nanp, parse_e164

_NATIONAL_DIGITS: Final = 10
_DIGITS_MAX: Final = 17


@dataclass(frozen=True, slots=True)
class RequestView:
    """One number request as CM.com shows it, with the numbers that it has so far."""

    guid: CarrierOrderId | None
    status: str | None
    reason: str | None = None
    comment: str | None = None
    has_comment: bool = False
    created_on: datetime | None = None
    numbers: tuple[E164, ...] = ()
    doubled: bool = False
    """A number stands in two ranges."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why CM.com did not take a request."""

    reason: str
    code: str | None = None


def reference_of(order: Order) -> str:
    """Return how the comment of this order begins, and of no other."""
    return REFERENCE.format(order_id=order.order_id)


def bears(comment: str | None, reference: str) -> bool:
    """Tell whether a comment begins with a reference, and the reference ends where it should.

    Only the beginning counts: what follows are a producer's notes, which may name other orders.
    """
    words = (comment or "").split(maxsplit=1)
    return bool(words) and words[0] == reference


def write_request(order: Order, profile: str, callback_url: str | None = None) -> bytes:
    """Return a number request; what was not given is left out."""
    request, criteria = order.request, order.request.criteria
    assert criteria is not None, "the rules let no order pass without"
    comment = reference_of(order)
    body = {
        Sent.PROFILE: profile,
        Sent.QUANTITY: request.quantity,
        Sent.RANGE_SIZE: request.range_size,
        Sent.TYPE: TYPE_WORDS[NumberType(criteria.number_type or "")],
        Sent.AREA_CODE: criteria.npa,
        Sent.CITY: criteria.city,
        Sent.REGION: criteria.state,
        Sent.COMMENT: f"{comment}\n{request.notes}" if request.notes else comment,
        Sent.CALLBACK: callback_url,
    }
    return json.dumps({name: value for name, value in body.items() if value is not None}).encode()


def read_request(body: bytes, *, nanpa: bool, in_ranges: bool = False) -> RequestView:
    """Return the number request in an answer, with its numbers.

    Args:
        body: The JSON of a number request.
        nanpa: Its numbers are of the North American plan; else none of them may be.
        in_ranges: Whole ranges were ordered, so each must say how long it is.

    Raises:
        UnreadableAnswer: It is none, or its numbers cannot be understood.
    """
    shown = _loaded(body)
    if not isinstance(shown, Mapping):
        raise UnreadableAnswer(CARRIER, "not a number request", body)
    try:
        listed = _ranges(shown.get(Shown.RANGES), nanpa=nanpa, in_ranges=in_ranges)
        plain = _view(shown)
    except ValueError as fault:
        raise UnreadableAnswer(CARRIER, str(fault), body) from fault
    numbers = tuple(dict.fromkeys(listed))
    return replace(plain, numbers=numbers, doubled=len(numbers) < len(listed))


def read_list(body: bytes) -> list[RequestView]:
    """Return one page of the list of number requests, without their numbers.

    Raises:
        UnreadableAnswer: It is no list of number requests.
    """
    shown = _loaded(body)
    if not isinstance(shown, list) or not all(isinstance(item, Mapping) for item in shown):
        raise UnreadableAnswer(CARRIER, "not a list of number requests", body)
    try:
        return [_view(item) for item in shown]
    except ValueError as fault:
        raise UnreadableAnswer(CARRIER, str(fault), body) from fault


def read_rejection(body: bytes) -> Rejection:
    """Return why a request was not taken.

    Raises:
        UnreadableAnswer: The body does not say so in either way that we know, or is a number request.
    """
    shown = _loaded(body)
    if not isinstance(shown, Mapping) or Shown.GUID in shown:
        raise UnreadableAnswer(CARRIER, "not an error", body)
    message = _text(shown.get(Fault.MESSAGE)) or _text(shown.get(Fault.TITLE))
    details = [_text(shown.get(Fault.DETAIL)), *_field_errors(shown.get(Fault.ERRORS))]
    if message is None:
        raise UnreadableAnswer(CARRIER, "an error without a message", body)
    reason = "; ".join(dict.fromkeys([message, *filter(None, details)]))
    return Rejection(reason[:500], _word(shown.get(Fault.CODE)))


def _loaded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as fault:
        raise UnreadableAnswer(CARRIER, "not JSON", body) from fault


def _view(shown: Mapping[str, Any]) -> RequestView:
    guid = shown.get(Shown.GUID)
    if guid is not None and not (isinstance(guid, str) and GUID.fullmatch(guid)):
        raise ValueError("a number request whose guid is none")
    return RequestView(
        CarrierOrderId(guid.lower()) if guid else None,
        _word(shown.get(Shown.STATUS)),
        _text(shown.get(Shown.REASON)),
        _text(shown.get(Shown.COMMENT)),
        has_comment=Shown.COMMENT in shown,
        created_on=_moment(shown.get(Shown.CREATED_ON)),
    )


def _ranges(shown: Any, *, nanpa: bool, in_ranges: bool) -> list[E164]:
    """Return the numbers of all ranges; a range without a start has none yet."""
    if shown is None:
        return []
    if not isinstance(shown, list) or not all(isinstance(item, Mapping) for item in shown):
        raise ValueError("ranges that are no list of ranges")
    numbers: list[E164] = []
    for item in shown:
        if item.get(Shown.START) is not None:
            numbers += _range(item, nanpa=nanpa, in_ranges=in_ranges)
        if len(numbers) > NUMBERS_READ_MAX:
            raise ValueError("ranges of more numbers than any request may have")
    return numbers


def _range(item: Mapping[str, Any], *, nanpa: bool, in_ranges: bool) -> Iterator[E164]:
    size = item.get(Shown.SIZE)
    if size is None and in_ranges:  # taken for one number, the rest of the range would drop out of sight
        raise ValueError("a range that does not say how long it is")
    size = 1 if size is None else size
    if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= NUMBERS_READ_MAX:
        raise ValueError("a range whose size is none")
    first = int(_first(item[Shown.START], nanpa=nanpa)[1:])
    return (_in_plan(f"+{number}", nanpa=nanpa) for number in range(first, first + size))


def _first(start: Any, *, nanpa: bool) -> E164:
    """Read the first number of a range: `+31201234560`, `31201234560`, `0031201234560`, or ten NANP digits."""
    text = _word(start) or ""
    digits = text.removeprefix("+")
    if not digits.isascii() or not digits.isdigit() or len(digits) > _DIGITS_MAX:
        raise ValueError("a range that starts with no number")
    if nanpa and "+" not in text and len(digits) == _NATIONAL_DIGITS:
        digits = f"1{digits}"
    return _in_plan(f"+{digits.removeprefix('00')}", nanpa=nanpa)


def _in_plan(text: str, *, nanpa: bool) -> E164:
    number = parse_e164(text)
    if is_nanp(number) is not nanpa:
        raise ValueError("a number of another numbering plan than was ordered")
    return number


def _word(said: Any) -> str | None:
    """Return a status or a code: .NET writes such either as a word or as a number."""
    return str(said) if isinstance(said, int) and not isinstance(said, bool) else _text(said)


def _text(said: Any) -> str | None:
    return said.strip()[:1000] or None if isinstance(said, str) else None


def _moment(said: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(said) if isinstance(said, str) else None
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


def _field_errors(said: Any) -> Iterator[str]:
    """Read .NET's errors by field: `{"quantity": ["must be …"]}`."""
    if not isinstance(said, Mapping):
        return
    for field, rules in said.items():
        for rule in rules if isinstance(rules, list) else [rules]:
            if isinstance(rule, str):
                yield f"{field}: {rule}"
