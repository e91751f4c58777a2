"""Errors as RFC 9457 problems: `application/problem+json` with a type that a program knows and words for a person."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from number_orders.carriers.notices import NOTICES_PATH
from number_orders.fulfilment.answers import faults_to_json
from number_orders.orders.errors import (
    Fault,
    InquiryRefused,
    KeyConflict,
    LedgerUnavailable,
    NotCancellable,
    OrderRefused,
    UnknownOrder,
    WrongSchema,
)
from number_orders.receiver.attempts import TooManyAttempts

log = structlog.get_logger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
_TYPE: Final = "urn:number-orders:problem:"
_RETRY_S: Final = 2

TITLES: Final[Mapping[str, tuple[HTTPStatus, str]]] = {
    "malformed-body": (HTTPStatus.BAD_REQUEST, "The body cannot be read"),
    "unauthorized": (HTTPStatus.UNAUTHORIZED, "Valid credentials are needed"),
    "forbidden": (HTTPStatus.FORBIDDEN, "This token may not do that"),
    "unknown-path": (HTTPStatus.NOT_FOUND, "There is nothing here"),
    "unknown-order": (HTTPStatus.NOT_FOUND, "There is no such order"),
    "unknown-address": (HTTPStatus.NOT_FOUND, "There is no such address for notices"),
    "unknown-number": (HTTPStatus.NOT_FOUND, "Nothing is known of this number"),
    "method-not-allowed": (HTTPStatus.METHOD_NOT_ALLOWED, "This cannot be done here"),
    "too-slow": (HTTPStatus.REQUEST_TIMEOUT, "The body did not arrive in time"),
    "key-conflict": (HTTPStatus.CONFLICT, "The key stands for another order"),
    "not-cancellable": (HTTPStatus.CONFLICT, "The order cannot be cancelled"),
    "too-long": (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body is too long"),
    "unsupported-media-type": (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body must be plain JSON"),
    "order-refused": (HTTPStatus.UNPROCESSABLE_ENTITY, "The order was refused"),
    "bad-request": (HTTPStatus.UNPROCESSABLE_ENTITY, "The request breaks a rule"),
    "question-refused": (HTTPStatus.UNPROCESSABLE_ENTITY, "The question breaks a rule"),
    "too-many-requests": (HTTPStatus.TOO_MANY_REQUESTS, "Too many requests"),
    "internal-error": (HTTPStatus.INTERNAL_SERVER_ERROR, "A fault of this service"),
    "no-answer": (HTTPStatus.BAD_GATEWAY, "No carrier answered"),
    "ledger-unavailable": (HTTPStatus.SERVICE_UNAVAILABLE, "The ledger cannot be used now"),
}
"""Every problem by its name: status and title."""


class Problem(Exception):
    """Ends a request with this problem."""

    def __init__(
        self,
        name: str,
        detail: str,
        *,
        faults: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
        **more: object,
    ) -> None:
        """`more` are further members of the problem document."""
        super().__init__(detail)
        self.name = name
        self.detail = detail
        self.faults = tuple(faults)
        self.headers = dict(headers or {})
        self.more = more

    def response(self) -> Response:
        """Return it as the answer."""
        status, title = TITLES[self.name]
        document: dict[str, Any] = {"type": f"{_TYPE}{self.name}", "title": title, "status": int(status)}
        document |= {"detail": self.detail, **self.more}
        if self.faults:
            document["faults"] = faults_to_json(self.faults)
        return JSONResponse(document, status, headers=self.headers, media_type=MEDIA_TYPE)


def refused(faults: Sequence[Fault], *, name: str = "bad-request") -> Problem:
    """Return the problem of a request that breaks rules."""
    return Problem(name, "; ".join(str(fault) for fault in faults), faults=faults)


def install(app: FastAPI) -> None:
    """Make the app answer every error as a problem."""
    for error in (
        *(OrderRefused, InquiryRefused, UnknownOrder, NotCancellable),
        *(LedgerUnavailable, WrongSchema, RequestValidationError, HTTPException, Problem, TooManyAttempts),
    ):
        app.add_exception_handler(error, _answer)
    app.add_exception_handler(Exception, _answer_bug)


def problem_of(error: Exception) -> Problem:
    """Return an error that is raised on purpose as a problem."""
    match error:
        case Problem():
            return error
        case OrderRefused() | InquiryRefused():
            return refused(error.faults, name=_REFUSALS[type(error)])
        case TooManyAttempts():
            return Problem("too-many-requests", str(error), headers={"Retry-After": error.retry_after})
        case UnknownOrder() | NotCancellable():
            return Problem("unknown-order" if isinstance(error, UnknownOrder) else "not-cancellable", str(error))
        case LedgerUnavailable() | WrongSchema():
            log.warning("ledger_away", trouble=str(error))
            words = "whether anything was stored is not known; sending the same request again is safe"
            return Problem("ledger-unavailable", words, headers={"Retry-After": str(_RETRY_S)})
        case RequestValidationError():
            return refused([_fault(found) for found in error.errors()])
        case HTTPException():
            return _of_path(error)
    raise error


_REFUSALS: Final[Mapping[type[Exception], str]] = {
    KeyConflict: "key-conflict",
    OrderRefused: "order-refused",
    InquiryRefused: "question-refused",
}


def _of_path(error: HTTPException) -> Problem:
    """Return the problem of a path or method that does not exist."""
    if error.status_code != HTTPStatus.METHOD_NOT_ALLOWED:
        return Problem("unknown-path", "the paths are listed at /docs")
    allowed = {"Allow": (error.headers or {}).get("Allow", "")}
    return Problem("method-not-allowed", f"this path takes {allowed['Allow'] or 'other methods'}", headers=allowed)


async def _answer(request: Request, error: Exception) -> Response:
    problem = problem_of(error)
    log.info("request_refused", method=request.method, path=_path(request), problem=problem.name)
    return problem.response()


async def _answer_bug(request: Request, error: Exception) -> Response:
    """Answer a bug. Starlette raises it again after that, and the server logs it with its traceback."""
    log.error("request_failed", method=request.method, path=_path(request), trouble=repr(error))
    return Problem("internal-error", "it was logged; sending the same request again is safe").response()


def _path(request: Request) -> str:
    """Return the path for the log: without the part of an address for notices that must not be guessed."""
    path = request.url.path
    return f"{NOTICES_PATH}/…" if path.startswith(f"{NOTICES_PATH}/") else path


def _fault(found: Mapping[str, Any]) -> Fault:
    _, *field = found["loc"]
    return Fault(".".join(str(part) for part in field) or "request", found["msg"].removeprefix("Value error, "))
