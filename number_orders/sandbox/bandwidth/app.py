"""Practice Bandwidth: the numbers API on loopback, as its public pages say and captured replies show.

Knows routes, statuses and headers. Orders live in `bandwidth_book`, their course is decided in
`bandwidth_outcomes`, the XML is in `bandwidth_xml`, disconnects are in `bandwidth_disconnects`, and what may
go wrong on the way in `gate`.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, Final

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from number_orders.sandbox.bandwidth import disconnects, reservations, xml
from number_orders.sandbox.bandwidth.access import Access, Account, asks_for_client_credentials
from number_orders.sandbox.bandwidth.disconnects import AGING, Disconnect, Disconnects
from number_orders.sandbox.bandwidth.in_service import fault_in_filters, page_of, restrictions
from number_orders.sandbox.bandwidth.in_service import passes as passes_in_service
from number_orders.sandbox.bandwidth.order_book import Book, NotBackordered, Order
from number_orders.sandbox.bandwidth.order_list import SCANNING_FILTERS, Page, fault_in_listing, passes, rest_of
from number_orders.sandbox.bandwidth.order_requests import (
    CarrierStumbles,
    OrderRefused,
    OrderRequest,
    e164_of,
    read_amendment,
    read_order,
)
from number_orders.sandbox.bandwidth.outcomes import COMPLETE, FAILED, PARTIAL
from number_orders.sandbox.bandwidth.reservations import Reservation, ReservationRefused, Reservations
from number_orders.sandbox.bandwidth.search import SearchRefused, read_search
from number_orders.sandbox.bandwidth.vocabulary import error
from number_orders.sandbox.behaviour import Behaviour, LimitGroup, as_json, read_behaviour
from number_orders.sandbox.clock import iso
from number_orders.sandbox.faults import Fault, FaultKind
from number_orders.sandbox.gate import Gate, Handler, Visit
from number_orders.sandbox.inventory import Inventory, StockPlan
from number_orders.sandbox.limits import RateLimits
from number_orders.sandbox.world import World

_ACCOUNT_PATH: Final = "/api/v2/accounts/{account_id}"
_REFERENCE: Final = re.compile(rb"<CustomerOrderId>\s*([^<]{1,200}?)\s*</CustomerOrderId>")
_OUTCOMES: Final = {COMPLETE: "COMPLETED", PARTIAL: "PARTIAL", FAILED: "FAILED"}
_TNS_SIZE_MAX: Final = 2500

OrderHandler = Callable[[Visit, Order], Response]


class Bandwidth:
    """One account at the practice carrier."""

    name: Final = "bandwidth"

    def __init__(self, world: World, account: Account | None = None, stock: StockPlan | None = None) -> None:
        self._world = world
        self._account = account or Account()
        self._plan = stock or StockPlan()
        self._gate = Gate(self.name, world, reference_of=self._reference_of, fault_answers=self._fault_answers())
        self.start_over()
        self._play_again()

    def start_over(self) -> None:
        """Forget orders, tokens and limits, and refill the stock as at the start."""
        self._inventory = Inventory(self._plan)
        self._book = Book(self._inventory)
        self._disconnects = Disconnects(self._book)
        self._reservations = Reservations(self._inventory, self._account.account_id)
        self._access = Access(self._account)
        self._limits = RateLimits()

    def routes(self) -> Sequence[Route]:
        """Return the routes, the busiest first."""
        gate, guarded, order = self._gate.route, self._guarded, self._with_order
        orders, one = f"{_ACCOUNT_PATH}/orders", f"{_ACCOUNT_PATH}/orders/{{order_id}}"
        search, tns = f"{_ACCOUNT_PATH}/availableNumbers", "/api/v2/tns"
        read, create = guarded("HISTORY"), guarded("ORDER", ordering=True)
        in_service, rules, served = (
            f"{_ACCOUNT_PATH}/inserviceNumbers",
            "/api/v2/restrictions",
            guarded("INSERVICE_NPANXX"),
        )
        gone, one_gone = f"{_ACCOUNT_PATH}/disconnects", f"{_ACCOUNT_PATH}/disconnects/{{order_id}}"
        disconnect = guarded("DISCONNECT", ordering=True)(self._disconnect)
        return (
            gate("GET", one, read(order(self._read)), endpoint="order_read", template="/orders/{orderId}"),
            gate("POST", orders, create(self._create), endpoint="order_create", template="/orders"),
            gate("GET", orders, read(self._list), endpoint="order_list", template="/orders"),
            gate("GET", search, guarded("SEARCH")(self._search), endpoint="search", template="/availableNumbers"),
            gate(
                "GET",
                f"{one}/tns",
                read(order(self._read_numbers)),
                endpoint="numbers",
                template="/orders/{orderId}/tns",
            ),
            gate("PUT", one, create(order(self._amend)), endpoint="order_change", template="/orders/{orderId}"),
            *self._reservation_routes(),
            gate("GET", tns, read(self._list_owned), endpoint="numbers", template="/tns"),
            gate("GET", f"{tns}/{{tn}}", read(self._read_owned), endpoint="numbers", template="/tns/{tn}"),
            gate("GET", in_service, served(self._list_in_service), endpoint="numbers", template="/inserviceNumbers"),
            gate("GET", rules, guarded("SEARCH")(self._read_restrictions), endpoint="search", template="/restrictions"),
            gate("POST", gone, disconnect, endpoint="order_create", template="/disconnects"),
            gate(
                "GET",
                one_gone,
                read(self._read_disconnect),
                endpoint="order_read",
                template="/disconnects/{orderId}",
            ),
            gate("GET", gone, read(self._list_disconnects), endpoint="order_list", template="/disconnects"),
            gate("POST", "/api/v1/oauth2/token", self._issue_token, endpoint="token", template="/oauth2/token"),
            gate("*", "/api/{rest:path}", _unknown_path, endpoint="other", template="(unknown)"),
        )

    def _reservation_routes(self) -> Sequence[Route]:
        gate, guarded = self._gate.route, self._guarded
        kept, by_number = f"{_ACCOUNT_PATH}/tnreservation", "/api/v2/tns/{tn}/tnreservation"
        one, template = f"{kept}/{{reservation_id}}", "/tnreservation/{reservationId}"

        def read(handler: Handler) -> Handler:
            return guarded("HISTORY")(_or_declined(handler))

        def write(handler: Handler) -> Handler:
            return guarded("ORDER", ordering=True)(_or_declined(handler))

        look, look_by_number = read(self._read_reservation), read(self._read_reservation_of)
        reserve, release = write(self._reserve), write(self._release)
        return (
            gate("POST", kept, reserve, endpoint="other", template="/tnreservation"),
            gate("GET", one, look, endpoint="other", template=template),
            gate("DELETE", one, release, endpoint="other", template=template),
            gate("GET", by_number, look_by_number, endpoint="other", template="/tns/{tn}/tnreservation"),
        )

    def revoke_tokens(self, token: str | None) -> int:
        """Revoke one issued token, or all."""
        return self._access.revoke(token)

    def stock_as_json(self) -> dict[str, int]:
        """Say what is left in stock."""
        return {"free": self._inventory.count_free(), "reserved": self._reservations.count()}

    def incidents_as_json(self, since: datetime | None) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """List nothing: this carrier has no rule to break, and calls nobody."""
        return {}

    def orders_as_json(self, now: datetime, since: datetime | None) -> Iterable[dict[str, Any]]:
        """Describe every order made since then, as it truly stands."""
        orders = self._book.all_orders()
        sales = (_reported(order, now) for order in orders if since is None or order.created_at >= since)
        return chain(sales, self._disconnects.as_json(now, since))

    # -- admission ------------------------------------------------------------------------------

    def _guarded(self, group: LimitGroup, *, ordering: bool = False) -> Callable[[Handler], Handler]:
        """Let only known callers of this account in, and not too many of them."""

        def guard(handler: Handler) -> Handler:
            def admit(visit: Visit) -> Response:
                refusal = self._refusal(visit.request, group, ordering=ordering)
                return refusal if refusal is not None else handler(visit)

            return admit

        return guard

    def _refusal(self, request: Request, group: LimitGroup, *, ordering: bool) -> Response | None:
        now = self._world.clock()
        self._settle(now)
        caller = self._access.recognise(request.headers.get("authorization", ""), now)
        if caller is None:
            return Response(status_code=401)
        named = request.path_params.get("account_id", self._account.account_id)
        if named != self._account.account_id or (ordering and not caller.may_order):
            return Response(status_code=403)
        until = self._limits.refused_until(group, self._world.behaviour, self._world.clock.machine())
        return _too_many_requests(until) if until is not None else None

    def _settle(self, now: datetime) -> None:
        self._disconnects.settle(now)
        self._reservations.settle(now)

    def _issue_token(self, visit: Visit) -> Response:
        now, lifetime_s = self._world.clock(), self._world.behaviour.token_lifetime_s
        token = self._access.issue(visit.request.headers.get("authorization", ""), now, lifetime_s)
        if token is None:
            return Response(status_code=401)
        if not asks_for_client_credentials(visit.body):
            return _json({"error": "unsupported_grant_type"}, 400)
        return _json({"access_token": token, "token_type": "Bearer", "expires_in": lifetime_s})

    def _reference_of(self, visit: Visit) -> str | None:
        """Find the customer order id a request speaks of: in its path, its query or its body."""
        named = visit.request.path_params.get("order_id", "")
        order = self._book.get(named) or self._disconnects.get(named)
        if order is not None:
            return order.customer_order_id or None
        if visit.request.method == "GET":
            return visit.request.query_params.get("customerOrderId")
        found = _REFERENCE.search(visit.body)
        return found[1].decode("utf-8", "replace") if found else None

    # -- searching ------------------------------------------------------------------------------

    def _search(self, visit: Visit) -> Response:
        try:
            search = read_search(visit.request.query_params.multi_items())
        except SearchRefused as refused:
            return _xml(xml.search_refusal(refused.reason), 400)
        limit = 0 if search.protected_only else search.quantity
        numbers: Sequence[str] = self._inventory.find(search.criteria, limit)
        if search.in_order:
            numbers = sorted(numbers)
        if search.detail:
            return _xml(xml.search_details(numbers, self._inventory))
        return _xml(xml.search_result(numbers))

    # -- ordering -------------------------------------------------------------------------------

    def _create(self, visit: Visit) -> Response:
        try:
            request = read_order(visit.body, self._account.sites, self._account.peers)
            self._reservations.use_up(request.reservation_ids, request.wish.numbers)
        except OrderRefused as refused:
            return _xml(xml.order_refusal(refused.errors, refused.echo), 400)
        except CarrierStumbles:
            return Response(status_code=500)
        return self._accepted(request, visit)

    def _accepted(self, request: OrderRequest, visit: Visit) -> Response:
        behaviour, http = self._world.behaviour, visit.request
        order = self._book.place(request, behaviour, self._world.clock(), order_id=self._world.new_id())
        self._keep("order", order, order.created_at, visit.body)
        where = behaviour.order_id_in
        in_body = None if where == "location" else order.order_id
        in_location = self._world.new_id() if where == "different" else order.order_id
        answer = _xml(xml.order_accepted(order, in_body), 201)
        if where != "body":
            answer.headers["Location"] = f"{http.url.replace(query='')}/{in_location}"
        return answer

    def _with_order(self, handler: OrderHandler) -> Handler:
        def find(visit: Visit) -> Response:
            order = self._book.get(visit.request.path_params["order_id"])
            if order is None:
                return _xml(xml.status_refusal("OrderResponse", error(5061)), 404)
            return handler(visit, order)

        return find

    def _read(self, visit: Visit, order: Order) -> Response:
        detail = visit.request.query_params.get("tndetail", "").lower() == "true"
        now, behaviour = self._world.clock(), self._world.behaviour
        return _xml(xml.order_as_it_stands(order, now, behaviour, self._inventory, detail=detail))

    def _read_numbers(self, visit: Visit, order: Order) -> Response:
        return _xml(xml.order_numbers(order.stage(self._world.clock()).bought))

    def _amend(self, visit: Visit, order: Order) -> Response:
        now = self._world.clock()
        try:
            self._book.amend(order, read_amendment(visit.body), now)
        except OrderRefused as refused:
            return _xml(xml.order_refusal(refused.errors, refused.echo), 400)
        except NotBackordered:
            return _xml(xml.order_refusal((error(5060),), None), 400)
        self._keep("amendment", order, now, visit.body)
        return _xml(xml.document("<OrderResponse/>"))

    # -- disconnecting --------------------------------------------------------------------------

    def _disconnect(self, visit: Visit) -> Response:
        try:
            world = self._world
            placed = self._disconnects.place(visit.body, world.behaviour, world.clock(), order_id=world.new_id())
        except OrderRefused as refused:
            return _xml(disconnects.refusal(refused), 400)
        self._keep("disconnect", placed, placed.created_at, visit.body)
        answer = _xml(disconnects.accepted(placed), 201)
        answer.headers["Location"] = f"{visit.request.url.replace(query='')}/{placed.order_id}"
        return answer

    def _read_disconnect(self, visit: Visit) -> Response:
        placed = self._disconnects.get(visit.request.path_params["order_id"])
        if placed is None:
            return _xml(disconnects.unknown(), 404)
        return _xml(disconnects.as_it_stands(placed, self._world.clock()))

    def _list_disconnects(self, visit: Visit) -> Response:
        """List them; an account without any is answered 404, with an empty list."""
        query, now = visit.request.query_params, self._world.clock()
        reason = disconnects.fault_in_listing(query)
        if reason is not None:
            return _xml(xml.status_refusal("ResponseSelectWrapper", reason), 400)
        found = self._disconnects.listed(query, now, oldest_first=self._world.behaviour.list_oldest_first)
        page = disconnects.page_of(found, query)
        if page is None:
            return _xml(xml.status_refusal("ResponseSelectWrapper", error(5061)), 404)
        path, size = f"/accounts/{self._account.account_id}/disconnects", int(query.get("size", 300))
        links = xml.links(path, size, rest_of(query), first="1", next=page[1])
        return _xml(disconnects.listing(page[0], len(found), links, now), 200 if found else 404)

    # -- reserving ------------------------------------------------------------------------------

    def _reserve(self, visit: Visit) -> Response:
        now = self._world.clock()
        kept = self._reservations.place(visit.body, _lasts(self._world.behaviour), now)
        self._keep("reservation", kept, now, visit.body)
        where = f"{visit.request.url.replace(query='')}/{kept.order_id}"
        return Response(status_code=201, headers={"Location": where})

    def _read_reservation(self, visit: Visit) -> Response:
        kept = self._reservations.get(visit.request.path_params["reservation_id"])
        return _xml(self._reservations.shown(kept, self._world.clock()))

    def _read_reservation_of(self, visit: Visit) -> Response:
        kept = self._reservations.of_number(e164_of(visit.request.path_params["tn"]))
        return _xml(self._reservations.shown_by_number(kept, self._world.clock()))

    def _release(self, visit: Visit) -> Response:
        kept = self._reservations.release(visit.request.path_params["reservation_id"])
        self._keep("release", kept, self._world.clock(), b"")
        return Response(status_code=200)

    # -- remembering ----------------------------------------------------------------------------

    def _keep(self, what: str, order: Order | Disconnect | Reservation, at: datetime, body: bytes) -> None:
        behaviour = as_json(self._world.behaviour)
        said = {"body": body.decode("latin-1"), "behaviour": behaviour}  # any bytes, each as the character it is
        self._world.memory.keep(self.name, {"what": what, "order_id": order.order_id, "at": iso(at), **said})

    def _play_again(self) -> None:
        """Do again what was done before the sandbox was stopped, at the moments at which it was done."""
        for line in self._world.memory.recall(self.name):
            order_id, at = line["order_id"], datetime.fromisoformat(line["at"])
            body, behaviour = line["body"].encode("latin-1"), read_behaviour(line["behaviour"])
            self._settle(at)
            order = self._book.get(order_id)
            if line["what"] == "reservation":
                self._reservations.place(body, _lasts(behaviour), at, order_id=order_id)
            elif line["what"] == "release":
                self._reservations.release(order_id)
            elif line["what"] == "disconnect":
                self._disconnects.place(body, behaviour, at, order_id=order_id)
            elif order is not None:
                self._book.amend(order, read_amendment(body), at)
            else:
                request = read_order(body, self._account.sites, self._account.peers)
                self._reservations.use_up(request.reservation_ids, request.wish.numbers)
                self._book.place(request, behaviour, at, order_id=order_id)

    # -- listing --------------------------------------------------------------------------------

    def _list(self, visit: Visit) -> Response:
        query, now, behaviour = visit.request.query_params, self._world.clock(), self._world.behaviour
        reason = fault_in_listing(query)
        if reason is not None:
            return _xml(xml.status_refusal("ResponseSelectWrapper", reason), 400)
        pool = self._selected(query, now, behaviour)
        size = int(query["size"])
        start = self._start_of(query["page"], pool, oldest_first=behaviour.list_oldest_first)
        if start is None:
            return _xml(xml.status_refusal("ResponseSelectWrapper", error(5061)), 404)
        page = Page(pool, start, size, oldest_first=behaviour.list_oldest_first)
        extra = rest_of(query)
        path = f"/accounts/{self._account.account_id}/orders"
        links = xml.links(path, size, extra, **page.neighbours())
        account_id = self._account.account_id
        return _xml(xml.order_list(page.orders(), len(pool), links, account_id, now, behaviour))

    def _selected(self, query: QueryParams, now: datetime, behaviour: Behaviour) -> Sequence[Order]:
        """Apply the filters; by an exact customer order id, or by none at all, nothing is scanned."""
        reference = query.get("customerOrderId")
        listed = self._book.listed(now)
        if reference is None or behaviour.reference_filter == "ignored":
            pool = listed
        elif behaviour.reference_filter == "exact":
            pool = self._book.by_reference(reference, now)
        else:
            pool = [order for order in listed if reference.lower() in order.customer_order_id.lower()]
        if query.keys() & SCANNING_FILTERS:
            pool = [order for order in pool if passes(order, query, now)]
        return pool

    def _start_of(self, page: str, pool: Sequence[Order], *, oldest_first: bool) -> int | None:
        """Turn a page, which is the id of its first order or `1`, into a place in the list."""
        if page == "1":
            return 0
        if pool is self._book.listed(self._world.clock()):
            place = self._book.position(page)
        else:
            place = next((i for i, order in enumerate(pool) if order.order_id == page), None)
        if place is None or oldest_first:
            return place
        return len(pool) - 1 - place

    # -- numbers on the account -----------------------------------------------------------------

    def _read_owned(self, visit: Visit) -> Response:
        e164, now = e164_of(visit.request.path_params["tn"]), self._world.clock()
        order = self._book.owner(e164, now)
        if order is None:
            return _xml(xml.status_refusal("TelephoneNumberResponse", error(15610)), 404)
        status = AGING if self._disconnects.is_aging(e164, now) else self._world.behaviour.number_status
        return _xml(xml.owned_number(e164, order, now, self._account.account_id, status))

    def _list_owned(self, visit: Visit) -> Response:
        query, now = visit.request.query_params, self._world.clock()
        size = query.get("size", "500")
        if not size.isdigit() or not 1 <= int(size) <= _TNS_SIZE_MAX:
            return _xml(xml.status_refusal("TelephoneNumbersResponse", error(1006)), 400)
        owned = list(self._owned(query, now))
        numbers = [e164 for e164, _ in owned]
        page = query.get("page", "1")
        if page not in {"1", *numbers}:
            return _xml(xml.status_refusal("TelephoneNumbersResponse", error(15610)), 404)
        start = 0 if page == "1" else numbers.index(page)
        following = numbers[start + int(size) : start + int(size) + 1]
        links = xml.links("/tns", int(size), "", first="1", next=following[0] if following else None)
        items = (self._owned_item(e164, order, now) for e164, order in owned[start : start + int(size)])
        return _xml(xml.owned_list(items, len(owned), links))

    def _owned(self, query: QueryParams, now: datetime) -> Iterator[tuple[str, Order]]:
        ours = query.get("accountId", self._account.account_id) == self._account.account_id
        status = self._world.behaviour.number_status
        if ours and query.get("status", status).lower() == status.lower():
            kept = self._disconnects
            yield from (owned for owned in self._book.owned(now) if not kept.is_aging(owned[0], now))

    def _owned_item(self, e164: str, order: Order, now: datetime) -> str:
        place, status = self._inventory.place_of(e164), self._world.behaviour.number_status
        return xml.owned_item(e164, place, order.stage(now).at, self._account.account_id, status)

    def _list_in_service(self, visit: Visit) -> Response:
        query, now = visit.request.query_params, self._world.clock()
        if fault_in_filters(query):
            return Response(status_code=404)
        place_of = self._inventory.place_of
        owned = self._owned(QueryParams(status="Inservice"), now)
        numbers = [e164 for e164, _ in owned if passes_in_service(e164, place_of(e164), query)]
        if not numbers:
            return Response(status_code=204)
        page = page_of(numbers, query, self._account.account_id)
        return Response(status_code=404) if page is None else _xml(page)

    def _read_restrictions(self, visit: Visit) -> Response:
        told = restrictions(visit.request.query_params.get("countryCodeA3", ""))
        return _xml(xml.status_refusal("RestrictionResponse", error(4010)), 400) if told is None else _xml(told)

    # -- faults only this carrier has -----------------------------------------------------------

    def _fault_answers(self) -> dict[FaultKind, Callable[[Fault], Response]]:
        return {
            FaultKind.TOO_MANY_REQUESTS: self._fault_429,
            FaultKind.TIMEOUT_400: _fault_timed_out,
            FaultKind.CODE_5086: _fault_5086,
        }

    def _fault_429(self, fault: Fault) -> Response:
        wait_s = 1.0 if fault.delay_s is None else fault.delay_s
        return _too_many_requests(int(self._world.clock.machine().timestamp() + wait_s) + 1)


def _reported(order: Order, now: datetime) -> dict[str, Any]:
    stage, wish = order.stage(now), order.request.wish
    ended_at = order.ended_at(now)
    bought = set(stage.bought)
    return {
        "carrier": "bandwidth",
        "order_id": order.order_id,
        "customer_order_id": order.customer_order_id,
        "kind": wish.kind.value,
        "quantity": wish.quantity,
        "fate": order.fate.value,
        "status": stage.status,
        "outcome": _OUTCOMES.get(stage.status),
        "created_at": iso(order.created_at),
        "ended_at": iso(ended_at) if ended_at is not None else None,
        "bought": list(stage.bought),
        "failed": [n for n in wish.numbers if n not in bought] if stage.is_final else [],
        "set_aside": [n for n in order.taken if n not in bought],
    }


def _or_declined(handler: Handler) -> Handler:
    """Answer a reservation's no as Bandwidth does."""

    def answer(visit: Visit) -> Response:
        try:
            return handler(visit)
        except ReservationRefused as refused:
            return _xml(reservations.refusal(refused), refused.status)

    return answer


def _lasts(behaviour: Behaviour) -> timedelta:
    return timedelta(seconds=behaviour.reservation_s)


def _unknown_path(visit: Visit) -> Response:
    return Response(status_code=404)


def _fault_timed_out(fault: Fault) -> Response:
    return _xml(xml.timed_out("API request timed out. Please resubmit your request."), fault.status or 400)


def _fault_5086(fault: Fault) -> Response:
    return _xml(xml.order_refusal((error(5086),), None), fault.status or 400)


def _too_many_requests(until: int) -> Response:
    return Response(status_code=429, headers={"Connection": "close", "X-RateLimit-Reset": str(until)})


def _xml(body: bytes, status: int = 200) -> Response:
    return Response(body, status, media_type="application/xml;charset=UTF-8")


def _json(body: object, status: int = 200) -> Response:
    return Response(json.dumps(body), status, media_type="application/json")
