"""Meridian, a carrier that does not exist: the adapter of docs/adding-a-carrier.md.

Its made-up page says: `POST /v1/shops/{shop}/purchases` with `ref`, `area`, `count` and `all_or_nothing` answers 202
with `purchase` and `state`, or 422 with `error` and `says`. `GET …/purchases/{purchase}` shows `state`, `why` and
`numbers`; `GET …/purchases?ref=` lists those with that reference, compared exactly. `DELETE …/purchases/{purchase}`
withdraws one that is waiting, and answers 409 to any other. States are waiting, done, short, void and withdrawn.
"""

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from number_orders.carriers.contract import Capabilities, CarrierAnswer, CarrierRequest, Conversation, Purpose
from number_orders.orders.errors import Fault, Mistake, NoAnswer, UnreadableAnswer
from number_orders.orders.events import (
    Acknowledged,
    AnswerLost,
    CalledBack,
    Event,
    Filled,
    FilledWithErrors,
    FoundTwice,
    NotListed,
    NotSent,
    PartlyFilled,
    Refused,
    StillOpen,
)
from number_orders.orders.model import CarrierName, CarrierOrderId, Kind, NumberResult, NumberState, Order, OrderRequest
from number_orders.orders.numbers import e164_from_carrier

CARRIER: Final = "meridian"
COUNT_MAX: Final = 50
_JSON: Final = "application/json"
_AREA: Final = re.compile(r"[2-9][0-9]{2}")
_PURCHASE: Final = re.compile(r"MP-[0-9]{1,12}")
"""What does not match is never put into a path."""
_CONFIGURATION_ERRORS: Final[Mapping[int, str]] = {401: "the key was not accepted", 404: "no such shop"}


class Meridian:
    """Translates orders to and from Meridian's JSON; never opens a socket."""

    def __init__(self, shop: str) -> None:
        self._purchases = f"/v1/shops/{quote(shop, safe='')}/purchases"

    @property
    def name(self) -> CarrierName:
        return CarrierName(CARRIER)

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            kinds=frozenset({Kind.NEW_NUMBERS}),
            quantity_max=COUNT_MAX,
            partial_fill=True,
            backorder=False,
            found_by_reference=True,
            cancellable=frozenset({Kind.NEW_NUMBERS}),
        )

    def check(self, request: OrderRequest) -> tuple[Fault, ...]:
        """Return everything that Meridian would refuse; empty if the order is good."""
        criteria, faults = request.criteria, []
        if request.kind is not Kind.NEW_NUMBERS:
            faults.append(Fault("kind", f"must be {Kind.NEW_NUMBERS}: Meridian does not take {request.kind}"))
        if criteria is None or criteria.given() != {"npa"} or not _AREA.fullmatch(criteria.npa or ""):
            faults.append(Fault("criteria", "must be npa, and nothing else: Meridian sells by area code"))
        if not 1 <= (request.quantity or 0) <= COUNT_MAX:
            faults.append(Fault("quantity", f"must be 1 to {COUNT_MAX}"))
        if request.allow_backorder:
            faults.append(Fault("allow_backorder", "is not offered: Meridian sells only what is in stock"))
        return tuple(faults)

    def serial_keys(self, request: OrderRequest) -> tuple[str, ...]:
        """Return nothing: orders are told apart by their reference."""
        return ()

    def submit(self, order: Order) -> Conversation:
        """Buy with one POST."""
        assert order.request.criteria is not None, "check refuses an order without criteria"
        fields = {
            "ref": order.reference,
            "area": order.request.criteria.npa,
            "count": order.request.quantity,
            "all_or_nothing": not order.request.allow_partial,
        }
        body = json.dumps(fields).encode()
        answer = yield CarrierRequest(
            "POST", self._purchases, Purpose.COMMIT, body=body, content_type=_JSON, accept=_JSON
        )
        return _decode_submission(answer)

    def ask(self, order: Order) -> Conversation:
        """Ask for the status. Withdraw a cancelled order first, if that is possible."""
        if order.carrier_order_id is None:
            raise Mistake(f"order {order.order_id} has no purchase to ask for")
        path = f"{self._purchases}/{quote(order.carrier_order_id, safe='')}"
        if order.cancel_asked_at:
            answer = yield CarrierRequest("DELETE", path, Purpose.PREPARE, accept=_JSON)
            if answer.status not in {HTTPStatus.OK, HTTPStatus.CONFLICT}:
                raise NoAnswer(f"HTTP {answer.status} to a withdrawal")
        answer = yield CarrierRequest("GET", path, Purpose.READ, accept=_JSON)
        return _decode_status(order, _content(answer))

    def look_for(self, order: Order) -> Conversation:
        """Look for the order by our reference."""
        query = {"ref": order.reference}
        answer = yield CarrierRequest("GET", self._purchases, Purpose.READ, query, accept=_JSON)
        listed = _content(answer).get("purchases")
        if not isinstance(listed, list):
            raise UnreadableAnswer(CARRIER, "no list of purchases", answer.body)
        found = tuple(_purchase_id(one) for one in listed if one.get("ref") == order.reference)
        if len(found) > 1:
            return FoundTwice(found)
        return Acknowledged(found[0]) if found else NotListed("the purchases with our reference")


def _decode_submission(answer: CarrierAnswer) -> Event:
    """Return the event for the answer to the POST. Everything that is not certain is `AnswerLost`."""
    if reason := _CONFIGURATION_ERRORS.get(answer.status):
        return NotSent(f"HTTP {answer.status}: {reason}")
    try:
        shown = _read(answer.body)
        if answer.status == HTTPStatus.UNPROCESSABLE_ENTITY:
            return Refused(str(shown["says"]), str(shown["error"]))
        if answer.status == HTTPStatus.ACCEPTED:
            return Acknowledged(_purchase_id(shown), str(shown["state"]))
    except (UnreadableAnswer, KeyError) as fault:
        return AnswerLost(f"HTTP {answer.status} and {fault}")
    return AnswerLost(f"HTTP {answer.status} instead of an answer to the purchase")


def _decode_status(order: Order, shown: Mapping[str, Any]) -> Event:
    state, why = str(shown.get("state")), str(shown.get("why") or "no reason given")
    try:
        got = tuple(NumberResult(e164_from_carrier(n), NumberState.ACQUIRED) for n in shown.get("numbers") or ())
    except (ValueError, AttributeError) as fault:
        raise UnreadableAnswer(CARRIER, "numbers that cannot be read") from fault
    match state:
        case "waiting":
            return StillOpen(state)
        case "done" if len(got) == order.request.wanted:
            return Filled(state, got)
        case "short" if 0 < len(got) < order.request.wanted:
            return PartlyFilled(state, got, why)
        case "void" if not got:
            return Refused(why, carrier_status=state)
        case "withdrawn" if not got:
            return CalledBack(why, state)
        case "done" | "short" | "void" | "withdrawn":
            return FilledWithErrors(state, got, f"the carrier says {state}, and shows {len(got)} numbers")
        case _:
            return StillOpen(state, got, unheard_of=True)


def _content(answer: CarrierAnswer) -> Mapping[str, Any]:
    if answer.status != HTTPStatus.OK:
        raise NoAnswer(f"HTTP {answer.status}")
    return _read(answer.body)


def _read(body: bytes) -> Mapping[str, Any]:
    try:
        shown = json.loads(body)
    except (ValueError, RecursionError) as fault:
        raise UnreadableAnswer(CARRIER, "not JSON", body) from fault
    if not isinstance(shown, dict):
        raise UnreadableAnswer(CARRIER, "not an object", body)
    return shown


def _purchase_id(shown: Mapping[str, Any]) -> CarrierOrderId:
    purchase = shown.get("purchase")
    if not isinstance(purchase, str) or not _PURCHASE.fullmatch(purchase):
        raise UnreadableAnswer(CARRIER, "a purchase without an id")
    return CarrierOrderId(purchase)
