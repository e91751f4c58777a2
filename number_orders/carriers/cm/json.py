"""Write number requests as JSON; read number requests, lists of them, and errors.

Knows names and shapes. Does not judge what a status means for an order: `answers` does. Everything wrong with a body
raises `UnreadableAnswer`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from number_orders.carriers.cm.facts import (
    CARRIER,
    DIGEST,
    DIGEST_FORMAT,
    GUID,
    NUMBERS_READ_MAX,
    REFERENCE_FORMAT,
    TYPE_WORDS,
    ErrorField,
    NumberType,
    RequestField,
    ResponseField,
)
from number_orders.carriers.found_content import content_digest
from number_orders.orders.errors import UnreadableAnswer
from number_orders.orders.model import CarrierOrderId, Order
from number_orders.orders.numbers import E164, is_nanp, parse_e164

_NATIONAL_DIGITS: Final = 10
_DIGITS_MAX: Final = 17
_NANP_LENGTH: Final = re.compile(r"\+1[0-9]{10}")


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
    has_duplicates: bool = False
    """A number is in two ranges."""
    quantity: int | None = None
    """How many numbers were ordered."""
    invalid: frozenset[E164] = frozenset()
    """Those of the numbers that the North American Numbering Plan does not allow."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why CM.com did not take a number request."""

    reason: str
    code: str | None = None


def reference_of(order: Order) -> str:
    """Return how this order's comment begins, which no other's does."""
    return REFERENCE_FORMAT.format(reference=order.reference)


def has_reference(comment: str | None, reference: str) -> bool:
    """Return whether the first word of a comment is the reference.

    Only the first word counts: the producer's notes follow it, and may name other orders.
    """
    words = (comment or "").split(maxsplit=1)
    return bool(words) and words[0] == reference


def digest_in(comment: str | None) -> str | None:
    """Return the digest of what was ordered, which is the second word of a comment of ours; None if there is none."""
    words = (comment or "").split(maxsplit=2)
    found = DIGEST.fullmatch(words[1]) if len(words) > 1 else None
    return found[1] if found else None


def is_reference(comment: str | None) -> bool:
    """Return whether a comment begins with a reference of ours, of whichever order."""
    return (comment or "").startswith(REFERENCE_FORMAT.format(reference=""))


def write_request(order: Order, profile: str, callback_url: str | None = None) -> bytes:
    """Return the body of a number request. What the order does not have is left out."""
    request, criteria = order.request, order.request.criteria
    assert criteria is not None, "the rules refuse an order without criteria"
    comment = f"{reference_of(order)} {DIGEST_FORMAT.format(digest=content_digest(request))}"
    body = {
        RequestField.PROFILE: profile,
        RequestField.QUANTITY: request.quantity,
        RequestField.RANGE_SIZE: request.range_size,
        RequestField.TYPE: TYPE_WORDS[NumberType(criteria.number_type or "")],
        RequestField.AREA_CODE: criteria.npa,
        RequestField.CITY: criteria.city,
        RequestField.REGION: criteria.state,
        RequestField.COMMENT: f"{comment}\n{request.notes}" if request.notes else comment,
        RequestField.CALLBACK: callback_url,
    }
    return json.dumps({name: value for name, value in body.items() if value is not None}).encode()


def read_request(body: bytes, *, nanpa: bool, in_ranges: bool = False) -> RequestView:
    """Return the number request in an answer, with its numbers.

    Args:
        body: The JSON of a number request.
        nanpa: If true, its numbers must be North American; if false, none may be.
        in_ranges: Whole ranges were ordered, so each must say its size.

    Raises:
        UnreadableAnswer: It is not a number request, or its numbers cannot be understood.
    """
    shown = _parse(body)
    if not isinstance(shown, Mapping):
        raise UnreadableAnswer(CARRIER, "not a number request", body)
    try:
        listed = _read_ranges(shown.get(ResponseField.RANGES), nanpa=nanpa, in_ranges=in_ranges)
        plain = _view(shown)
    except ValueError as fault:
        raise UnreadableAnswer(CARRIER, str(fault), body) from fault
    numbers = tuple(dict.fromkeys(listed))
    invalid = frozenset(number for number in numbers if not _is_valid(number))
    return replace(plain, numbers=numbers, has_duplicates=len(numbers) < len(listed), invalid=invalid)


def read_notice(body: bytes) -> RequestView:
    """Return the number request in a callback, without its numbers.

    Raises:
        UnreadableAnswer: It is not a number request.
    """
    shown = _parse(body)
    if not isinstance(shown, Mapping):
        raise UnreadableAnswer(CARRIER, "not a number request", body)
    try:
        return _view(shown)
    except ValueError as fault:
        raise UnreadableAnswer(CARRIER, str(fault), body) from fault


def read_list(body: bytes) -> list[RequestView]:
    """Return one page of the list of number requests, without their numbers.

    Raises:
        UnreadableAnswer: It is not a list of number requests.
    """
    shown = _parse(body)
    if not isinstance(shown, list) or not all(isinstance(item, Mapping) for item in shown):
        raise UnreadableAnswer(CARRIER, "not a list of number requests", body)
    try:
        return [_view(item) for item in shown]
    except ValueError as fault:
        raise UnreadableAnswer(CARRIER, str(fault), body) from fault


def read_rejection(body: bytes) -> Rejection:
    """Return why a number request was not taken.

    Raises:
        UnreadableAnswer: The body has no reason in either form that we know, or is a number request.
    """
    shown = _parse(body)
    if not isinstance(shown, Mapping) or ResponseField.GUID in shown:
        raise UnreadableAnswer(CARRIER, "not an error", body)
    message = _text(shown.get(ErrorField.MESSAGE)) or _text(shown.get(ErrorField.TITLE))
    details = [_text(shown.get(ErrorField.DETAIL)), *_field_errors(shown.get(ErrorField.ERRORS))]
    if message is None:
        raise UnreadableAnswer(CARRIER, "an error without a message", body)
    reason = "; ".join(dict.fromkeys([message, *filter(None, details)]))
    return Rejection(reason[:500], _word_or_number(shown.get(ErrorField.CODE)))


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as fault:
        raise UnreadableAnswer(CARRIER, "not JSON", body) from fault


def _view(shown: Mapping[str, Any]) -> RequestView:
    guid = shown.get(ResponseField.GUID)
    if guid is not None and not (isinstance(guid, str) and GUID.fullmatch(guid)):
        raise ValueError("a number request whose guid is not a GUID")
    return RequestView(
        CarrierOrderId(guid.lower()) if guid else None,
        _word_or_number(shown.get(ResponseField.STATUS)),
        _text(shown.get(ResponseField.REASON)),
        _text(shown.get(ResponseField.COMMENT)),
        has_comment=ResponseField.COMMENT in shown,
        created_on=_moment(shown.get(ResponseField.CREATED_ON)),
        quantity=quantity if type(quantity := shown.get(ResponseField.QUANTITY)) is int else None,
    )


def _read_ranges(shown: Any, *, nanpa: bool, in_ranges: bool) -> list[E164]:
    """Return the numbers of all ranges. A range without a start has no numbers yet."""
    if shown is None:
        return []
    if not isinstance(shown, list) or not all(isinstance(item, Mapping) for item in shown):
        raise ValueError("ranges that are not a list")
    numbers: list[E164] = []
    for item in shown:
        if item.get(ResponseField.START) is not None:
            numbers += _read_range(item, nanpa=nanpa, in_ranges=in_ranges)
        if len(numbers) > NUMBERS_READ_MAX:
            raise ValueError("ranges of more numbers than any request may have")
    return numbers


def _read_range(item: Mapping[str, Any], *, nanpa: bool, in_ranges: bool) -> Iterator[E164]:
    size = item.get(ResponseField.SIZE)
    if size is None and in_ranges:  # read as one number, the rest of the range would be missed
        raise ValueError("a range that does not say how long it is")
    size = 1 if size is None else size
    if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= NUMBERS_READ_MAX:
        raise ValueError("a range whose size is not a count")
    first = int(_read_start(item[ResponseField.START], nanpa=nanpa)[1:])
    return (_parse_in_plan(f"+{number}", nanpa=nanpa) for number in range(first, first + size))


def _read_start(start: Any, *, nanpa: bool) -> E164:
    """Read the first number of a range: `+31201234560`, `31201234560`, `0031201234560`, or ten NANP digits."""
    text = _word_or_number(start) or ""
    digits = text.removeprefix("+")
    if not digits.isascii() or not digits.isdigit() or len(digits) > _DIGITS_MAX:
        raise ValueError("a range whose start is not a number")
    if nanpa and "+" not in text and len(digits) == _NATIONAL_DIGITS:
        digits = f"1{digits}"
    return _parse_in_plan(f"+{digits.removeprefix('00')}", nanpa=nanpa)


def _parse_in_plan(text: str, *, nanpa: bool) -> E164:
    """Read a number of the plan that was ordered. A North American one is kept even if it cannot be valid."""
    if nanpa and _NANP_LENGTH.fullmatch(text):
        return E164(text)
    number = parse_e164(text)
    if is_nanp(number) is not nanpa:
        raise ValueError("a number of another numbering plan than was ordered")
    return number


def _is_valid(number: E164) -> bool:
    try:
        return parse_e164(number) == number
    except ValueError:
        return False


def _word_or_number(value: Any) -> str | None:
    """Return a status or a code, which .NET writes either as a word or as a number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else _text(value)


def _text(value: Any) -> str | None:
    return value.strip()[:1000] or None if isinstance(value, str) else None


def _moment(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


def _field_errors(value: Any) -> Iterator[str]:
    """Read .NET's errors by field: `{"quantity": ["must be …"]}`."""
    if not isinstance(value, Mapping):
        return
    for field, rules in value.items():
        for rule in rules if isinstance(rules, list) else [rules]:
            if isinstance(rule, str):
                yield f"{field}: {rule}"
