"""The routes on which carriers' notices come in.

A notice is answered 202 when it is stored, whether it can be read or not: a carrier that repeats it would only send the
same again. What was not stored is answered 503 or 429.
"""

import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

import structlog
from fastapi import APIRouter, FastAPI, Request, Response

from number_orders.carriers.notices import NOTICES_PATH, CarrierNotices, NoticeAddresses
from number_orders.ledger.notices import StoredNotice
from number_orders.orders.errors import LedgerUnavailable, UnreadableAnswer
from number_orders.orders.model import CarrierName
from number_orders.receiver.bodies import read_body
from number_orders.receiver.notices.credentials import CHALLENGE, BasicCredentials
from number_orders.receiver.notices.intake import NoticeIntake, TooManyNotices
from number_orders.receiver.problems import Problem
from number_orders.receiver.rate import RequestRate, TokenBucket

log = structlog.get_logger(__name__)

_LATER: Final = {"Retry-After": "1"}
_LEDGER_LATER: Final = {"Retry-After": "5"}
_REFUSALS_PER_S: Final = 5.0
"""Wrong credentials and wrong addresses are checked at this rate, so that nobody tries many."""


@dataclass(frozen=True, slots=True)
class NoticeLimits:
    """What the senders of notices may cost."""

    per_second: float = 500.0
    """For each carrier, and each receiver process."""
    bytes_max: int = 1024 * 1024
    clock: Callable[[], float] = time.monotonic


@dataclass(slots=True)
class _Endpoint:
    """Takes the authenticated notices of one carrier."""

    carrier: CarrierName
    notices: CarrierNotices
    limits: NoticeLimits
    intake: NoticeIntake = field(init=False)
    """Set when the application starts."""
    _cap: TokenBucket = field(init=False)
    _refusals: TokenBucket = field(init=False)

    def __post_init__(self) -> None:
        clock = self.limits.clock
        self._cap, self._refusals = _cap(self.limits.per_second, clock), _cap(_REFUSALS_PER_S, clock)

    async def take(self, request: Request, reference: str | None = None) -> Response:
        """Store the notice in a request, and answer for it. `reference` is that of its address."""
        if not self._cap.admit():
            return self._too_many()
        try:
            body = await read_body(request, bytes_max=self.limits.bytes_max)
        except Problem as too_long:
            # Without its `Connection: close`: a carrier that still sends would see a broken connection and no answer.
            return Problem(too_long.name, too_long.detail).response()
        try:
            await self.intake.accept(self._read(body, reference))
        except TooManyNotices:
            return self._too_many()
        except LedgerUnavailable:
            detail = "the notice may not be stored; send it again"
            return Problem("ledger-unavailable", detail, headers=_LEDGER_LATER).response()
        return Response(status_code=HTTPStatus.ACCEPTED)

    def refuse(self, answer: Response) -> Response:
        """Return the answer to a request that is not authenticated."""
        if not self._refusals.admit():
            return self._too_many()
        log.warning("notice_refused", carrier=self.carrier)
        return answer

    def _read(self, body: bytes, reference: str | None) -> StoredNotice:
        try:
            notice = self.notices.read(body, reference)
        except UnreadableAnswer as fault:
            log.warning("unreadable_notice", carrier=self.carrier, why=fault.why)
            return StoredNotice(self.carrier, body, reference=reference, trouble=fault.why)
        return StoredNotice(self.carrier, body, notice.carrier_order_id, reference or notice.reference)

    @staticmethod
    def _too_many() -> Response:
        return Problem("too-many-requests", "too many notices at once", headers=_LATER).response()


def _cap(per_s: float, clock: Callable[[], float]) -> TokenBucket:
    """Return a bucket that holds as much as comes in a second, and one request at least."""
    return TokenBucket(RequestRate(per_s, burst=max(1.0, per_s)), clock)


@dataclass(frozen=True, slots=True)
class NoticeSource:
    """A carrier whose notices are taken, and how they are authenticated: by credentials, or by the order's address."""

    carrier: CarrierName
    notices: CarrierNotices
    credentials: BasicCredentials | None = None
    """Of notices that all come to one address."""
    addresses: NoticeAddresses | None = None
    """Of notices that come to an address of each order."""


OpenIntake = Callable[[FastAPI], NoticeIntake]
"""Returns the intake of an application that has just connected to its ledger."""


def notice_router(
    sources: Iterable[NoticeSource], open_intake: OpenIntake, *, limits: NoticeLimits | None = None
) -> APIRouter:
    """Return the routes for carriers' notices. The intake is open while the application runs."""
    endpoints: list[_Endpoint] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_intake(app) as intake:
            for endpoint in endpoints:
                endpoint.intake = intake
            yield

    router = APIRouter(prefix=NOTICES_PATH, tags=["notices"], lifespan=lifespan, include_in_schema=False)
    for source in sources:
        endpoint = _Endpoint(source.carrier, source.notices, limits or NoticeLimits())
        endpoints.append(endpoint)
        if source.credentials is not None:
            _add_account_route(router, endpoint, source.credentials)
        if source.addresses is not None:
            _add_order_route(router, endpoint, source.addresses)
    return router


def _add_account_route(router: APIRouter, endpoint: _Endpoint, credentials: BasicCredentials) -> None:
    challenge = {"WWW-Authenticate": CHALLENGE}

    async def account_notice(request: Request) -> Response:
        """Take a notice with credentials. A carrier may send it without them first, and wait for the challenge."""
        authorization = request.headers.get("authorization", "")
        if credentials.admit(authorization):
            return await endpoint.take(request)
        answer = Problem("unauthorized", "notices need HTTP basic credentials", headers=challenge).response()
        return endpoint.refuse(answer) if authorization else answer

    router.add_api_route(f"/{endpoint.carrier}", account_notice, methods=["POST"])


def _add_order_route(router: APIRouter, endpoint: _Endpoint, addresses: NoticeAddresses) -> None:
    async def order_notice(request: Request, reference: str, token: str) -> Response:
        """Take a notice at the address of one order."""
        if addresses.is_genuine(endpoint.carrier, reference, token):
            return await endpoint.take(request, reference)
        return endpoint.refuse(Problem("unknown-address", "there is no such address").response())

    router.add_api_route(f"/{endpoint.carrier}/{{reference}}/{{token}}", order_notice, methods=["POST"])
