"""Swift's JSON: carts and requests written; carts, orders, numbers, lists and refusals read.

Knows names and shapes (`carriers.swift.facts`), and the oddities of the page's examples. Does not judge. Every fault of
a body is an `UnreadableAnswer`.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from number_orders.carriers.swift.facts import (
    CARRIER,
    COUNTRY_CODE,
    IDENTIFIER,
    NAME,
    NAME_MAX,
    NUMBER_TYPE,
    OK,
    Reach,
    Type,
    Wish,
)
from number_orders.orders.errors import UnreadableAnswer
from number_orders.orders.model import Criteria, Kind, Order
from number_orders.orders.numbers import E164, e164_from_carrier

_WISHES: Final = {
    Kind.NEW_NUMBERS: Wish.NEW,
    Kind.ADD_MESSAGING_NUMBERS: Wish.ADD,
    Kind.REMOVE_NUMBERS: Wish.REMOVE,
}
_REASON_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class CartView:
    """A cart as Swift shows it. `account` is where its numbers go, when it is told."""

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
    """None when all is well."""
    detail: str | None = None
    """The latest entry of its history that says anything."""
    troubles: tuple[str, ...] = ()
    """What the history says beside an error code."""
    inserted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Did:
    """One number on an account. `inserted_at` is on the carrier's clock."""

    e164: E164
    inserted_at: datetime
    sms: str | None
    mms: str | None


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of a list: what it holds, and the cursor for the next."""

    items: tuple[Mapping[str, Any], ...]
    after: str | None


def write_cart(order: Order) -> bytes:
    """Return a new cart that carries our order id."""
    named = NAME.format(order_id=order.order_id)
    name = f"{named} {order.request.name}"[:NAME_MAX] if order.request.name else named
    data = {"name": name, "notes": order.request.notes, "reference_id": str(order.order_id)}
    return _enveloped(Type.CART, data)


def write_request(order: Order, numbers: tuple[E164, ...]) -> bytes:
    """Return what goes into the cart; `numbers` are those of the order that this cart is about."""
    request = order.request
    if request.kind is Kind.NEW_NUMBERS:
        assert request.criteria is not None, "the rules let no order pass without"
        wanted = _criteria(request.criteria) | {"quantity": request.quantity, "number_type": NUMBER_TYPE}
    else:
        wanted = {"numbers": _bare(numbers), **request.options}
    named = NAME.format(order_id=order.order_id)
    data = {"name": named, "notes": request.notes, "type": _WISHES[request.kind], "data": _given(wanted)}
    return _enveloped(Type.REQUEST, data)


def read_cart(body: bytes) -> CartView:
    """Return the cart in an answer.

    Raises:
        UnreadableAnswer: It is none, or has no usable id or date.
    """
    shown, associations = _opened(body, Type.CART)
    cart_id, inserted_at = _identifier(shown.get("id")), _moment(shown.get("inserted_at"))
    if cart_id is None or inserted_at is None:
        raise UnreadableAnswer(CARRIER, "a cart without id or inserted_at", body)
    return CartView(cart_id, inserted_at, _associated(associations, "account"))


def require_request(body: bytes) -> None:
    """See that an answer is about a request in a cart. What it says of the request is not what was sent.

    Raises:
        UnreadableAnswer: It is not.
    """
    _opened(body, Type.REQUEST)


def read_order(body: bytes) -> OrderView:
    """Return the order in an answer.

    Raises:
        UnreadableAnswer: It is none.
    """
    shown, _ = _opened(body, Type.ORDER)
    return _order(shown)


def read_list(body: bytes) -> ListPage:
    """Return one page of a list.

    Raises:
        UnreadableAnswer: It is none.
    """
    shown, _ = _opened(body, Type.LIST)
    items, info = shown.get("items"), shown.get("page_info")
    if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
        raise UnreadableAnswer(CARRIER, "a list without items", body)
    inside = tuple(item.get("data") for item in items)
    if not all(isinstance(item, Mapping) for item in inside):
        raise UnreadableAnswer(CARRIER, "a list of something without data", body)
    after = _text(info.get("after")) if isinstance(info, Mapping) else None
    return ListPage(tuple(item for item in inside if isinstance(item, Mapping)), after)


def listed_order(item: Mapping[str, Any]) -> OrderView:
    """Return one order of a list."""
    return _order(item)


def listed_did(item: Mapping[str, Any]) -> Did | None:
    """Return one number of a list; None if it is no telephone number, which an account may well hold.

    Raises:
        UnreadableAnswer: It has no date, so nothing can be concluded from it.
    """
    try:
        e164 = e164_from_carrier(_text(item.get("number")) or "")
    except ValueError:
        return None
    inserted_at = _moment(item.get("inserted_at"))
    if inserted_at is None:
        raise UnreadableAnswer(CARRIER, f"the number {e164} is listed without inserted_at")
    return Did(e164, inserted_at, _reach(item.get("sms_status")), _reach(item.get("mms_status")))


def read_refusal(body: bytes) -> str:
    """Return why something was refused. The pages show no error body, so every text in it counts.

    Raises:
        UnreadableAnswer: It is no JSON object, or says nothing, or is something else altogether.
    """
    shown = _loaded(body)
    if not isinstance(shown, Mapping) or isinstance(shown.get("data"), Mapping):
        raise UnreadableAnswer(CARRIER, "not an error", body)
    if said := "; ".join(dict.fromkeys(_said(shown))):
        return said[:_REASON_MAX]
    raise UnreadableAnswer(CARRIER, "an error without a word", body)


def _enveloped(kind: Type, data: Mapping[str, object]) -> bytes:
    return json.dumps({"type": kind, "data": _given(data)}).encode()


def _given(fields: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}


def _criteria(criteria: Criteria) -> dict[str, object]:
    wanted = {name: getattr(criteria, name) for name in ("npa", "nxx", "lata", "state", "rate_center")}
    return {**wanted, "country_code": COUNTRY_CODE if criteria.country else None}


def _bare(numbers: tuple[E164, ...]) -> list[str]:
    return [number.removeprefix("+") for number in numbers]


def _loaded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as fault:
        raise UnreadableAnswer(CARRIER, "not JSON", body) from fault


def _opened(body: bytes, kind: Type) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return what an envelope holds, and its associations."""
    shown = _loaded(body)
    if not isinstance(shown, Mapping) or shown.get("type") != kind or not isinstance(shown.get("data"), Mapping):
        raise UnreadableAnswer(CARRIER, f"not a {kind}", body)
    associations = shown.get("associations")
    return shown["data"], associations if isinstance(associations, Mapping) else {}


def _associated(associations: Mapping[str, Any], name: str) -> str | None:
    inner = associations.get(name)
    data = inner.get("data") if isinstance(inner, Mapping) else None
    return _identifier(data.get("id")) if isinstance(data, Mapping) else None


def _order(shown: Mapping[str, Any]) -> OrderView:
    history = shown.get("status_history")
    entries = [entry for entry in history if isinstance(entry, Mapping)] if isinstance(history, list) else []
    troubles = [_text(entry.get("detail")) for entry in entries if _trouble(entry.get("error_code"))]
    details = [_text(entry.get("detail")) for entry in entries]
    status = _text(shown.get("status"))
    return OrderView(
        _identifier(shown.get("id")),
        status[:100] if status else None,
        _text(shown.get("reference_id")),
        _text(shown.get("name")),
        _trouble(shown.get("error_code")) or next(filter(None, (_trouble(e.get("error_code")) for e in entries)), None),
        next(filter(None, reversed(details)), None),
        tuple(filter(None, troubles)),
        _moment(shown.get("inserted_at")),
    )


def _trouble(code: Any) -> str | None:
    """Return an error code, unless it says that all is well."""
    said = _text(code)
    return said[:100] if said and said.casefold() != OK else None


def _said(shown: Any, field: str = "") -> Iterator[str]:
    """Yield every text, with the name of its field where that says more than "error"."""
    if isinstance(shown, Mapping):
        for name, value in shown.items():
            known = str(name) in {"errors", "error", "detail", "message", "title", "status", "code", "type"}
            yield from _said(value, field if known else str(name))
    elif isinstance(shown, list):
        for item in shown:
            yield from _said(item, field)
    elif text := _text(shown):
        yield f"{field}: {text}" if field else text


def _reach(said: Any) -> str | None:
    text = _text(said)
    return text.upper() if text and text.upper() in set(Reach) else text


def _identifier(said: Any) -> str | None:
    return said if isinstance(said, str) and IDENTIFIER.fullmatch(said) else None


def _text(said: Any) -> str | None:
    return said.strip()[:1000] or None if isinstance(said, str) else None


def _moment(said: Any) -> datetime | None:
    """Read a moment in UTC; None if it is none, or so far off that it cannot be reckoned with."""
    try:
        moment = datetime.fromisoformat(said) if isinstance(said, str) else None
        if moment is None:
            return None
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
