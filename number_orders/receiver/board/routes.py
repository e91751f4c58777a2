"""The endpoints of the board."""

from collections.abc import Awaitable, Callable, Coroutine
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Any, Final
from urllib.parse import urlencode
from uuid import UUID

import structlog
from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from number_orders.ledger.ledger import Ledger
from number_orders.orders.errors import LedgerUnavailable, NotStorable, UnknownOrder, WrongSchema
from number_orders.orders.model import CarrierName, Kind, Lane, OrderId
from number_orders.receiver.attempts import TooManyAttempts
from number_orders.receiver.board import lists, overview, plots
from number_orders.receiver.board.actions import DONE, ActionRefused, carry_out
from number_orders.receiver.board.changes import pause_lane, put_away, resume_lane
from number_orders.receiver.board.live import live_response, version_of
from number_orders.receiver.board.order_page import RECEIPTS_READ, order_page
from number_orders.receiver.board.pages import HEADERS, render, static_response
from number_orders.receiver.board.policy import BoardPolicy
from number_orders.receiver.board.service import Board, board_of
from number_orders.receiver.board.visitors import (
    LOGIN,
    LoginNeeded,
    Operator,
    Unwanted,
    Visitor,
    Watcher,
    drop_session,
    find_visitor,
    log_in,
    login_location,
    read_form,
    read_own_form,
    safe_path,
    set_session,
)
from number_orders.receiver.parts import Receiver, receiver_of
from number_orders.story.advice import Action

log = structlog.get_logger(__name__)

_OVERVIEW_EVERY_S: Final = 2.0
_ORDER_EVERY_S: Final = 1.0
_SEARCH_MAX: Final = 200
_CONFLICT: Final = HTTPStatus.CONFLICT

AlarmId = Annotated[int, Path(ge=1, lt=2**63)]


class LaneChange(StrEnum):
    """What can be done with a lane."""

    PAUSE = "pause"
    RESUME = "resume"


Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class BoardRoute(APIRoute):
    """Answers errors with pages, and gives every answer the headers of the board."""

    def get_route_handler(self) -> Handler:
        """Return the handler of a request."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                response = await handle(request)
            except LoginNeeded:
                response = RedirectResponse(login_location(request), HTTPStatus.SEE_OTHER)
            except HTTPException:
                raise  # FastAPI's own: no such path or method
            except Exception as error:  # noqa: BLE001  a person gets a page, whatever went wrong; `_error_page` logs it
                response = _error_page(request, error)
            for name, value in HEADERS.items():
                response.headers.setdefault(name, value)
            if new_session := getattr(request.state, "new_session", None):
                set_session(request, response, new_session, board_of(request))
            return response

        return answer


def board_router(policy: BoardPolicy) -> APIRouter:
    """Return the endpoints of the board, with this policy."""
    board = Board(policy)

    async def serve(request: Request) -> None:
        request.state.board = board

    made = APIRouter(dependencies=[Depends(serve)])
    made.include_router(router)
    return made


async def _ledger(request: Request) -> Ledger:
    return receiver_of(request).services.ledger


async def _board(request: Request) -> Board:
    return board_of(request)


async def _receiver(request: Request) -> Receiver:
    return receiver_of(request)


OfLedger = Annotated[Ledger, Depends(_ledger)]
OfReceiver = Annotated[Receiver, Depends(_receiver)]
OfBoard = Annotated[Board, Depends(_board)]

router = APIRouter(route_class=BoardRoute, include_in_schema=False)


@router.get("/static/{name}")
async def static(request: Request, name: str) -> Response:
    """Return a file of the pages. Needs no session."""
    found = static_response(name)
    if found is None:
        raise Unwanted(404, "There is no such file.")
    return found


@router.get(LOGIN)
async def login_page(request: Request) -> Response:
    """Show the form to log in, unless there is a session already."""
    target = safe_path(request.query_params.get("next", "/"))
    if await find_visitor(request) is not None:
        return RedirectResponse(target, HTTPStatus.SEE_OTHER)
    return render(request, "login.html", operator=None, target=target, fault=None)


@router.post(LOGIN)
async def login(request: Request, board: OfBoard) -> Response:
    """Open a session for an operator's token."""
    fields = await read_form(request)
    target = safe_path(fields.get("next", "/"))
    secret = await log_in(request, fields.get("token", ""))
    if secret is None:
        fault = "This token is unknown, expired or revoked."
        return render(request, "login.html", operator=None, status=403, target=target, fault=fault)
    response = RedirectResponse(target, HTTPStatus.SEE_OTHER)
    set_session(request, response, secret, board)
    return response


@router.post("/logout")
async def logout(request: Request, operator: Operator, ledger: OfLedger) -> Response:
    """End the session."""
    await read_own_form(request, operator)
    await ledger.sessions.close(operator.secret)
    response = RedirectResponse(LOGIN, HTTPStatus.SEE_OTHER)
    drop_session(request, response)
    return response


@router.get("/")
async def show_overview(request: Request, operator: Operator, board: OfBoard, ledger: OfLedger) -> Response:
    """Show everything at once."""
    return await _overview(request, operator, board, ledger)


async def _overview(
    request: Request, operator: Visitor, board: Board, ledger: Ledger, *, fault: str | None = None, status: int = 200
) -> Response:
    present = await overview.present(board, ledger)
    return render(
        request,
        "overview.html",
        operator=operator,
        status=status,
        now=present.now,
        present=present,
        matrix=await overview.matrix(board, ledger, present),
        hour=await overview.past_hour(board, ledger),
        day=await overview.past_day(board, ledger),
        stock=await overview.stock(board, ledger),
        shown=overview.SHOWN,
        ends=plots.ENDS,
        durations=plots.DURATIONS,
        fault=fault,
    )


@router.get("/live")
async def live_overview(request: Request, watcher: Watcher, board: OfBoard, ledger: OfLedger) -> Response:
    """Say when the overview has changed."""

    async def pulse() -> str:
        return (await overview.present(board, ledger)).version

    return live_response(request, board, watcher, pulse, every_s=_OVERVIEW_EVERY_S)


@router.get("/orders")
async def show_orders(request: Request, operator: Operator, ledger: OfLedger) -> Response:
    """Show a page of orders."""
    query = lists.read_query(request.query_params)
    page = await lists.read_page(ledger, query)
    return render(
        request,
        "orders.html",
        operator=operator,
        status=422 if query.faults else 200,
        now=page.now,
        page=page,
        list_query=query,
        groups=list(lists.GROUPS),
        kinds=[kind.value for kind in Kind],
        carriers=sorted({row["carrier"] for row in await ledger.board.carriers()}),
        producers=await ledger.board.producers(),
        rows=lists.ROWS,
    )


@router.get("/search")
async def search(request: Request, operator: Operator, ledger: OfLedger) -> Response:
    """Go to the order that a text names; list several; say so if there is none."""
    text = request.query_params.get("q", "").strip()[:_SEARCH_MAX]
    found = await lists.search(ledger, text) if text else []
    if len(found) == 1:
        return RedirectResponse(f"/orders/{found[0]}", HTTPStatus.SEE_OTHER)
    if not found and text in await ledger.board.producers():
        return RedirectResponse(f"/orders?{urlencode({'producer': text})}", HTTPStatus.SEE_OTHER)
    views = await ledger.order_views.read(found)
    orders = sorted(views.values(), key=lambda view: view.order.accepted_at, reverse=True)
    return render(request, "search.html", operator=operator, now=await ledger.now(), text=text, orders=orders)


@router.get("/orders/{order_id}")
async def show_order(request: Request, order_id: UUID, operator: Operator, receiver: OfReceiver) -> Response:
    """Show one order whole."""
    return await _order(request, OrderId(order_id), operator, receiver)


async def _order(
    request: Request,
    order_id: OrderId,
    operator: Visitor,
    receiver: Receiver,
    *,
    fault: str | None = None,
    refused: str | None = None,
    fields: dict[str, str] | None = None,
) -> Response:
    services = receiver.services
    pulse = await services.ledger.board.pulse(order_id)  # before the story, so a change in between is shown again
    story = await services.ledger.history.story(order_id, receipts_max=RECEIPTS_READ)
    whole = request.query_params.get("all") == "1"
    return render(
        request,
        "order.html",
        operator=operator,
        status=_CONFLICT if fault else 200,
        now=story.now,
        version_shown=version_of(pulse),
        page=order_page(story, services.orders, whole=whole),
        fault=fault,
        refused=refused,
        fields=fields or {},
        done=DONE.get(operator.remembered(request.query_params.get("done", ""), str(order_id), story.now) or ""),
    )


@router.get("/orders/{order_id}/live")
async def live_order(request: Request, order_id: UUID, watcher: Watcher, board: OfBoard, ledger: OfLedger) -> Response:
    """Say when an order has changed."""

    async def pulse() -> str:
        return version_of(await ledger.board.pulse(OrderId(order_id)))

    return live_response(request, board, watcher, pulse, every_s=_ORDER_EVERY_S)


@router.get("/orders/{order_id}/{action}")
async def after_action(order_id: UUID, action: Action, operator: Operator) -> Response:
    """Lead to the order: a refusal is shown under the address of its action, which somebody may load again."""
    return RedirectResponse(f"/orders/{order_id}", HTTPStatus.SEE_OTHER)


@router.get("/lanes/{carrier}/{lane}/{action}")  # noqa: FAST003  whatever they were, it leads to one page
@router.get("/alarms/{alarm_id}/clear")
async def after_change(operator: Operator) -> Response:
    """Lead to the overview, likewise."""
    return RedirectResponse("/", HTTPStatus.SEE_OTHER)


@router.post("/orders/{order_id}/{action}")
async def act(
    request: Request, order_id: UUID, action: Action, operator: Operator, board: OfBoard, receiver: OfReceiver
) -> Response:
    """Carry out what an operator decides about an order, in his name."""
    fields = await read_own_form(request, operator)
    services = receiver.services
    story = await services.ledger.history.story(OrderId(order_id), receipts_max=1)
    try:
        await carry_out(services.orders, story, action, fields, by=operator.name)
    except ActionRefused as refusal:
        return await _order(
            request,
            OrderId(order_id),
            operator,
            receiver,
            fault=str(refusal),
            refused=f"{action.value}:{fields.get('carrier_order_id_known', '')}",
            fields=fields,
        )
    board.forget_present()
    log.info("board_action", order_id=str(order_id), action=action.value, by=operator.name)
    done = operator.note(action.value, str(order_id), story.now)
    return RedirectResponse(f"/orders/{order_id}?done={done}", HTTPStatus.SEE_OTHER)


@router.post("/lanes/{carrier}/{lane}/{action}")
async def change_lane(
    request: Request,
    carrier: str,
    lane: Lane,
    action: LaneChange,
    operator: Operator,
    board: OfBoard,
    ledger: OfLedger,
) -> Response:
    """Pause a lane, or resume it, in the operator's name."""
    fields = await read_own_form(request, operator)
    carry = pause_lane if action is LaneChange.PAUSE else resume_lane
    change = carry(ledger.pauses, CarrierName(carrier), lane, fields, by=operator.name, now=await ledger.now())
    return await _after(change, request, operator, board, ledger, leads_to="/#lanes")


@router.post("/alarms/{alarm_id}/clear")
async def clear_alarm(
    request: Request, alarm_id: AlarmId, operator: Operator, board: OfBoard, ledger: OfLedger
) -> Response:
    """Put an alarm away until it happens again, in the operator's name."""
    fields = await read_own_form(request, operator)
    change = put_away(ledger.alarms, alarm_id, fields, by=operator.name, now=await ledger.now())
    return await _after(change, request, operator, board, ledger, leads_to="/#alarms")


async def _after(
    change: Awaitable[None], request: Request, operator: Visitor, board: Board, ledger: Ledger, *, leads_to: str
) -> Response:
    """Make a change, and lead to what it changed; if it is refused, show the overview as it is now, and why."""
    fault = None
    try:
        await change
    except ActionRefused as refusal:
        fault = str(refusal)
    board.forget_present()
    if fault is None:
        return RedirectResponse(leads_to, HTTPStatus.SEE_OTHER)
    return await _overview(request, operator, board, ledger, fault=fault, status=_CONFLICT)


def _error_page(request: Request, error: Exception) -> Response:
    """Return an error as a page."""
    match error:
        case Unwanted():
            status, words = error.status, error.words
        case TooManyAttempts():
            status, words = 429, f"{error}."
        case UnknownOrder() | RequestValidationError():
            status, words = 404, "There is no such order, or no such page."
        case NotStorable():
            log.warning("board_not_storable", path=request.url.path, trouble=str(error))
            status, words = 422, "The ledger cannot store or find what was typed. Nothing was done."
        case LedgerUnavailable() | WrongSchema():
            log.warning("ledger_away", trouble=str(error))
            status, words = 503, "The ledger does not answer now. Nothing is lost; try again in a few seconds."
        case _:
            log.error("board_failed", method=request.method, path=request.url.path, exc_info=error)
            status, words = 500, "A fault of this service; it was logged. Look what has been done before you try again."
    return render(request, "message.html", operator=None, status=status, words=words)
