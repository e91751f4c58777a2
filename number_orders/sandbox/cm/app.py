"""Sandbox CM.com: number requests as CM.com's pages describe them, and guessed where the pages are silent.

Knows routes, statuses and admission. `order_book.py` keeps requests, `order_requests.py` and `stock.py` know what may
be requested, `callbacks.py` calls customers, and `routes.py` in the package above applies latency and faults.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from starlette.datastructures import QueryParams
from starlette.responses import Response
from starlette.routing import Route

from number_orders.sandbox.behaviour import as_json, read_behaviour
from number_orders.sandbox.clock import iso
from number_orders.sandbox.cm import json as cm_json
from number_orders.sandbox.cm.access import CmAccount
from number_orders.sandbox.cm.callbacks import CallbackSender
from number_orders.sandbox.cm.order_book import Finalised, OrderBook, Request
from number_orders.sandbox.cm.order_requests import Refused, profile_for, read_request, reference_in
from number_orders.sandbox.cm.stages import CANCELLED, COMPLETED, REJECTED, STATUSES, numbers_in
from number_orders.sandbox.cm.stock import find_area, restrictions
from number_orders.sandbox.faults import Fault, FaultKind
from number_orders.sandbox.routes import Handler, ReceivedRequest, RouteBuilder
from number_orders.sandbox.state import SandboxState

_ACCOUNT_PATH: Final = "/voice-phonenumberrequestapi/v1/{account_guid}"
_SPELLINGS: Final = ("numberRequests", "numberrequests")  # the page's own address is in lower case
_TAKE: Final = 50
_TAKE_MAX: Final = 100

RequestHandler = Callable[[ReceivedRequest, Request], Response]


class Cm:
    """The only account of the sandbox CM.com."""

    name: Final = "cm"

    def __init__(self, sandbox: SandboxState, account: CmAccount | None = None) -> None:
        self._sandbox = sandbox
        self._account = account or CmAccount()
        self._callbacks = CallbackSender(sandbox)
        self._builder = RouteBuilder(
            self.name,
            sandbox,
            reference_of=self._reference_of,
            fault_answers={FaultKind.TOO_MANY_REQUESTS: _too_many_requests},
            media_type="application/json",
        )
        self.reset()
        self._replay()

    def reset(self) -> None:
        """Forget every request, and refill the stock."""
        self._book = OrderBook()

    def routes(self) -> Sequence[Route]:
        """Return the routes, with both spellings of the collection's name."""
        return [route for name in _SPELLINGS for route in self._routes_of(name)]

    def _routes_of(self, name: str) -> Iterator[Route]:
        one, with_request = f"/{name}/{{guid}}", self._with_request
        served: tuple[tuple[str, str, str, Handler, Any], ...] = (
            ("POST", f"/{name}", "/numberRequests", self._create, "order_create"),
            ("GET", f"/{name}", "/numberRequests", self._list, "order_list"),
            *self._information_routes(f"/{name}"),
            *self._information_routes(""),
            ("GET", one, "/numberRequests/{guid}", with_request(self._read), "order_read"),
            ("POST", f"{one}/cancel", "/numberRequests/{guid}/cancel", with_request(self._cancel), "order_change"),
        )
        for method, path, template, handler, endpoint in served:
            guarded = self._guarded(handler)
            yield self._builder.route(method, _ACCOUNT_PATH + path, guarded, endpoint=endpoint, template=template)

    def _information_routes(self, below: str) -> Iterator[tuple[str, str, str, Handler, Any]]:
        """Yield the routes of statuses, restrictions and availability; the paths are guesses, so each has two."""
        yield "GET", f"{below}/statuses", "/statuses", self._statuses, "other"
        yield "GET", f"{below}/restrictions", "/restrictions", self._restrictions, "search"
        yield "GET", f"{below}/availability", "/availability", self._availability, "search"

    def revoke_tokens(self, token: str | None) -> int:
        """Return 0: the product token does not expire."""
        return 0

    def holdings_as_json(self, now: datetime) -> dict[str, str]:
        """Return every number that was assigned, with the account."""
        ended = (request.stage(now) for request in self._book.all_requests())
        return {e164: self._account.account_guid for stage in ended for e164 in numbers_in(stage.ranges)}

    def stock_as_json(self) -> dict[str, int]:
        """Return how many numbers are left."""
        return {"free": self._book.stock.count_free()}

    def orders_as_json(self, now: datetime, since: datetime | None) -> Iterable[dict[str, Any]]:
        """Return every request made since then, as it really is."""
        requests = self._book.all_requests()
        return (_reported(request, now) for request in requests if since is None or request.created_at >= since)

    def incidents_as_json(self, since: datetime | None) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """Return the callbacks made to customers."""
        return {"callbacks": self._callbacks.callbacks_as_json(since)}

    # -- admission ------------------------------------------------------------------------------

    def _guarded(self, handler: Handler) -> Handler:
        """Admit only callers with the token of this account."""

        def admit(received: ReceivedRequest) -> Response:
            token = received.request.headers.get("x-cm-producttoken", "")
            if not self._account.admits(received.request.path_params["account_guid"], token):
                return _json(cm_json.error("Unauthorized", "unauthorized"), 401)
            try:
                return handler(received)
            except Refused as refused:
                return _json(cm_json.error("The request is invalid.", "validation_failed", refused.reasons), 400)

        return admit

    def _with_request(self, handler: RequestHandler) -> Handler:
        def find(received: ReceivedRequest) -> Response:
            request = self._book.get(received.request.path_params["guid"])
            if request is None:
                return _json(cm_json.error("Not found", "not_found"), 404)
            return handler(received, request)

        return find

    def _reference_of(self, received: ReceivedRequest) -> str | None:
        """Return the reference of the request in the path, or of the request in the body."""
        request = self._book.get(received.request.path_params.get("guid", ""))
        if request is not None:
            return request.reference or None
        try:
            return reference_in(read_request(received.body).comment) or None
        except Refused:
            return None

    # -- requests -------------------------------------------------------------------------------

    def _create(self, received: ReceivedRequest) -> Response:
        sent, now, behaviour = read_request(received.body), self._sandbox.clock(), self._sandbox.behaviour
        profile = profile_for(sent, self._account)
        request = self._book.accept(self._sandbox.new_id(), sent, profile, behaviour, now)
        self._callbacks.schedule(request, now)
        self._remember("request", request, now, received.body)
        shown = cm_json.request(request, request.stages[0], behaviour, with_guid=behaviour.cm_guid_in_reply)
        return _json(shown, behaviour.cm_create_status)

    def _read(self, received: ReceivedRequest, request: Request) -> Response:
        return _json(cm_json.request(request, request.stage(self._sandbox.clock()), self._sandbox.behaviour))

    def _cancel(self, received: ReceivedRequest, request: Request) -> Response:
        now = self._sandbox.clock()
        try:
            end = self._book.cancel(request, self._sandbox.behaviour, now)
        except Finalised:
            return _json(cm_json.error("The request is finalised.", "finalised"), 409)
        if end is not None:
            self._callbacks.schedule(request, end.at)
        self._remember("cancellation", request, now, b"")
        return self._read(received, request)

    def _list(self, received: ReceivedRequest) -> Response:
        now, behaviour, query = self._sandbox.clock(), self._sandbox.behaviour, received.request.query_params
        skip, take = (
            _whole_number(query, "skip", 0),
            min(_whole_number(query, "take", _TAKE), _TAKE_MAX, behaviour.list_page_max),
        )
        listed = self._book.listed(now)
        if not behaviour.list_oldest_first:
            listed.reverse()
        shown = [cm_json.request(request, request.stage(now), behaviour) for request in listed[skip : skip + take]]
        counts = {"skip": skip, "take": take, "total": len(listed)}
        headers = {f"x-cm-pagination-{name}": str(value) for name, value in counts.items()}
        return _json(shown, headers=headers)

    # -- statuses, restrictions, availability ---------------------------------------------------

    def _statuses(self, received: ReceivedRequest) -> Response:
        return _json(list(STATUSES))

    def _restrictions(self, received: ReceivedRequest) -> Response:
        query = received.request.query_params
        country = query.get("countryCode") or self._country(query)
        found = restrictions(country, query.get("phoneNumberType") or None)
        return _json([cm_json.restriction(each) for each in found])

    def _availability(self, received: ReceivedRequest) -> Response:
        query = received.request.query_params
        wanted = _whole_number(query, "quantity", 1)
        country, number_type = self._country(query), query.get("phoneNumberType")
        if country is None or not number_type:
            raise Refused(["companyProfileGuid: required", "phoneNumberType: required"])
        area = find_area(country, number_type, query.get("areaCode"), query.get("city"))
        at_once = 0 if area is None else self._book.stock.directly_available(area)
        left = 0 if area is None else self._book.stock.left(area)
        return _json({"isAvailable": left >= wanted, "isDirectlyAvailable": at_once >= wanted, "quantity": at_once})

    def _country(self, query: QueryParams) -> str | None:
        guid = query.get("companyProfileGuid")
        if not guid:
            return None
        profile = self._account.company_profiles.get(guid.lower())
        if profile is None:
            raise Refused(["companyProfileGuid: unknown company profile"])
        return profile.country

    # -- memory ---------------------------------------------------------------------------------

    def _remember(self, what: str, request: Request, at: datetime, body: bytes) -> None:
        line = {"what": what, "guid": request.guid, "at": iso(at)}
        sent = {"body": body.decode("utf-8"), "behaviour": as_json(self._sandbox.behaviour)}
        self._sandbox.memory.append(self.name, line | sent)

    def _replay(self) -> None:
        """Repeat what was done before the sandbox was stopped, and schedule the callbacks that are still to come."""
        for line in self._sandbox.memory.read(self.name):
            at = datetime.fromisoformat(line["at"])
            known = self._book.get(line["guid"])
            behaviour = read_behaviour(line["behaviour"])
            if known is not None:
                end = self._book.cancel(known, behaviour, at)
                if end is not None and end.at >= self._sandbox.clock():
                    self._callbacks.schedule(known, end.at)
                continue
            sent = read_request(line["body"].encode("utf-8"))
            request = self._book.accept(line["guid"], sent, profile_for(sent, self._account), behaviour, at)
            self._callbacks.schedule(request, self._sandbox.clock())


def _reported(request: Request, now: datetime) -> dict[str, Any]:
    stage, ended_at = request.stage(now), request.ended_at(now)
    bought = list(numbers_in(stage.ranges))
    held = set(bought)
    unassigned = [e164 for each in request.taken for e164 in each.numbers() if e164 not in held]
    return {
        "carrier": "cm",
        "order_id": request.guid,
        "customer_order_id": request.reference,
        "kind": f"NUMBER_REQUEST_{request.sent.phone_number_type}",
        "quantity": request.sent.quantity,
        "fate": request.fate.value,
        "status": stage.status,
        "outcome": _outcome(stage.status, len(bought), request.sent.quantity) if stage.is_final else None,
        "created_at": iso(request.created_at),
        "listed_at": iso(request.listed_at),
        "ended_at": None if ended_at is None else iso(ended_at),
        "lists_complete_at": iso(request.stages[-1].at),
        "bought": bought,
        "withdrawn": request.withdrawn(now),
        "failed": [],
        "set_aside": unassigned if ended_at is None else [],
    }


def _outcome(status: str, bought: int, quantity: int) -> str | None:
    """Return what happened to the numbers, whatever the request's status says."""
    if status == COMPLETED:
        return "COMPLETED" if bought == quantity else "PARTIAL" if bought else "FAILED"
    return {REJECTED: "FAILED", CANCELLED: "CANCELLED"}.get(status)


def _whole_number(query: QueryParams, name: str, default: int) -> int:
    given = query.get(name) or f"{default}"
    if not given.isdecimal():
        raise Refused([f"{name}: must be a whole number"])
    return int(given)


def _too_many_requests(fault: Fault) -> Response:
    wait_s = 1.0 if fault.delay_s is None else fault.delay_s
    return _json(cm_json.error("Too many requests", "throttled"), 429, headers={"Retry-After": str(int(wait_s))})


def _json(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(json.dumps(body), status, media_type="application/json", headers=headers)
