"""Practice CM.com: number requests on loopback, as far as CM.com's pages tell, and guessed beyond.

Knows routes, statuses and admission. Requests live in `cm_book`, what may be asked is in `cm_requests` and
`cm_places`, customers are called by `cm_callbacks`, and what may go wrong on the way is in `gate`.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from starlette.datastructures import QueryParams
from starlette.responses import Response
from starlette.routing import Route

from number_orders.sandbox.behaviour import Behaviour, as_json, read_behaviour
from number_orders.sandbox.clock import iso
from number_orders.sandbox.cm import json as cm_json
from number_orders.sandbox.cm.access import CmAccount
from number_orders.sandbox.cm.callbacks import Herald
from number_orders.sandbox.cm.order_book import CANCELLED, COMPLETED, REJECTED, STATUSES, Book, Finalised, Request
from number_orders.sandbox.cm.order_requests import NumberRequest, Refused, profile_for, read_request, reference_in
from number_orders.sandbox.cm.stock import find_area, restrictions
from number_orders.sandbox.faults import Fault, FaultKind
from number_orders.sandbox.gate import Gate, Handler, Visit
from number_orders.sandbox.world import World

_ACCOUNT_PATH: Final = "/voice-phonenumberrequestapi/v1/{account_guid}"
_SPELLINGS: Final = ("numberRequests", "numberrequests")  # the page's own address is in small letters
_TAKE: Final = 50
_TAKE_MAX: Final = 100

RequestHandler = Callable[[Visit, Request], Response]


class Cm:
    """One account at the practice carrier."""

    name: Final = "cm"

    def __init__(self, world: World, account: CmAccount | None = None) -> None:
        self._world = world
        self._account = account or CmAccount()
        self._herald = Herald(world)
        self._gate = Gate(
            self.name,
            world,
            reference_of=self._reference_of,
            fault_answers={FaultKind.TOO_MANY_REQUESTS: _too_many_requests},
            media_type="application/json",
        )
        world.chores.append(self._herald.run)
        self.start_over()
        self._play_again()

    def start_over(self) -> None:
        """Forget every request and whom to call, and refill the stock."""
        self._book = Book()
        self._herald.start_over()

    def routes(self) -> Sequence[Route]:
        """Return the routes, in both spellings of the collection's name."""
        return [route for name in _SPELLINGS for route in self._routes_of(name)]

    def _routes_of(self, name: str) -> Iterator[Route]:
        one, number_request = f"/{name}/{{guid}}", self._with_request
        served: tuple[tuple[str, str, str, Handler, Any], ...] = (
            ("POST", f"/{name}", "/numberRequests", self._create, "order_create"),
            ("GET", f"/{name}", "/numberRequests", self._list, "order_list"),
            *self._facts_at(f"/{name}"),
            *self._facts_at(""),
            ("GET", one, "/numberRequests/{guid}", number_request(self._read), "order_read"),
            ("POST", f"{one}/cancel", "/numberRequests/{guid}/cancel", number_request(self._cancel), "order_change"),
        )
        for method, path, template, handler, endpoint in served:
            guarded = self._guarded(handler)
            yield self._gate.route(method, _ACCOUNT_PATH + path, guarded, endpoint=endpoint, template=template)

    def _facts_at(self, below: str) -> Iterator[tuple[str, str, str, Handler, Any]]:
        """Serve what can be known beforehand; the paths are a guess, so there are two of each."""
        yield "GET", f"{below}/statuses", "/statuses", self._statuses, "other"
        yield "GET", f"{below}/restrictions", "/restrictions", self._restrictions, "search"
        yield "GET", f"{below}/availability", "/availability", self._availability, "search"

    def revoke_tokens(self, token: str | None) -> int:
        """Revoke nothing: the product token does not expire."""
        return 0

    def stock_as_json(self) -> dict[str, int]:
        """Say what is left in stock."""
        return {"free": self._book.stock.count_free()}

    def orders_as_json(self, now: datetime, since: datetime | None) -> Iterable[dict[str, Any]]:
        """Describe every request made since then, as it truly stands."""
        requests = self._book.all_requests()
        return (_reported(one, now) for one in requests if since is None or one.created_at >= since)

    def incidents_as_json(self, since: datetime | None) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """List the calls made to customers."""
        return {"callbacks": self._herald.calls_as_json(since)}

    # -- admission ------------------------------------------------------------------------------

    def _guarded(self, handler: Handler) -> Handler:
        """Let in only who has the token of this account."""

        def admit(visit: Visit) -> Response:
            token = visit.request.headers.get("x-cm-producttoken", "")
            if not self._account.admits(visit.request.path_params["account_guid"], token):
                return _json(cm_json.error("Unauthorized", "unauthorized"), 401)
            try:
                return handler(visit)
            except Refused as refused:
                return _json(cm_json.error("The request is invalid.", "validation_failed", refused.reasons), 400)

        return admit

    def _with_request(self, handler: RequestHandler) -> Handler:
        def find(visit: Visit) -> Response:
            one = self._book.get(visit.request.path_params["guid"])
            return _json(cm_json.error("Not found", "not_found"), 404) if one is None else handler(visit, one)

        return find

    def _reference_of(self, visit: Visit) -> str | None:
        """Find the reference a request speaks of: that of the request in its path, or in its body."""
        one = self._book.get(visit.request.path_params.get("guid", ""))
        if one is not None:
            return one.reference or None
        try:
            return reference_in(read_request(visit.body).comment) or None
        except Refused:
            return None

    # -- requests -------------------------------------------------------------------------------

    def _create(self, visit: Visit) -> Response:
        said, now, behaviour = read_request(visit.body), self._world.clock(), self._world.behaviour
        one = self._place(self._world.new_id(), said, behaviour, now)
        self._keep("request", one, now, visit.body)
        shown = cm_json.request(one, one.stages[0], behaviour, with_guid=behaviour.cm_guid_in_reply)
        return _json(shown, behaviour.cm_create_status)

    def _place(self, guid: str, said: NumberRequest, behaviour: Behaviour, now: datetime) -> Request:
        one = self._book.place(guid, said, profile_for(said, self._account), behaviour, now)
        self._herald.expect(one, now)
        return one

    def _read(self, visit: Visit, one: Request) -> Response:
        return _json(cm_json.request(one, one.stage(self._world.clock()), self._world.behaviour))

    def _cancel(self, visit: Visit, one: Request) -> Response:
        now = self._world.clock()
        try:
            end = self._book.cancel(one, self._world.behaviour, now)
        except Finalised:
            return _json(cm_json.error("The request is finalised.", "finalised"), 409)
        if end is not None:
            self._herald.expect(one, end.at)
        self._keep("cancellation", one, now, b"")
        return self._read(visit, one)

    def _list(self, visit: Visit) -> Response:
        now, behaviour, query = self._world.clock(), self._world.behaviour, visit.request.query_params
        skip, take = _whole(query, "skip", 0), min(_whole(query, "take", _TAKE), _TAKE_MAX)
        listed = self._book.listed(now)
        if not behaviour.list_oldest_first:
            listed.reverse()
        shown = [cm_json.request(one, one.stage(now), behaviour) for one in listed[skip : skip + take]]
        counts = {"skip": skip, "take": take, "total": len(listed)}
        headers = {f"x-cm-pagination-{name}": str(value) for name, value in counts.items()}
        return _json(shown, headers=headers)

    # -- what can be known beforehand -----------------------------------------------------------

    def _statuses(self, visit: Visit) -> Response:
        return _json(list(STATUSES))

    def _restrictions(self, visit: Visit) -> Response:
        query = visit.request.query_params
        country = query.get("countryCode") or self._country(query)
        found = restrictions(country, query.get("phoneNumberType") or None)
        return _json([cm_json.restriction(each) for each in found])

    def _availability(self, visit: Visit) -> Response:
        query = visit.request.query_params
        wanted = _whole(query, "quantity", 1)
        country, number_type = self._country(query), query.get("phoneNumberType")
        if country is None or not number_type:
            raise Refused(["companyProfileGuid: required", "phoneNumberType: required"])
        area = find_area(country, number_type, query.get("areaCode"), query.get("city"))
        at_hand = 0 if area is None else self._book.stock.at_hand(area)
        left = 0 if area is None else self._book.stock.left(area)
        answer = {"isAvailable": left >= wanted, "isDirectlyAvailable": at_hand >= wanted, "quantity": at_hand}
        return _json(answer)

    def _country(self, query: QueryParams) -> str | None:
        guid = query.get("companyProfileGuid")
        if not guid:
            return None
        profile = self._account.company_profiles.get(guid.lower())
        if profile is None:
            raise Refused(["companyProfileGuid: unknown company profile"])
        return profile.country

    # -- remembering ----------------------------------------------------------------------------

    def _keep(self, what: str, one: Request, at: datetime, body: bytes) -> None:
        said = {"body": body.decode("utf-8"), "behaviour": as_json(self._world.behaviour)}
        self._world.memory.keep(self.name, {"what": what, "guid": one.guid, "at": iso(at), **said})

    def _play_again(self) -> None:
        """Do again what was done before the sandbox was stopped; customers are called for what is still to come."""
        for line in self._world.memory.recall(self.name):
            at = datetime.fromisoformat(line["at"])
            known = self._book.get(line["guid"])
            behaviour = read_behaviour(line["behaviour"])
            if known is not None:
                end = self._book.cancel(known, behaviour, at)
                if end is not None and end.at >= self._world.clock():
                    self._herald.expect(known, end.at)
                continue
            said = read_request(line["body"].encode("utf-8"))
            one = self._book.place(line["guid"], said, profile_for(said, self._account), behaviour, at)
            self._herald.expect(one, self._world.clock())


def _reported(one: Request, now: datetime) -> dict[str, Any]:
    stage, ended_at = one.stage(now), one.ended_at(now)
    bought = [e164 for each in stage.ranges for e164 in each.numbers()]
    held = set(bought)
    open_still = [e164 for each in one.taken for e164 in each.numbers() if e164 not in held]
    return {
        "carrier": "cm",
        "order_id": one.guid,
        "customer_order_id": one.reference,
        "kind": f"NUMBER_REQUEST_{one.said.phone_number_type}",
        "quantity": one.said.quantity,
        "fate": one.fate.value,
        "status": stage.status,
        "outcome": _outcome(stage.status, len(bought), one.said.quantity),
        "created_at": iso(one.created_at),
        "ended_at": None if ended_at is None else iso(ended_at),
        "bought": bought,
        "failed": [],
        "set_aside": open_still if ended_at is None else [],
    }


def _outcome(status: str, bought: int, quantity: int) -> str | None:
    """Say what happened to the numbers, whatever the request says."""
    if status == COMPLETED:
        return "COMPLETED" if bought == quantity else "PARTIAL" if bought else "FAILED"
    return {REJECTED: "FAILED", CANCELLED: "CANCELLED"}.get(status)


def _whole(query: QueryParams, name: str, default: int) -> int:
    given = query.get(name) or f"{default}"
    if not given.isdecimal():
        raise Refused([f"{name}: must be a whole number"])
    return int(given)


def _too_many_requests(fault: Fault) -> Response:
    wait_s = 1.0 if fault.delay_s is None else fault.delay_s
    return _json(cm_json.error("Too many requests", "throttled"), 429, headers={"Retry-After": str(int(wait_s))})


def _json(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(json.dumps(body), status, media_type="application/json", headers=headers)
