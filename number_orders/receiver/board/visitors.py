"""Who uses the board: operators with a session. Checks that a form was sent from a page of ours.

A session begins with an operator's token, or with the header of a trusted proxy, and holds only while that header names
the same operator. Forms carry a token derived from the session's secret, which no other site knows.
"""

import asyncio
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Annotated, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import structlog
from fastapi import Depends, Request, Response
from starlette.requests import ClientDisconnect

from number_orders.fulfilment.authority import Role
from number_orders.receiver.access import address_of, identify_token
from number_orders.receiver.board.policy import BoardPolicy
from number_orders.receiver.board.service import Board, board_of
from number_orders.receiver.parts import Receiver, receiver_of

LOGIN: Final = "/login"
LIVE_HEADER: Final = "x-board-live"
"""Marks the requests that the page makes by itself, which do not keep a session from being idle."""
_FORM_BYTES_MAX: Final = 32 * 1024
_NAME_MAX: Final = 100
_SECRET_MAX: Final = 200
_FORM_WITHIN_S: Final = 30.0
_NOTE_LASTS: Final = timedelta(minutes=1)

log = structlog.get_logger(__name__)


class LoginNeeded(Exception):
    """There is no session, or it is over."""


class Unwanted(Exception):
    """The request is refused: with these words, under this status."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.words = words


@dataclass(frozen=True, slots=True)
class Visitor:
    """An operator with a session."""

    name: str
    secret: str
    """What the session's cookie holds."""

    @property
    def form_token(self) -> str:
        """What every form of this session carries."""
        return self._sign("form")

    def note(self, what: str, about: str, now: datetime) -> str:
        """Return a word for an address by which the next page knows what this session has just done.

        Nobody else can make it, it holds for one subject, and for `_NOTE_LASTS`.
        """
        said = f"{what}.{int(now.timestamp())}"
        return f"{said}.{self._sign(f'note {about} {said}')}"

    def remembered(self, note: str, about: str, now: datetime) -> str | None:
        """Return what such a word says; None if it is none of this session and subject, or an old one."""
        said, _, signature = note.rpartition(".")
        what, _, at = said.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(f"note {about} {said}").encode()):
            return None
        return what if now.timestamp() - int(at) <= _NOTE_LASTS.total_seconds() else None

    def _sign(self, text: str) -> str:
        return hmac.new(self.secret.encode(), text.encode(errors="replace"), sha256).hexdigest()


async def visitor(request: Request) -> Visitor:
    """Return who uses the board.

    Raises:
        LoginNeeded: Nobody who is known.
    """
    found = await find_visitor(request)
    if found is None:
        raise LoginNeeded
    return found


async def watcher(request: Request) -> Visitor:
    """Return whose page asks to be kept up to date. That is no use: the browser does it by itself, without our header.

    Raises:
        LoginNeeded: The session is over.
    """
    found = await find_visitor(request, touches=False)
    if found is None:
        raise LoginNeeded
    return found


Operator = Annotated[Visitor, Depends(visitor)]
Watcher = Annotated[Visitor, Depends(watcher)]


async def find_visitor(request: Request, *, touches: bool | None = None) -> Visitor | None:
    """Return who has a session; for an operator whom a trusted proxy names, a new one if needed.

    `touches`: whether this counts as use; by default unless the page has made the request by itself. What never counts
    as use opens no session either.
    """
    board, receiver = board_of(request), receiver_of(request)
    named = proxy_user(request, board.policy)
    secret = request.cookies.get(cookie_name(request), "")
    if 0 < len(secret) <= _SECRET_MAX:
        is_use = LIVE_HEADER not in request.headers if touches is None else touches
        sessions, policy = receiver.services.ledger.sessions, board.policy
        found = await receiver.attempts.look_up(
            secret,
            lambda: sessions.find(secret, idle=policy.idle, lasts=policy.lasts, touches=is_use),
            address=address_of(request),
        )
        if found and (found.token_id is not None or found.operator == named):
            return Visitor(found.operator, secret)
    if named is not None and touches is not False:
        request.state.new_session = await receiver.services.ledger.sessions.open(named, None)
        return Visitor(named, request.state.new_session)
    return None


def proxy_user(request: Request, policy: BoardPolicy) -> str | None:
    """Return the operator whom a trusted proxy names; None if there is none.

    Raises:
        Unwanted: The header is there twice, or has a comma (a proxy may join two). One of them may be the client's own.
    """
    if policy.user_header is None or not policy.is_proxy(request.scope.get("peer")):
        return None
    given = request.headers.getlist(policy.user_header)
    if len(given) > 1 or any("," in each for each in given):
        log.warning("operator_named_twice", header=policy.user_header, count=len(given))
        words = f"The proxy sent {policy.user_header} twice: it must remove the header from what its clients send."
        raise Unwanted(400, words)
    name = " ".join("".join(given).split())
    return name if 0 < len(name) <= _NAME_MAX and name.isprintable() else None


async def log_in(request: Request, token: str) -> str | None:
    """Open a session for the operator who has this token, and return its secret; None if nobody has.

    Raises:
        Unwanted: It is the token of a producer.
    """
    receiver: Receiver = receiver_of(request)
    identity = await identify_token(receiver, token.strip(), address_of(request))
    if identity is None:
        return None
    if identity.role is not Role.OPERATOR:
        raise Unwanted(403, "That is a producer's token. The board is for operators.")
    return await receiver.services.ledger.sessions.open(identity.name, identity.token_id)


def set_session(request: Request, response: Response, secret: str, board: Board) -> None:
    """Give the browser the session. Over https only there; no script reads it, and no other site's form sends it."""
    response.set_cookie(
        cookie_name(request),
        secret,
        max_age=int(board.policy.lasts.total_seconds()),
        secure=_is_secure(request),
        httponly=True,
        samesite="lax",
        path="/",
    )


def drop_session(request: Request, response: Response) -> None:
    """Make the browser forget the session."""
    response.delete_cookie(cookie_name(request), path="/", secure=_is_secure(request), httponly=True, samesite="lax")


def cookie_name(request: Request) -> str:
    """Return the name of the cookie. With the prefix browsers take it over https only, and from no other host."""
    return "__Host-board" if _is_secure(request) else "board"


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a form that was sent from a page of this board.

    Raises:
        Unwanted: It was sent from elsewhere, is too long or too slow, or is no form.
    """
    if not _is_from_here(request):
        raise Unwanted(403, "This form was not sent from a page of this board, so nothing was done.")
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise Unwanted(415, "This is not a form of this board.")
    body = await _read_body(request)
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=50))
    except ValueError as wrong:
        raise Unwanted(400, "The form cannot be read.") from wrong


async def _read_body(request: Request) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(_FORM_WITHIN_S):
            async for part in request.stream():
                body += part
                if len(body) > _FORM_BYTES_MAX:
                    raise Unwanted(413, "The form is too long.")
    except TimeoutError:
        raise Unwanted(408, f"The form did not arrive within {_FORM_WITHIN_S:g} s. Nothing was done.") from None
    except ClientDisconnect:
        raise Unwanted(400, "The connection ended before the form did. Nothing was done.") from None
    return bytes(body)


async def read_own_form(request: Request, operator: Visitor) -> dict[str, str]:
    """Return the fields of a form of this session.

    Raises:
        Unwanted: As `read_form`, or it is a form of another session.
    """
    fields = await read_form(request)
    if not hmac.compare_digest(fields.get("form_token", "").encode(), operator.form_token.encode()):
        raise Unwanted(403, "This form belongs to another session, so nothing was done. Load the page again.")
    return fields


def login_location(request: Request) -> str:
    """Return the address of the login page, which leads back here."""
    if request.method != "GET" or request.url.path == "/":
        return LOGIN
    query = f"?{request.url.query}" if request.url.query else ""
    return f"{LOGIN}?{urlencode({'next': request.url.path + query})}"


def safe_path(text: str) -> str:
    """Return a path of this host to go on to: never another host, whatever the text says."""
    is_path = text.startswith("/") and not text.startswith("//") and text.isprintable() and "\\" not in text
    return text if is_path else "/"


def _is_secure(request: Request) -> bool:
    return request.url.scheme == "https"


def _is_from_here(request: Request) -> bool:
    """Tell whether the browser says that a page of this host sent the request."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin")  # over plain http, browsers say only this
    return origin is not None and urlsplit(origin).netloc == request.headers.get("host")
