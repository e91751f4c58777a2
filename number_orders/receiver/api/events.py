"""The events of an order: as a list, or as a stream that goes on until the order has ended (Server-Sent Events)."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import JSONResponse, StreamingResponse

from number_orders.fulfilment.authority import Identity
from number_orders.ledger.order_views import OrderView
from number_orders.orders.errors import Fault, FulfilmentError
from number_orders.orders.model import OrderId, State
from number_orders.orders.sentences import sentence
from number_orders.receiver import shapes
from number_orders.receiver.access import Caller, Served, owner_of_requests, visible_order
from number_orders.receiver.api.documentation import problems
from number_orders.receiver.api.orders import PATH
from number_orders.receiver.parts import Receiver
from number_orders.receiver.problems import Problem, refused
from number_orders.receiver.streams import TooManyReaders

HEARTBEAT_S: Final = 15.0
"""How long a stream is silent before it sends a comment, so that proxies keep it open."""
STREAM_S: Final = 900.0
"""How long one stream lasts. Its reader connects again, with a token that is still valid."""
_RETRY_MS: Final = 2000
_STREAM: Final = "text/event-stream"
_VERSION_DIGITS: Final = 9

_ABOUT: Final = """\
The events, oldest first. With `Accept: text/event-stream` a stream: each message is one event, its id is the version,
and `Last-Event-ID` goes on after it. When the order has ended, an event `end` has the order document, and the stream
ends: close your side then."""

router = APIRouter(tags=["orders"])


@router.get(
    f"{PATH}/{{order_id}}/events",
    response_model=shapes.Events,
    responses={
        200: {
            "description": _ABOUT,
            "content": {_STREAM: {"schema": {"type": "string"}}},
        },
        **problems("unknown-order", "too-many-requests"),
    },
)
async def events(
    order_id: UUID,
    caller: Caller,
    receiver: Served,
    *,
    accept: Annotated[str, Header()] = "",
    last_event_id: Annotated[str | None, Header(description="Only events after this version.")] = None,
    after: Annotated[int | None, Query(ge=-1, le=10**_VERSION_DIGITS, description="The same.")] = None,
) -> Response:
    """Show the events of an order, or follow them."""
    seen = _version(last_event_id) if after is None else after
    view = await visible_order(receiver, caller, order_id)
    if seen > view.order.version:
        seen = -1  # the ledger fell back in time: versions were given out again
    if _STREAM in accept:
        return _stream(receiver, caller, view, seen)
    rows = await receiver.services.ledger.order_views.news({view.order.order_id: seen})
    return JSONResponse({"events": [event_to_json(row) for row in rows]})


def event_to_json(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event as JSON values."""
    return {
        "version": row["version"],
        "at": row["at"].isoformat(timespec="microseconds"),
        "event": row["event"],
        "state": row["state"],
        "late": row["late"],
        "text": sentence(row),
        "detail": row["detail"],
    }


def _version(header: str | None) -> int:
    if header is None or header == "":
        return -1
    if header.isascii() and header.isdecimal() and len(header) <= _VERSION_DIGITS:
        return int(header)
    raise refused([Fault("Last-Event-ID", "must be the id of an event of this stream")])


def _stream(receiver: Receiver, caller: Identity, view: OrderView, seen: int) -> Response:
    owner = owner_of_requests(caller)
    if receiver.streams.is_full_for(owner):
        whose = (
            "this process serves as many streams" if receiver.streams.is_full else f"{caller.name} has as many streams"
        )
        words = f"{whose} as it may; close some, or ask for the events without a stream"
        raise Problem("too-many-requests", words, headers={"Retry-After": "5"})
    # Without the last header a buffering proxy (nginx) would hold events back.
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_messages(receiver, owner, view, seen), media_type=_STREAM, headers=headers)


async def _messages(receiver: Receiver, owner: str, view: OrderView, seen: int) -> AsyncIterator[str]:
    """Yield the messages of one stream; after `STREAM_S` it ends, and its reader goes on with another."""
    yield f"retry: {_RETRY_MS}\n\n"
    order_id, is_over = view.order.order_id, view.order.state.is_final
    try:
        async with asyncio.timeout(STREAM_S):
            if is_over:  # what there is comes at once; of a purged order there is nothing
                yield "".join(map(_message, await receiver.services.ledger.order_views.news({order_id: seen})))
            else:
                following = receiver.streams.follow(order_id, after=seen, heartbeat_s=HEARTBEAT_S, owner=owner)
                async with aclosing(following) as groups:
                    async for rows in groups:
                        yield "".join(map(_message, rows)) or ": still open\n\n"
                        if is_over := _has_ended(rows):
                            break
            if is_over:
                yield await _end(receiver, order_id)
    except (TimeoutError, TooManyReaders, FulfilmentError):
        return


def _has_ended(rows: Sequence[Mapping[str, Any]]) -> bool:
    return bool(rows) and State(rows[-1]["state"]).is_final


def _message(row: Mapping[str, Any]) -> str:
    return f"id: {row['version']}\ndata: {json.dumps(event_to_json(row))}\n\n"


async def _end(receiver: Receiver, order_id: OrderId) -> str:
    (shown,) = await receiver.services.orders.documents([order_id])
    return f"event: end\ndata: {json.dumps(shown)}\n\n"
