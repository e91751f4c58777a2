"""Write carts and requests as JSON; read carts, orders, numbers, lists and refusals.

Knows names and shapes, and the oddities of the page's examples. Does not judge. Everything wrong with a body raises
`UnreadableAnswer`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from number_orders.carriers.found_content import content_digest
from number_orders.carriers.swift.facts import (
    CARRIER,
    COUNTRY_CODE,
    IDENTIFIER,
    NAME_FORMAT,
    NAME_MAX,
    NUMBER_TYPE,
    OK,
    EnvelopeType,
    MessagingStatus,
    RequestType,
)
from number_orders.orders.errors import UnreadableAnswer
from number_orders.orders.model import Criteria, Kind, Order, OrderRequest
from number_orders.orders.numbers import E164, e164_from_carrier

_REQUEST_TYPES: Final = {
    Kind.NEW_NUMBERS: RequestType.NEW,
    Kind.ADD_MESSAGING_NUMBERS: RequestType.ADD,
    Kind.REMOVE_NUMBERS: RequestType.REMOVE,
}
_REASON_MAX: Final = 500
_DEPTH_MAX: Final = 12
_WRITTEN_NUMBER: Final = re.compile(r"\+?[0-9 ().-]+")
"""A telephone number as people write it: `(919) 555-0100`."""
_NATIONAL_DIGITS: Final = 10
_INTERNATIONAL: Final = re.compile(r"\+[1-9][0-9]{9,14}")
"""Shorter ones are short codes."""
_WORD: Final = re.compile(r"[^\W\d_]{2}")
_JSON_WORDS: Final = frozenset({"true", "false", "null", "NaN", "Infinity", "-Infinity"})
_PLAIN_FIELDS: Final = frozenset(
    {"data", "errors", "error", "detail", "details", "message", "title", "status", "code", "type"}
)
"""Fields of an error whose name says nothing about what is wrong."""
_ENVELOPE_TYPES: Final = ("error", "errors", *EnvelopeType)


@dataclass(frozen=True, slots=True)
class CartView:
    """A cart as Swift shows it. `account` is where its numbers go, if Swift says so."""

    cart_id: str
    inserted_at: datetime
    account: str | None


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order as Swift shows it. It never says which numbers it is about."""

    order_id: str | None
    status: str | None
    reference: str | None = None
    name: str | None = None
    error_code: str | None = None
    """None if all is well."""
    detail: str | None = None
    """The latest text in its history."""
    error_details: tuple[str, ...] = ()
    """The texts in its history that stand beside an error code."""
    inserted_at: datetime | None = None
    """When its cart was made, or it was: the page shows both."""
    checked_out_at: datetime | None = None
    """When its cart was checked out: the time of the first entry in its history."""
    changed_at: datetime | None = None
    """The time of the last entry."""


@dataclass(frozen=True, slots=True)
class Did:
    """One number of an account. `inserted_at` is on the carrier's clock."""

    e164: E164
    inserted_at: datetime
    sms: str | None
    mms: str | None
    written: str | None = None
    """The number as Swift writes it, if no numbering plan allows it."""


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of a list, and the cursor of the next."""

    items: tuple[Mapping[str, Any], ...]
    after: str | None


def content_in_name(request: OrderRequest) -> str:
    """Return what is ordered, as the name of a cart has it: a letter for the kind, and a digest."""
    return request.kind[0] + content_digest(request)


def write_cart(order: Order) -> bytes:
    """Return a new cart that has our reference."""
    named = NAME_FORMAT.format(reference=order.reference, content=content_in_name(order.request))
    name = f"{named} {order.request.name}"[:NAME_MAX] if order.request.name else named
    data = {"name": name, "notes": order.request.notes, "reference_id": order.reference}
    return _envelope(EnvelopeType.CART, data)


def write_request(order: Order, numbers: tuple[E164, ...]) -> bytes:
    """Return the request for a cart. `numbers` are those of the order that this cart is about."""
    request = order.request
    if request.kind is Kind.NEW_NUMBERS:
        assert request.criteria is not None, "the rules refuse an order without criteria"
        wanted = _criteria(request.criteria) | {"quantity": request.quantity, "number_type": NUMBER_TYPE}
    else:
        wanted = {"numbers": _bare(numbers), **request.options}
    named = NAME_FORMAT.format(reference=order.reference, content=content_in_name(order.request))
    data = {"name": named, "notes": request.notes, "type": _REQUEST_TYPES[request.kind], "data": _without_nones(wanted)}
    return _envelope(EnvelopeType.REQUEST, data)


def read_cart(body: bytes) -> CartView:
    """Return the cart in an answer.

    Raises:
        UnreadableAnswer: It is not a cart, or has no usable id or date.
    """
    shown, associations = _open_envelope(body, EnvelopeType.CART)
    cart_id, inserted_at = _identifier(shown.get("id")), _moment(shown.get("inserted_at"))
    if cart_id is None or inserted_at is None:
        raise UnreadableAnswer(CARRIER, "a cart without id or inserted_at", body)
    return CartView(cart_id, inserted_at, _associated_id(associations, "account"))


def require_request(body: bytes) -> None:
    """Check that an answer is about a request in a cart. What it shows of the request is not what was sent.

    Raises:
        UnreadableAnswer: It is not.
    """
    _open_envelope(body, EnvelopeType.REQUEST)


def read_order(body: bytes) -> OrderView:
    """Return the order in an answer.

    Raises:
        UnreadableAnswer: It is not an order.
    """
    shown, _ = _open_envelope(body, EnvelopeType.ORDER)
    return _read_order_data(shown)


def read_list(body: bytes) -> ListPage:
    """Return one page of a list.

    Raises:
        UnreadableAnswer: It is not a list.
    """
    shown, _ = _open_envelope(body, EnvelopeType.LIST)
    items, info = shown.get("items"), shown.get("page_info")
    if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
        raise UnreadableAnswer(CARRIER, "a list without items", body)
    inside = tuple(item.get("data") for item in items)
    if not all(isinstance(item, Mapping) for item in inside):
        raise UnreadableAnswer(CARRIER, "a list of something without data", body)
    after = _text(info.get("after")) if isinstance(info, Mapping) else None
    return ListPage(tuple(item for item in inside if isinstance(item, Mapping)), after)


def read_listed_order(item: Mapping[str, Any]) -> OrderView:
    """Return one order of a list."""
    return _read_order_data(item)


def read_listed_did(item: Mapping[str, Any]) -> Did | None:
    """Return one number of a list; None if it is not a telephone number, which an account may well have.

    A number that no numbering plan allows is kept, with its text: what was bought must not be lost.

    Raises:
        UnreadableAnswer: It has no date, so nothing can be concluded from it.
    """
    text = _text(item.get("number")) or ""
    e164 = _parse_number(text) or _parse_number_loosely(text)
    if e164 is None:
        return None
    inserted_at = _moment(item.get("inserted_at"))
    if inserted_at is None:
        raise UnreadableAnswer(CARRIER, f"the number {e164} is listed without inserted_at")
    sms, mms = _messaging_status(item.get("sms_status")), _messaging_status(item.get("mms_status"))
    return Did(e164, inserted_at, sms, mms, None if _parse_number(e164) else text)


def read_refusal(body: bytes) -> str:
    """Return why something was refused. The pages show no error body, so every text in it is taken.

    It may be flat or nested, in Swift's envelope or without, a list, or plain text, which we accept as well.

    Raises:
        UnreadableAnswer: It has no text, or is something else than an error: a cart, an order, a gateway's page.
    """
    shown = _plain_text(body) or _parse(body)
    if _is_object(shown):
        raise UnreadableAnswer(CARRIER, "not an error", body)
    if text := "; ".join(dict.fromkeys(_texts(shown))):
        return text[:_REASON_MAX]
    raise UnreadableAnswer(CARRIER, "an error without a text", body)


def _parse_number(text: str) -> E164 | None:
    try:
        return e164_from_carrier(text)
    except ValueError:
        return None


def _parse_number_loosely(text: str) -> E164 | None:
    """Return a number that is written unusually, or that no numbering plan allows, in our form; None if it has none.

    `9191550100` is no North American number, since no exchange begins with 1, and is read as `+19191550100`.
    """
    if not _WRITTEN_NUMBER.fullmatch(text):
        return None
    digits = "".join(char for char in text if char.isdigit())
    national = len(digits) == _NATIONAL_DIGITS and not text.startswith("+")
    number = f"+1{digits}" if national else f"+{digits}"
    return E164(number) if _INTERNATIONAL.fullmatch(number) else None


def _envelope(kind: EnvelopeType, data: Mapping[str, object]) -> bytes:
    return json.dumps({"type": kind, "data": _without_nones(data)}).encode()


def _without_nones(fields: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}


def _criteria(criteria: Criteria) -> dict[str, object]:
    wanted = {name: getattr(criteria, name) for name in ("npa", "nxx", "lata", "state", "rate_center")}
    return {**wanted, "country_code": COUNTRY_CODE if criteria.country else None}


def _bare(numbers: tuple[E164, ...]) -> list[str]:
    return [number.removeprefix("+") for number in numbers]


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as fault:
        raise UnreadableAnswer(CARRIER, "not JSON", body) from fault


def _open_envelope(body: bytes, kind: EnvelopeType) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return what an envelope contains, and its associations."""
    shown = _parse(body)
    if not isinstance(shown, Mapping) or shown.get("type") != kind or not isinstance(shown.get("data"), Mapping):
        raise UnreadableAnswer(CARRIER, f"not a {kind}", body)
    associations = shown.get("associations")
    return shown["data"], associations if isinstance(associations, Mapping) else {}


def _associated_id(associations: Mapping[str, Any], name: str) -> str | None:
    inner = associations.get(name)
    data = inner.get("data") if isinstance(inner, Mapping) else None
    return _identifier(data.get("id")) if isinstance(data, Mapping) else None


def _read_order_data(shown: Mapping[str, Any]) -> OrderView:
    history = shown.get("status_history")
    entries = [entry for entry in history if isinstance(entry, Mapping)] if isinstance(history, list) else []
    error_details = [_text(entry.get("detail")) for entry in entries if _error_code(entry.get("error_code"))]
    details = [_text(entry.get("detail")) for entry in entries]
    times = [time for entry in entries if (time := _moment(entry.get("inserted_at")))]
    status = _text(shown.get("status"))
    codes = [_error_code(item.get("error_code")) for item in (shown, *entries)]
    return OrderView(
        _identifier(shown.get("id")),
        status[:100] if status else None,
        _text(shown.get("reference_id")),
        _text(shown.get("name")),
        next(filter(None, codes), None),
        next(filter(None, reversed(details)), None),
        tuple(filter(None, error_details)),
        _moment(shown.get("inserted_at")),
        min(times, default=None),
        max(times, default=None),
    )


def _error_code(code: Any) -> str | None:
    """Return an error code; None if it is the code of success."""
    text = _text(code)
    return text[:100] if text and text.casefold() != OK else None


def _plain_text(body: bytes) -> str | None:
    """Return a body that is words and neither JSON nor a page; None if it is not."""
    try:
        text = body.decode().strip()
    except UnicodeDecodeError:
        return None
    structured = text.startswith(("{", "[", '"')) or "<" in text
    readable = all(char.isprintable() or char.isspace() for char in text)
    return text if readable and not structured and _WORD.search(text) and text not in _JSON_WORDS else None


def _is_object(shown: Any) -> bool:
    """Return whether this is the envelope of a cart, a request, an order or a list, and not of an error."""
    if not isinstance(shown, Mapping) or not isinstance(shown.get("data"), Mapping):
        return False
    inside = shown["data"]
    return shown.get("type") in list(EnvelopeType) and not ({"error", "errors"} & inside.keys() and "id" not in inside)


def _texts(shown: Any, field: str = "", depth: int = 0) -> Iterator[str]:
    """Yield every text, preceded by the name of its field if that says more than "error"."""
    if depth > _DEPTH_MAX:
        return
    if isinstance(shown, Mapping):
        for name, value in shown.items():
            is_label = name == "type" and value in _ENVELOPE_TYPES
            if name != "associations" and not is_label:
                yield from _texts(value, field if name in _PLAIN_FIELDS else str(name), depth + 1)
    elif isinstance(shown, list):
        for item in shown:
            yield from _texts(item, field, depth + 1)
    elif text := _text(shown):
        yield f"{field}: {text}" if field else text


def _messaging_status(value: Any) -> str | None:
    text = _text(value)
    return text.upper() if text and text.upper() in set(MessagingStatus) else text


def _identifier(value: Any) -> str | None:
    return value if isinstance(value, str) and IDENTIFIER.fullmatch(value) else None


def _text(value: Any) -> str | None:
    return value.strip()[:1000] or None if isinstance(value, str) else None


def _moment(value: Any) -> datetime | None:
    """Read a moment in UTC; None if it is not one, or is too far away to calculate with."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        if moment is None:
            return None
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
