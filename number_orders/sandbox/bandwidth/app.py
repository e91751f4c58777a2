"""Sandbox Bandwidth: the numbers API as its public pages and captured replies show it.

Knows routes, statuses and headers. `order_book.py` keeps orders, `outcomes.py` decides how they go, `xml.py` and
`disconnects.py` write XML, and `routes.py` in the package above applies latency and faults.
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
from number_orders.sandbox.bandwidth.in_service import has_unreadable_filter, page_of, restrictions
from number_orders.sandbox.bandwidth.in_service import matches as matches_in_service
from number_orders.sandbox.bandwidth.notices import NoticeWriter
from number_orders.sandbox.bandwidth.order_book import NotBackordered, Order, OrderBook
from number_orders.sandbox.bandwidth.order_list import SCANNING_FILTERS, Page, filters_as_query, listing_error, matches
from number_orders.sandbox.bandwidth.order_requests import (
    OrderRefused,
    OrderRequest,
    ServerError,
    e164_of,
    read_amendment,
    read_order,
)
from number_orders.sandbox.bandwidth.outcomes import COMPLETE, FAILED, PARTIAL
from number_orders.sandbox.bandwidth.reservations import Reservation, ReservationRefused, Reservations
from number_orders.sandbox.bandwidth.search import SearchRefused, read_search
from number_orders.sandbox.bandwidth.subscription_api import SubscriptionApi
from number_orders.sandbox.bandwidth.subscriptions import Subscription, Subscriptions
from number_orders.sandbox.bandwidth.vocabulary import error
from number_orders.sandbox.behaviour import Behaviour, Endpoint, LimitGroup, as_json, read_behaviour
from number_orders.sandbox.clock import iso
from number_orders.sandbox.faults import Fault, FaultKind
from number_orders.sandbox.inventory import Inventory, StockPlan
from number_orders.sandbox.limits import RateLimits
from number_orders.sandbox.routes import Handler, ReceivedRequest, RouteBuilder
from number_orders.sandbox.state import SandboxState

_API: Final = "/api/v2"
_ACCOUNT_PATH: Final = f"{_API}/accounts/{{account_id}}"
_REFERENCE: Final = re.compile(rb"<CustomerOrderId>\s*([^<]{1,200}?)\s*</CustomerOrderId>")
_OUTCOMES: Final = {COMPLETE: "COMPLETED", PARTIAL: "PARTIAL", FAILED: "FAILED"}
_TNS_SIZE_MAX: Final = 2500

OrderHandler = Callable[[ReceivedRequest, Order], Response]


class Bandwidth:
    """The only account of the sandbox Bandwidth."""

    name: Final = "bandwidth"

    def __init__(self, sandbox: SandboxState, account: Account | None = None, stock: StockPlan | None = None) -> None:
        self._sandbox = sandbox
        self._account = account or Account()
        self._plan = stock or StockPlan()
        self._builder = RouteBuilder(
            self.name, sandbox, reference_of=self._reference_of, fault_answers=self._fault_answers()
        )
        self.reset()
        self._replay()

    def reset(self) -> None:
        """Forget orders, tokens and limits, and refill the stock as at the start."""
        self._inventory = Inventory(self._plan)
        self._book = OrderBook(self._inventory)
        self._disconnects = Disconnects(self._book)
        self._reservations = Reservations(self._inventory, self._account.account_id)
        self._subscriptions = Subscriptions()
        self._notices = NoticeWriter(self._sandbox, self._subscriptions)
        self._access = Access(self._account)
        self._limits = RateLimits()

    def routes(self) -> Sequence[Route]:
        """Return the routes, the busiest first."""
        guarded, order = self._guarded, self._with_order
        read, create, search = guarded("HISTORY"), guarded("ORDER", ordering=True), guarded("SEARCH")
        disconnect, in_service = guarded("DISCONNECT", ordering=True), guarded("INSERVICE_NPANXX")
        served: tuple[tuple[str, str, str, Handler, Endpoint], ...] = (
            ("GET", _ACCOUNT_PATH, "/orders/{orderId}", read(order(self._read)), "order_read"),
            ("POST", _ACCOUNT_PATH, "/orders", create(self._create), "order_create"),
            ("GET", _ACCOUNT_PATH, "/orders", read(self._list), "order_list"),
            ("GET", _ACCOUNT_PATH, "/availableNumbers", search(self._search), "search"),
            ("GET", _ACCOUNT_PATH, "/orders/{orderId}/tns", read(order(self._read_numbers)), "numbers"),
            ("PUT", _ACCOUNT_PATH, "/orders/{orderId}", create(order(self._amend)), "order_change"),
            *self._reservation_routes(),
            *self._subscription_routes(),
            ("GET", _API, "/tns", read(self._list_owned), "numbers"),
            ("GET", _API, "/tns/{tn}", read(self._read_owned), "numbers"),
            ("GET", _ACCOUNT_PATH, "/inserviceNumbers", in_service(self._list_in_service), "numbers"),
            ("GET", _API, "/restrictions", search(self._read_restrictions), "search"),
            ("POST", _ACCOUNT_PATH, "/disconnects", disconnect(self._disconnect), "order_create"),
            ("GET", _ACCOUNT_PATH, "/disconnects/{orderId}", read(self._read_disconnect), "order_read"),
            ("GET", _ACCOUNT_PATH, "/disconnects", read(self._list_disconnects), "order_list"),
            ("POST", "/api/v1", "/oauth2/token", self._issue_token, "token"),
        )
        return (
            *(
                self._builder.route(method, prefix + template, handler, endpoint=endpoint, template=template)
                for method, prefix, template, handler, endpoint in served
            ),
            self._builder.route("*", "/api/{rest:path}", _unknown_path, endpoint="other", template="(unknown)"),
        )

    def _reservation_routes(self) -> Iterator[tuple[str, str, str, Handler, Endpoint]]:
        def read(handler: Handler) -> Handler:
            return self._guarded("HISTORY")(_with_reservation_errors(handler))

        def write(handler: Handler) -> Handler:
            return self._guarded("ORDER", ordering=True)(_with_reservation_errors(handler))

        one = "/tnreservation/{reservationId}"
        yield "POST", _ACCOUNT_PATH, "/tnreservation", write(self._reserve), "other"
        yield "GET", _ACCOUNT_PATH, one, read(self._read_reservation), "other"
        yield "DELETE", _ACCOUNT_PATH, one, write(self._release), "other"
        yield "GET", _API, "/tns/{tn}/tnreservation", read(self._read_reservation_of), "other"

    def _subscription_routes(self) -> Iterator[tuple[str, str, str, Handler, Endpoint]]:
        guarded = self._guarded("SUBSCRIPTION")
        api = SubscriptionApi(self._sandbox, lambda: self._subscriptions, self._remember)
        for method, template, handler in api.routes():
            yield method, _ACCOUNT_PATH, template, guarded(handler), "other"

    def revoke_tokens(self, token: str | None) -> int:
        """Revoke one issued token, or all."""
        return self._access.revoke(token)

    def holdings_as_json(self, now: datetime) -> dict[str, str]:
        """Return every number that was bought and not disconnected, with the account."""
        owned = (e164 for e164, _ in self._book.owned(now) if not self._disconnects.is_aging(e164, now))
        return dict.fromkeys(owned, self._account.account_id)

    def stock_as_json(self) -> dict[str, int]:
        """Return how many numbers are free and how many are reserved."""
        return {"free": self._inventory.count_free(), "reserved": self._reservations.count()}

    def incidents_as_json(self, since: datetime | None) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """Return the notices sent to subscribers."""
        return {"callbacks": self._sandbox.notices.as_json(self.name, since)}

    def orders_as_json(self, now: datetime, since: datetime | None) -> Iterable[dict[str, Any]]:
        """Return every order made since then, as it really is."""
        orders = self._book.all_orders()
        sales = (_reported(order, now) for order in orders if since is None or order.created_at >= since)
        return chain(sales, self._disconnects.as_json(now, since))

    # -- admission ------------------------------------------------------------------------------

    def _guarded(self, group: LimitGroup, *, ordering: bool = False) -> Callable[[Handler], Handler]:
        """Admit only authenticated callers of this account, up to the rate limit."""

        def guard(handler: Handler) -> Handler:
            def admit(received: ReceivedRequest) -> Response:
                refusal = self._refusal(received.request, group, ordering=ordering)
                return refusal if refusal is not None else handler(received)

            return admit

        return guard

    def _refusal(self, request: Request, group: LimitGroup, *, ordering: bool) -> Response | None:
        now = self._sandbox.clock()
        self._apply_due_changes(now)
        caller = self._access.recognise(request.headers.get("authorization", ""), now)
        if caller is None:
            return Response(status_code=401)
        named = request.path_params.get("account_id", self._account.account_id)
        if named != self._account.account_id or (ordering and not caller.may_order):
            return Response(status_code=403)
        until = self._limits.refused_until(group, self._sandbox.behaviour, self._sandbox.clock.machine())
        return _too_many_requests(until) if until is not None else None

    def _apply_due_changes(self, now: datetime) -> None:
        self._disconnects.return_aged_numbers(now)
        self._reservations.expire(now)

    def _issue_token(self, received: ReceivedRequest) -> Response:
        now, lifetime_s = self._sandbox.clock(), self._sandbox.behaviour.token_lifetime_s
        token = self._access.issue(received.request.headers.get("authorization", ""), now, lifetime_s)
        if token is None:
            return Response(status_code=401)
        if not asks_for_client_credentials(received.body):
            return _json({"error": "unsupported_grant_type"}, 400)
        return _json({"access_token": token, "token_type": "Bearer", "expires_in": lifetime_s})

    def _reference_of(self, received: ReceivedRequest) -> str | None:
        """Return the customer order id that a request concerns, from its path, its query or its body."""
        named = received.request.path_params.get("orderId", "")
        order = self._book.get(named) or self._disconnects.get(named)
        if order is not None:
            return order.customer_order_id or None
        if received.request.method == "GET":
            return received.request.query_params.get("customerOrderId")
        found = _REFERENCE.search(received.body)
        return found[1].decode("utf-8", "replace") if found else None

    # -- searches -------------------------------------------------------------------------------

    def _search(self, received: ReceivedRequest) -> Response:
        try:
            search = read_search(received.request.query_params.multi_items())
        except SearchRefused as refused:
            return _xml(xml.search_refusal(refused.reason), 400)
        limit = 0 if search.protected_only else search.quantity
        numbers: Sequence[str] = self._inventory.find(search.criteria, limit)
        if search.in_order:
            numbers = sorted(numbers)
        if search.detail:
            return _xml(xml.search_details(numbers, self._inventory))
        return _xml(xml.search_result(numbers))

    # -- orders ---------------------------------------------------------------------------------

    def _create(self, received: ReceivedRequest) -> Response:
        try:
            request = read_order(received.body, self._account.sites, self._account.peers)
            self._reservations.consume(request.reservation_ids, request.selection.numbers)
        except OrderRefused as refused:
            return _xml(xml.order_refusal(refused.errors, refused.echo), 400)
        except ServerError:
            return Response(status_code=500)
        return self._accept(request, received)

    def _accept(self, request: OrderRequest, received: ReceivedRequest) -> Response:
        behaviour, http = self._sandbox.behaviour, received.request
        order = self._book.accept(request, behaviour, self._sandbox.clock(), order_id=self._sandbox.new_id())
        self._notices.schedule_order(order, order.created_at)
        self._remember("order", order, order.created_at, received.body)
        where = behaviour.order_id_in
        in_body = None if where == "location" else order.order_id
        in_location = self._sandbox.new_id() if where == "different" else order.order_id
        answer = _xml(xml.order_accepted(order, in_body), 201)
        if where != "body":
            answer.headers["Location"] = f"{http.url.replace(query='')}/{in_location}"
        return answer

    def _with_order(self, handler: OrderHandler) -> Handler:
        def find(received: ReceivedRequest) -> Response:
            order = self._book.get(received.request.path_params["orderId"])
            if order is None:
                return _xml(xml.status_refusal("OrderResponse", error(5061)), 404)
            return handler(received, order)

        return find

    def _read(self, received: ReceivedRequest, order: Order) -> Response:
        detail = received.request.query_params.get("tndetail", "").lower() == "true"
        now, behaviour = self._sandbox.clock(), self._sandbox.behaviour
        return _xml(xml.order_status(order, now, behaviour, self._inventory, detail=detail))

    def _read_numbers(self, received: ReceivedRequest, order: Order) -> Response:
        return _xml(xml.order_numbers(order.stage(self._sandbox.clock()).shown))

    def _amend(self, received: ReceivedRequest, order: Order) -> Response:
        now = self._sandbox.clock()
        try:
            self._book.amend(order, read_amendment(received.body), now)
        except OrderRefused as refused:
            return _xml(xml.order_refusal(refused.errors, refused.echo), 400)
        except NotBackordered:
            return _xml(xml.order_refusal((error(5060),), None), 400)
        self._notices.schedule_order(order, now)
        self._remember("amendment", order, now, received.body)
        return _xml(xml.document("<OrderResponse/>"))

    # -- disconnects ----------------------------------------------------------------------------

    def _disconnect(self, received: ReceivedRequest) -> Response:
        try:
            sandbox = self._sandbox
            disconnect = self._disconnects.accept(
                received.body, sandbox.behaviour, sandbox.clock(), order_id=sandbox.new_id()
            )
        except OrderRefused as refused:
            return _xml(disconnects.refusal(refused), 400)
        self._notices.schedule_disconnect(disconnect, disconnect.created_at)
        self._remember("disconnect", disconnect, disconnect.created_at, received.body)
        answer = _xml(disconnects.accepted(disconnect), 201)
        answer.headers["Location"] = f"{received.request.url.replace(query='')}/{disconnect.order_id}"
        return answer

    def _read_disconnect(self, received: ReceivedRequest) -> Response:
        disconnect = self._disconnects.get(received.request.path_params["orderId"])
        if disconnect is None:
            return _xml(disconnects.unknown(), 404)
        return _xml(disconnects.as_xml(disconnect, self._sandbox.clock()))

    def _list_disconnects(self, received: ReceivedRequest) -> Response:
        """List disconnects; without any, answer 404 with an empty list."""
        query, now = received.request.query_params, self._sandbox.clock()
        reason = disconnects.listing_error(query)
        if reason is not None:
            return _xml(xml.status_refusal("ResponseSelectWrapper", reason), 400)
        found = self._disconnects.listed(query, now, oldest_first=self._sandbox.behaviour.list_oldest_first)
        page = disconnects.page_of(found, query)
        if page is None:
            return _xml(xml.status_refusal("ResponseSelectWrapper", error(5061)), 404)
        path, size = f"/accounts/{self._account.account_id}/disconnects", int(query.get("size", 300))
        links = xml.links(path, size, filters_as_query(query), first="1", next=page[1])
        return _xml(disconnects.listing(page[0], len(found), links, now), 200 if found else 404)

    # -- reservations ---------------------------------------------------------------------------

    def _reserve(self, received: ReceivedRequest) -> Response:
        now = self._sandbox.clock()
        reservation = self._reservations.create(received.body, _reservation_time(self._sandbox.behaviour), now)
        self._remember("reservation", reservation, now, received.body)
        where = f"{received.request.url.replace(query='')}/{reservation.order_id}"
        return Response(status_code=201, headers={"Location": where})

    def _read_reservation(self, received: ReceivedRequest) -> Response:
        reservation = self._reservations.get(received.request.path_params["reservationId"])
        return _xml(self._reservations.as_xml(reservation, self._sandbox.clock()))

    def _read_reservation_of(self, received: ReceivedRequest) -> Response:
        reservation = self._reservations.of_number(e164_of(received.request.path_params["tn"]))
        return _xml(self._reservations.as_xml_by_number(reservation, self._sandbox.clock()))

    def _release(self, received: ReceivedRequest) -> Response:
        reservation = self._reservations.release(received.request.path_params["reservationId"])
        self._remember("release", reservation, self._sandbox.clock(), b"")
        return Response(status_code=200)

    # -- memory ---------------------------------------------------------------------------------

    def _remember(
        self, what: str, order: Order | Disconnect | Reservation | Subscription, at: datetime, body: bytes
    ) -> None:
        behaviour = as_json(self._sandbox.behaviour)
        line = {"what": what, "order_id": order.order_id, "at": iso(at)}
        sent = {"body": body.decode("latin-1"), "behaviour": behaviour}  # latin-1 keeps any bytes
        self._sandbox.memory.append(self.name, line | sent)

    def _replay(self) -> None:
        """Repeat what was done before the sandbox was stopped, with the moments at which it was done."""
        for line in self._sandbox.memory.read(self.name):
            at, behaviour = datetime.fromisoformat(line["at"]), read_behaviour(line["behaviour"])
            self._apply_due_changes(at)
            self._repeat(line["what"], line["order_id"], line["body"].encode("latin-1"), behaviour, at)
        for order in self._book.all_orders():
            self._notices.schedule_order(order, self._sandbox.clock())

    def _repeat(self, what: str, order_id: str, body: bytes, behaviour: Behaviour, at: datetime) -> None:
        order = self._book.get(order_id)
        match what:
            case "reservation":
                self._reservations.create(body, _reservation_time(behaviour), at, order_id=order_id)
            case "release":
                self._reservations.release(order_id)
            case "subscription":
                self._subscriptions.store(body, at, subscription_id=order_id)
            case "subscription end":
                self._subscriptions.remove(order_id, at)
            case "disconnect":
                disconnect = self._disconnects.accept(body, behaviour, at, order_id=order_id)
                self._notices.schedule_disconnect(disconnect, self._sandbox.clock())
            case _ if order is not None:
                self._book.amend(order, read_amendment(body), at)
            case _:
                request = read_order(body, self._account.sites, self._account.peers)
                self._reservations.consume(request.reservation_ids, request.selection.numbers)
                self._book.accept(request, behaviour, at, order_id=order_id)

    # -- lists ----------------------------------------------------------------------------------

    def _list(self, received: ReceivedRequest) -> Response:
        query, now, behaviour = received.request.query_params, self._sandbox.clock(), self._sandbox.behaviour
        reason = listing_error(query)
        if reason is not None:
            return _xml(xml.status_refusal("ResponseSelectWrapper", reason), 400)
        pool = self._selected(query, now, behaviour)
        size = int(query["size"])
        start = self._start_of(query["page"], pool, oldest_first=behaviour.list_oldest_first)
        if start is None:
            return _xml(xml.status_refusal("ResponseSelectWrapper", error(5061)), 404)
        page = Page(pool, start, size, oldest_first=behaviour.list_oldest_first)
        extra = filters_as_query(query)
        path = f"/accounts/{self._account.account_id}/orders"
        links = xml.links(path, size, extra, **page.neighbours())
        account_id = self._account.account_id
        return _xml(xml.order_list(page.orders(), len(pool), links, account_id, now, behaviour))

    def _selected(self, query: QueryParams, now: datetime, behaviour: Behaviour) -> Sequence[Order]:
        """Apply the filters. With an exact customer order id, or no filter, no order is scanned."""
        reference = query.get("customerOrderId")
        listed = self._book.listed(now)
        if reference is None or behaviour.reference_filter == "ignored":
            pool = listed
        elif behaviour.reference_filter == "exact":
            pool = self._book.by_reference(reference, now)
        else:
            pool = [order for order in listed if reference.lower() in order.customer_order_id.lower()]
        if query.keys() & SCANNING_FILTERS:
            pool = [order for order in pool if matches(order, query, now)]
        return pool

    def _start_of(self, page: str, pool: Sequence[Order], *, oldest_first: bool) -> int | None:
        """Return the position in the list of a page, which is named by the id of its first order or `1`."""
        if page == "1":
            return 0
        if pool is self._book.listed(self._sandbox.clock()):
            position = self._book.position(page)
        else:
            position = next((i for i, order in enumerate(pool) if order.order_id == page), None)
        if position is None or oldest_first:
            return position
        return len(pool) - 1 - position

    # -- numbers on the account -----------------------------------------------------------------

    def _read_owned(self, received: ReceivedRequest) -> Response:
        e164, now = e164_of(received.request.path_params["tn"]), self._sandbox.clock()
        order = self._book.owner(e164, now)
        if order is None or e164 not in order.stage(now).shown:
            return _xml(xml.status_refusal("TelephoneNumberResponse", error(15610)), 404)
        status = AGING if self._disconnects.is_aging(e164, now) else self._sandbox.behaviour.number_status
        return _xml(xml.owned_number(e164, order, now, self._account.account_id, status))

    def _list_owned(self, received: ReceivedRequest) -> Response:
        query, now = received.request.query_params, self._sandbox.clock()
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
        status = self._sandbox.behaviour.number_status
        if ours and query.get("status", status).lower() == status.lower():
            is_aging = self._disconnects.is_aging
            owned = ((e164, order) for e164, order in self._book.owned(now) if not is_aging(e164, now))
            yield from ((e164, order) for e164, order in owned if e164 in order.stage(now).shown)

    def _owned_item(self, e164: str, order: Order, now: datetime) -> str:
        place, status = self._inventory.place_of(e164), self._sandbox.behaviour.number_status
        return xml.owned_item(e164, place, order.stage(now).at, self._account.account_id, status)

    def _list_in_service(self, received: ReceivedRequest) -> Response:
        query, now = received.request.query_params, self._sandbox.clock()
        if has_unreadable_filter(query):
            return Response(status_code=404)
        place_of = self._inventory.place_of
        owned = self._owned(QueryParams(status="Inservice"), now)
        numbers = [e164 for e164, _ in owned if matches_in_service(e164, place_of(e164), query)]
        if not numbers:
            return Response(status_code=204)
        page = page_of(numbers, query, self._account.account_id)
        return Response(status_code=404) if page is None else _xml(page)

    def _read_restrictions(self, received: ReceivedRequest) -> Response:
        found = restrictions(received.request.query_params.get("countryCodeA3", ""))
        return _xml(xml.status_refusal("RestrictionResponse", error(4010)), 400) if found is None else _xml(found)

    # -- faults of this carrier only ------------------------------------------------------------

    def _fault_answers(self) -> dict[FaultKind, Callable[[Fault], Response]]:
        return {
            FaultKind.TOO_MANY_REQUESTS: self._too_many_requests_answer,
            FaultKind.TIMEOUT_400: _timeout_answer,
            FaultKind.CODE_5086: _code_5086_answer,
        }

    def _too_many_requests_answer(self, fault: Fault) -> Response:
        wait_s = 1.0 if fault.delay_s is None else fault.delay_s
        return _too_many_requests(int(self._sandbox.clock.machine().timestamp() + wait_s) + 1)


def _reported(order: Order, now: datetime) -> dict[str, Any]:
    stage, selection = order.stage(now), order.request.selection
    ended_at = order.ended_at(now)
    bought = set(stage.bought)
    return {
        "carrier": "bandwidth",
        "order_id": order.order_id,
        "customer_order_id": order.customer_order_id,
        "kind": selection.kind.value,
        "quantity": selection.quantity,
        "fate": order.fate.value,
        "status": stage.status,
        "outcome": _OUTCOMES.get(stage.status) if stage.is_final else None,
        "created_at": iso(order.created_at),
        "listed_at": iso(order.listed_at),
        "ended_at": iso(ended_at) if ended_at is not None else None,
        "lists_complete_at": iso(order.stages[-1].at),
        "bought": list(stage.bought),
        "withdrawn": order.withdrawn(now),
        "failed": [n for n in selection.numbers if n not in bought] if stage.is_final else [],
        "set_aside": [n for n in order.taken if n not in bought],
    }


def _with_reservation_errors(handler: Handler) -> Handler:
    """Answer a refused reservation as Bandwidth does."""

    def answer(received: ReceivedRequest) -> Response:
        try:
            return handler(received)
        except ReservationRefused as refused:
            return _xml(reservations.refusal(refused), refused.status)

    return answer


def _reservation_time(behaviour: Behaviour) -> timedelta:
    return timedelta(seconds=behaviour.reservation_s)


def _unknown_path(received: ReceivedRequest) -> Response:
    return Response(status_code=404)


def _timeout_answer(fault: Fault) -> Response:
    return _xml(xml.timed_out("API request timed out. Please resubmit your request."), fault.status or 400)


def _code_5086_answer(fault: Fault) -> Response:
    return _xml(xml.order_refusal((error(5086),), None), fault.status or 400)


def _too_many_requests(until: int) -> Response:
    return Response(status_code=429, headers={"Connection": "close", "X-RateLimit-Reset": str(until)})


def _xml(body: bytes, status: int = 200) -> Response:
    return Response(body, status, media_type="application/xml;charset=UTF-8")


def _json(body: object, status: int = 200) -> Response:
    return Response(json.dumps(body), status, media_type="application/json")
