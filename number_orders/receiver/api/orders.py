"""Orders: take them in, show one, list them, cancel one."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, ValidationError

from number_orders.fulfilment.answers import faults_to_json, outcomes_to_json, ticket_to_json
from number_orders.fulfilment.intake import Prospect, Refusal, Ticket
from number_orders.fulfilment.stock import Stock, look_at_stock
from number_orders.ledger.allowances import Allowance
from number_orders.ledger.order_views import OrderFilter, OrderView, PageCursor
from number_orders.orders.document import document
from number_orders.orders.errors import Fault, KeyConflict
from number_orders.orders.model import OrderId, State
from number_orders.orders.numbers import parse_e164
from number_orders.receiver import shapes
from number_orders.receiver.access import (
    QUESTION_COST,
    Caller,
    Served,
    charge,
    ordering_producer,
    visible_order,
    visible_producer,
)
from number_orders.receiver.api.documentation import OF_BODIES, batch_body, cancel_body, order_body, problems
from number_orders.receiver.bodies import BATCH_BODY_MAX, ORDER_BODY_MAX, as_object, read_json
from number_orders.receiver.cursor import read_cursor, write_cursor
from number_orders.receiver.parts import Receiver
from number_orders.receiver.problems import refused
from number_orders_client import contract

PATH: Final = "/v1/orders"
PAGE_MAX: Final = 200
_CANCEL_BODY_MAX: Final = 16 * 1024

router = APIRouter(tags=["orders"])


@router.post(
    PATH,
    status_code=201,
    response_model=contract.Ticket,
    responses={
        200: {
            "model": contract.Ticket | shapes.DryRun,
            "description": "The key is known: the ticket of that order. Or, with `dry_run`, what would happen.",
        },
        **problems("order-refused", "key-conflict", "forbidden", *OF_BODIES),
    },
    openapi_extra=order_body(),
)
async def submit(
    request: Request,
    caller: Caller,
    receiver: Served,
    *,
    idempotency_key: Annotated[
        str | None, Header(description="The key of the order, instead of the field `key`.")
    ] = None,
    dry_run: Annotated[
        bool, Query(description="Say what would happen, what is left of budgets, and what is in stock. Stores nothing.")
    ] = False,
) -> Response:
    """Take one order in. Sending it again under the same key is safe: it is the same order."""
    producer = ordering_producer(caller)
    order = _with_key(await read_json(request, bytes_max=ORDER_BODY_MAX), idempotency_key)
    if dry_run:
        charge(receiver, caller, QUESTION_COST)
        return JSONResponse(await _dry_run(receiver, order, producer))
    ticket = await receiver.batcher.submit(order, producer=producer, trace_parent=request.headers.get("traceparent"))
    location = {"Location": f"{PATH}/{ticket.order_id}"}
    return JSONResponse(ticket_to_json(ticket), 201 if ticket.new else 200, headers=location)


@router.post(
    f"{PATH}:batch",
    response_model=shapes.BatchAnswer,
    responses=problems("order-refused", "forbidden", *OF_BODIES),
    openapi_extra=batch_body(),
)
async def submit_batch(request: Request, caller: Caller, receiver: Served) -> Response:
    """Take up to 500 orders in. Each is accepted or refused by itself."""
    producer = ordering_producer(caller)
    body = as_object(await read_json(request, bytes_max=BATCH_BODY_MAX), known=frozenset({"orders"}))
    if not isinstance(body.get("orders"), list):
        raise refused([Fault("orders", "must be a list of orders")], name="order-refused")
    outcomes = await receiver.services.intake.submit_many(
        body["orders"], producer=producer, is_proven=True, trace_parent=request.headers.get("traceparent")
    )
    return JSONResponse(outcomes_to_json(outcomes))


@router.get(PATH, response_model=shapes.Page, responses=problems("forbidden"))
async def list_orders(
    caller: Caller,
    receiver: Served,
    *,
    state: Annotated[list[State] | None, Query(description="Only these states. Repeatable.")] = None,
    carrier: Annotated[str | None, Query(max_length=100)] = None,
    kind: Annotated[Literal["new_numbers", "add_messaging_numbers", "remove_numbers"] | None, Query()] = None,
    key: Annotated[str | None, Query(max_length=200)] = None,
    number: Annotated[str | None, Query(description="E.164; write the plus sign as %2B.", max_length=20)] = None,
    accepted_after: Annotated[AwareDatetime | None, Query(description="ISO 8601 with an offset.")] = None,
    accepted_before: Annotated[AwareDatetime | None, Query(description="ISO 8601 with an offset.")] = None,
    producer: Annotated[str | None, Query(description="For operators: only this producer.", max_length=100)] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 50,
    cursor: Annotated[str | None, Query(description="The `next` of the page before.", max_length=100)] = None,
) -> Response:
    """List orders, newest first, a page at a time."""
    wanted = OrderFilter(
        producer=visible_producer(caller, producer),
        key=key,
        number=None if number is None else _number(number),
        states=state,
        carrier=carrier,
        kind=kind,
        accepted_after=_moment("accepted_after", accepted_after),
        accepted_before=_moment("accepted_before", accepted_before),
    )
    ledger = receiver.services.ledger
    found = await ledger.order_views.page(wanted, limit=limit + 1, after=_cursor(cursor))
    page = found[:limit]
    following = write_cursor(_end_of(page)) if len(found) > limit else None
    return JSONResponse({"orders": await _documents(receiver, page), "next": following})


@router.get(
    f"{PATH}/{{order_id}}",
    response_model=contract.OrderDocument,
    responses={
        304: {"description": "It still has the version that `If-None-Match` names."},
        **problems("unknown-order"),
    },
)
async def show(
    order_id: UUID,
    caller: Caller,
    receiver: Served,
    if_none_match: Annotated[str | None, Header(description="The `ETag` of an earlier answer.")] = None,
) -> Response:
    """Show an order. The `ETag` is its version."""
    view = await visible_order(receiver, caller, order_id)
    etag = f'"{view.order.version}"'
    if if_none_match is not None and _names(if_none_match, etag):
        return Response(status_code=304, headers={"ETag": etag})
    return await _document(receiver, view, etag)


@router.post(
    f"{PATH}/{{order_id}}/cancel",
    response_model=contract.OrderDocument,
    responses=problems("unknown-order", "not-cancellable", *OF_BODIES),
    openapi_extra=cancel_body(),
)
async def cancel(request: Request, order_id: UUID, caller: Caller, receiver: Served) -> Response:
    """Cancel an order: at once if it was not sent yet, otherwise by asking the carrier, if the carrier can cancel."""
    why = await _why(request)
    await visible_order(receiver, caller, order_id)
    await receiver.services.orders.cancel(OrderId(order_id), by=caller.name, why=why)
    view = await visible_order(receiver, caller, order_id)
    return await _document(receiver, view, f'"{view.order.version}"')


def _with_key(order: Any, header: str | None) -> Any:
    """Return the order with the key that stands in the header, if it does.

    Raises:
        Problem: Header and body have different keys.
    """
    if header is None or not isinstance(order, dict):
        return order
    key = order.get("key", header)
    if key != header:
        raise refused(
            [Fault("key", "the body and the header Idempotency-Key must have the same key, or one of them none")],
            name="order-refused",
        )
    return {**order, "key": key}


async def _dry_run(receiver: Receiver, order: Any, producer: str) -> dict[str, object]:
    (foreseen,) = await receiver.services.intake.check([order], producer=producer, is_proven=True)
    match foreseen:
        case Ticket() as ticket:
            return _would("find", ticket=ticket_to_json(ticket))
        case Refusal(error=error):
            conflict = isinstance(error, KeyConflict)
            return _would("refuse", faults=faults_to_json(error.faults), conflict=conflict)
        case Prospect(request, limits, parked):
            stock = await look_at_stock(request, receiver.sellers)
            more = {"stock": stock and _stock(stock, request.wanted), "budget": [_budget(limit) for limit in limits]}
            return _would("accept" if parked is None else "park", parked=parked, **more)


def _would(would: str, **more: object) -> dict[str, object]:
    nothing: dict[str, object] = {
        "ticket": None,
        "conflict": False,
        "faults": [],
        "parked": None,
        "stock": None,
        "budget": [],
    }
    return {"would": would, **nothing, **more}


def _budget(limit: Allowance) -> dict[str, object]:
    until = limit.until and limit.until.isoformat()
    shown = {"span": limit.span, "carrier": limit.carrier, "numbers_max": limit.numbers_max, "left": limit.left}
    return {**shown, "until": until, "above": limit.above}


def _stock(stock: Stock, wanted: int) -> dict[str, object]:
    enough = None if stock.available is None else stock.available >= wanted
    return {"available": stock.available, "enough": enough, "why_unknown": stock.why_unknown}


def _number(text: str) -> str:
    # A plus sign that was not escaped arrives as a blank.
    return parse_number("number", f"+{text[1:]}" if text.startswith(" ") else text)


def parse_number(field: str, text: str) -> str:
    """Return a number in E.164.

    Raises:
        Problem: It is none.
    """
    try:
        return parse_e164(text)
    except ValueError as wrong:
        raise refused([Fault(field, str(wrong))]) from None


def _moment(field: str, given: datetime | None) -> datetime | None:
    """Return a moment that PostgreSQL and Python can compare.

    Raises:
        Problem: Its offset leads out of the calendar.
    """
    try:
        return given and given.astimezone(UTC)
    except OverflowError:
        raise refused([Fault(field, "lies outside the calendar")]) from None


def _cursor(word: str | None) -> PageCursor | None:
    try:
        return None if word is None else read_cursor(word)
    except ValueError as wrong:
        raise refused([Fault("cursor", str(wrong))]) from None


def _end_of(page: Sequence[OrderView]) -> PageCursor:
    return PageCursor(page[-1].order.accepted_at, page[-1].order.order_id)


async def _documents(receiver: Receiver, page: Sequence[OrderView]) -> list[dict[str, Any]]:
    numbers = await receiver.services.ledger.numbers.of_orders([view.order.order_id for view in page]) if page else {}
    return [document(view.order, numbers[view.order.order_id]) for view in page]


async def _document(receiver: Receiver, view: OrderView, etag: str) -> Response:
    (shown,) = await _documents(receiver, [view])
    return JSONResponse(shown, headers={"ETag": etag, "Cache-Control": "no-cache"})


def _names(header: str, etag: str) -> bool:
    """Tell whether `If-None-Match` names this version. Whether a tag is weak (`W/`) makes no difference."""
    tags = {tag.strip().removeprefix("W/") for tag in header.split(",")}
    return etag in tags or "*" in tags


async def _why(request: Request) -> str | None:
    """Return the reason of a cancellation; a request without a body gives none."""
    if request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers:
        return None
    body = as_object(await read_json(request, bytes_max=_CANCEL_BODY_MAX), known=frozenset({"why"}))
    try:
        why = shapes.Cancellation.model_validate(body, strict=True).why
    except ValidationError:
        raise refused([Fault("why", "must be a text of at most 1000 characters")]) from None
    cleaned = " ".join((why or "").split())
    if not cleaned.isprintable():
        raise refused([Fault("why", "must be a printable text")])
    return cleaned or None
