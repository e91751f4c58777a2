"""Sandbox Swift: number ordering as Swift's pages print it.

Knows routes, statuses and admission. `order_book.py` keeps carts and orders, `outcomes.py` decides how they go,
`json.py` writes the envelopes, and `routes.py` in the package above applies latency and faults.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final, TypeVar

from starlette.responses import Response
from starlette.routing import Route

from number_orders.sandbox.behaviour import as_json, read_behaviour
from number_orders.sandbox.clock import iso
from number_orders.sandbox.faults import Fault, FaultKind
from number_orders.sandbox.inventory import SWIFT_RANGES, Inventory, StockPlan
from number_orders.sandbox.routes import Handler, ReceivedRequest, RouteBuilder
from number_orders.sandbox.state import SandboxState
from number_orders.sandbox.swift import json as swift_json
from number_orders.sandbox.swift.access import SwiftAccount
from number_orders.sandbox.swift.coverage import count, read_coverage_query
from number_orders.sandbox.swift.dids import Did, old_did
from number_orders.sandbox.swift.errors import shaped_error
from number_orders.sandbox.swift.json import Envelopes, Json
from number_orders.sandbox.swift.lists import OldItems, Page, PagedList, read_page_request
from number_orders.sandbox.swift.order_book import Cart, CheckedOut, EmptyCart, Order, OrderBook, Tainted, Violation
from number_orders.sandbox.swift.order_requests import (
    AddMessagingNumbers,
    CartRequestData,
    NewNumbers,
    Refused,
    RemoveNumbers,
    read_cart,
    read_cart_request,
)
from number_orders.sandbox.swift.outcomes import RequestResult
from number_orders.sandbox.ulid import ulid

_PREFIXES: Final = ("/api/v1", "/api/v1/accounts/{account_id}")

T = TypeVar("T")
CartHandler = Callable[[ReceivedRequest, Cart], Response]


class Swift:
    """One account at the sandbox Swift, with its sub accounts."""

    name: Final = "swift"

    def __init__(
        self, sandbox: SandboxState, account: SwiftAccount | None = None, stock: StockPlan | None = None
    ) -> None:
        self._sandbox = sandbox
        self._account = account or SwiftAccount()
        self._plan = stock or StockPlan()
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
        """Forget carts, orders and numbers, and refill the stock as at the start."""
        self._inventory = Inventory(self._plan, SWIFT_RANGES)
        self._book = OrderBook(self._inventory, self._account.mms_accounts)

    def routes(self) -> Sequence[Route]:
        """Return the routes: each for the own account, and again below `/accounts/{account_id}`."""
        return [route for prefix in _PREFIXES for route in self._routes_below(prefix)]

    def _routes_below(self, prefix: str) -> Iterator[Route]:
        cart = self._with_cart
        served: tuple[tuple[str, str, str, Handler, Any], ...] = (
            ("GET", "/orders/{order_id}", "/orders/{orderId}", self._read_order, "order_read"),
            ("GET", "/dids", "/dids", self._list_dids, "numbers"),
            ("GET", "/dids/{did_id}", "/dids/{didId}", self._read_did, "numbers"),
            ("POST", "/carts", "/carts", self._open_cart, "order_create"),
            ("POST", "/carts/{cart_id}/requests", "/carts/{cartId}/requests", cart(self._add), "order_create"),
            ("POST", "/carts/{cart_id}/checkout", "/carts/{cartId}/checkout", cart(self._check_out), "order_create"),
            ("GET", "/carts/{cart_id}", "/carts/{cartId}", cart(self._read_cart), "order_read"),
            ("GET", "/carts/{cart_id}/requests", "/carts/{cartId}/requests", cart(self._list_requests), "order_list"),
            ("GET", "/orders", "/orders", self._list_orders, "order_list"),
            ("GET", "/carts", "/carts", self._list_carts, "order_list"),
            ("GET", "/inventory/coverage", "/inventory/coverage", self._coverage, "search"),
        )
        for method, path, template, handler, endpoint in served:
            guarded = self._guarded(handler)
            yield self._builder.route(method, prefix + path, guarded, endpoint=endpoint, template=template)

    def revoke_tokens(self, token: str | None) -> int:
        """Return 0: keys do not expire here."""
        return 0

    def holdings_as_json(self, now: datetime) -> dict[str, str]:
        """Return every number that the accounts hold, with its account."""
        return {did.e164: did.account_id for did in self._book.holdings.held(now)}

    def stock_as_json(self) -> dict[str, int]:
        """Return how many numbers are left in stock, and how many the accounts hold."""
        held = sum(1 for _ in self._book.holdings.held(self._sandbox.clock()))
        return {"free": self._inventory.count_free(), "dids": held}

    def orders_as_json(self, now: datetime, since: datetime | None) -> Iterable[dict[str, Any]]:
        """Return every order made since then, as it really is."""
        orders = self._book.all_orders()
        return (_reported(order, now) for order in orders if since is None or order.placed_at >= since)

    def incidents_as_json(self, since: datetime | None) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """Return the removals that were ordered inside a taint window."""
        violations = self._book.violations
        return {"violations": [_violation(each) for each in violations if since is None or each.at >= since]}

    # -- admission ------------------------------------------------------------------------------

    def _guarded(self, handler: Handler) -> Handler:
        """Admit only valid keys, and only to their accounts."""

        def admit(received: ReceivedRequest) -> Response:
            status = self._account.refusal(received.request.headers.get("authorization", ""))
            if status is not None:
                return _error(status, HTTPStatus(status).phrase)
            if not self._account.knows(self._account_of(received)):
                return _not_found()
            try:
                return handler(received)
            except Refused as refused:
                return _json({"errors": refused.errors}, refused.status)

        return lambda received: self._shaped(admit(received))

    def _shaped(self, answer: Response) -> Response:
        """Return an error in the shape that the behaviour asks for, and everything else as it is."""
        if answer.status_code < HTTPStatus.BAD_REQUEST:
            return answer
        return shaped_error(
            answer.status_code, json.loads(bytes(answer.body))["errors"], self._sandbox.behaviour.swift_errors
        )

    def _account_of(self, received: ReceivedRequest) -> str:
        return str(received.request.path_params.get("account_id", self._account.account_id))

    def _with_cart(self, handler: CartHandler) -> Handler:
        def find(received: ReceivedRequest) -> Response:
            cart = self._book.cart(received.request.path_params["cart_id"])
            if cart is None or cart.account_id != self._account_of(received):
                return _not_found()
            return handler(received, cart)

        return find

    def _reference_of(self, received: ReceivedRequest) -> str | None:
        """Return the reference of the cart or order in the path, or of the cart in the body."""
        path = received.request.path_params
        order = self._book.order(path.get("order_id", ""))
        cart = order.cart if order is not None else self._book.cart(path.get("cart_id", path.get("order_id", "")))
        if cart is not None:
            return cart.sent.reference_id
        try:
            return read_cart(received.body).reference_id
        except Refused:
            return None

    # -- carts ----------------------------------------------------------------------------------

    def _open_cart(self, received: ReceivedRequest) -> Response:
        sent, now = read_cart(received.body), self._sandbox.clock()
        cart = self._book.open_cart(ulid(now, self._sandbox.id_dice), self._account_of(received), sent, now)
        self._remember("cart", cart, cart.cart_id, now, received.body)
        return _json(self._envelopes().cart(cart), 201)

    def _add(self, received: ReceivedRequest, cart: Cart) -> Response:
        sent, now = read_cart_request(received.body), self._sandbox.clock()
        refusal = self._refusal_of_added_numbers(sent, cart.account_id)
        if refusal is not None:
            return refusal
        try:
            request = self._book.add_request(cart, ulid(now, self._sandbox.id_dice), sent, now)
        except CheckedOut:
            return _error(409, "cart is already checked out")
        self._remember("request", cart, request.request_id, now, received.body)
        return _json(self._envelopes().cart_request(cart, request), 201)

    def _refusal_of_added_numbers(self, sent: CartRequestData, account_id: str) -> Response | None:
        """Return the refusal of ADD_MESSAGING_NUMBERS where Swift has not approved it, or None."""
        requested = sent.data
        if not isinstance(requested, AddMessagingNumbers):
            return None
        if account_id not in self._account.messaging_accounts:
            return _error(403, "ADD_MESSAGING_NUMBERS is not enabled on this account")
        if requested.mms_enabled and account_id not in self._account.mms_accounts:
            return _json({"errors": {"mms_enabled": ["requires MMS access"]}}, 422)
        if not set(requested.api_key_ids) <= set(self._account.api_key_ids):
            return _json({"errors": {"api_key_ids": ["not found"]}}, 422)
        return None

    def _check_out(self, received: ReceivedRequest, cart: Cart) -> Response:
        now, behaviour = self._sandbox.clock(), self._sandbox.behaviour
        try:
            order = self._book.check_out(cart, behaviour, now)
        except CheckedOut as done:
            if behaviour.second_checkout == "same":
                return _json(self._envelopes().order(done.order, now))
            return _error(int(behaviour.second_checkout), "cart is already checked out")
        except EmptyCart:
            return _error(422, "cart has no requests")
        except Tainted as tainted:
            self._remember("checkout", cart, cart.cart_id, now, b"")
            numbers = ", ".join(number.removeprefix("+") for number in tainted.numbers)
            return _error(422, f"numbers are tainted: {numbers}")
        self._remember("checkout", cart, cart.cart_id, now, b"")
        return _json(self._envelopes().new_order(order))

    def _read_cart(self, received: ReceivedRequest, cart: Cart) -> Response:
        return _json(self._envelopes().cart(cart))

    def _list_requests(self, received: ReceivedRequest, cart: Cart) -> Response:
        write = self._envelopes().cart_request
        page = Page(tuple(cart.requests), max(len(cart.requests), 1), None, None)  # a cart has few requests
        return _json(swift_json.listing((write(cart, request) for request in page.items), page))

    def _list_carts(self, received: ReceivedRequest) -> Response:
        write = self._envelopes().cart
        return self._list(received, self._book.carts[self._account_of(received)], lambda cart, _: write(cart))

    # -- orders and numbers ---------------------------------------------------------------------

    def _read_order(self, received: ReceivedRequest) -> Response:
        order = self._book.order(received.request.path_params["order_id"])
        if order is None or order.cart.account_id != self._account_of(received):
            return _not_found()
        return _json(self._envelopes().order(order, self._sandbox.clock()))

    def _list_orders(self, received: ReceivedRequest) -> Response:
        return self._list(received, self._book.orders[self._account_of(received)], self._envelopes().order)

    def _list_dids(self, received: ReceivedRequest) -> Response:
        account_id = received.request.path_params.get("account_id")
        now = self._sandbox.clock()
        return self._list(
            received,
            self._book.dids[account_id],
            lambda one, now: swift_json.did(one, now, with_account=account_id is not None),
            shown=lambda one: one.is_listed(now),
            old=self._old_numbers(account_id),
        )

    def _old_numbers(self, account_id: str | None) -> OldItems[Did] | None:
        """Return the numbers that the own account has had since long ago, which the list of all accounts has too."""
        count = self._sandbox.behaviour.swift_old_numbers
        if not count or account_id not in {None, self._account.account_id}:
            return None
        return OldItems(count, lambda position, did_id: old_did(position, did_id, self._account.account_id))

    def _read_did(self, received: ReceivedRequest) -> Response:
        account_id, now = received.request.path_params.get("account_id"), self._sandbox.clock()
        one = self._book.holdings.get(received.request.path_params["did_id"])
        if one is None or not one.is_listed(now) or account_id not in {None, one.account_id}:
            return _not_found()
        return _json(swift_json.did(one, now, with_account=account_id is not None))

    def _list(
        self,
        received: ReceivedRequest,
        paged_list: PagedList[T],
        write: Callable[[T, datetime], Json],
        shown: Callable[[T], bool] = lambda _: True,
        old: OldItems[T] | None = None,
    ) -> Response:
        now, behaviour = self._sandbox.clock(), self._sandbox.behaviour
        wanted = read_page_request(received.request.query_params, behaviour.list_page_max)
        if wanted is None:
            return _error(400, "invalid page")
        page = paged_list.page(wanted, now, oldest_first=behaviour.list_oldest_first, shown=shown, old=old)
        if page is None:
            return _error(400, "invalid page")
        return _json(swift_json.listing((write(item, now) for item in page.items), page))

    def _coverage(self, received: ReceivedRequest) -> Response:
        query = read_coverage_query(received.request.query_params)
        groups = count(self._inventory, query)
        entries = groups if query.group_by else {}
        return _json(swift_json.coverage(query.group_by, entries, groups.total()))

    def _envelopes(self) -> Envelopes:
        return Envelopes(self._account, as_printed=self._sandbox.behaviour.swift_replies == "as_printed")

    # -- memory ---------------------------------------------------------------------------------

    def _remember(self, what: str, cart: Cart, object_id: str, at: datetime, body: bytes) -> None:
        behaviour = as_json(self._sandbox.behaviour) if what == "checkout" else {}
        sent = {"body": body.decode("utf-8"), "behaviour": behaviour, "account_id": cart.account_id}
        self._sandbox.memory.append(
            self.name, {"what": what, "cart_id": cart.cart_id, "id": object_id, "at": iso(at), **sent}
        )

    def _replay(self) -> None:
        """Repeat what was done before the sandbox was stopped, with the moments at which it was done."""
        for line in self._sandbox.memory.read(self.name):
            self._replay_line(line, datetime.fromisoformat(line["at"]), line["body"].encode("utf-8"))

    def _replay_line(self, line: Mapping[str, Any], at: datetime, body: bytes) -> None:
        if line["what"] == "cart":
            self._book.open_cart(line["id"], line["account_id"], read_cart(body), at)
            return
        cart = self._book.cart(line["cart_id"])
        if cart is None:
            raise LookupError(f"the memory file has no cart {line['cart_id']} before its requests: it is damaged")
        if line["what"] == "request":
            self._book.add_request(cart, line["id"], read_cart_request(body), at)
            return
        try:
            self._book.check_out(cart, read_behaviour(line["behaviour"]), at)
        except Tainted:
            return  # it was refused then too; the violation is recorded again


def _reported(order: Order, now: datetime) -> dict[str, Any]:
    ended_at, results, cart = order.ended_at(now), order.timeline.results, order.cart
    ended = ended_at is not None
    quantity, done = sum(result.quantity for result in results), sum(len(result.done) for result in results)
    bought = _numbers(results, NewNumbers)
    return {
        "carrier": "swift",
        "order_id": order.order_id,
        "customer_order_id": cart.sent.reference_id or "",
        "kind": "+".join(request.sent.type for request in cart.requests),
        "quantity": quantity,
        "fate": order.timeline.fate.value,
        "status": order.stage(now).status,
        "outcome": _outcome(done, quantity) if ended else None,
        "created_at": iso(order.placed_at),
        "listed_at": iso(order.listed_at),
        "ended_at": None if ended_at is None else iso(ended_at),
        "lists_complete_at": iso(order.lists_complete_at),
        "bought": bought if ended else [],
        "withdrawn": [],
        "failed": _failed(results) if ended else [],
        "set_aside": [] if ended else bought,
        "account": cart.account_id,
        "cart_id": cart.cart_id,
        "added": _numbers(results, AddMessagingNumbers) if ended else [],
        "removed": _numbers(results, RemoveNumbers) if ended else [],
    }


def _numbers(results: Iterable[RequestResult], kind: type) -> list[str]:
    return [e164 for result in results if isinstance(result.requested, kind) for e164 in result.done]


def _failed(results: Iterable[RequestResult]) -> list[str]:
    """Return the named numbers that were not added or removed."""
    named = [
        (result, f"+{n}")
        for result in results
        if not isinstance(result.requested, NewNumbers)
        for n in result.requested.numbers
    ]
    return [e164 for result, e164 in named if e164 not in result.done]


def _outcome(done: int, quantity: int) -> str:
    """Return what happened to the numbers, whatever the order's status says."""
    if done == quantity:
        return "COMPLETED"
    return "PARTIAL" if done else "FAILED"


def _violation(violation: Violation) -> dict[str, Any]:
    return {"carrier": "swift", **asdict(violation), "at": iso(violation.at)}


def _too_many_requests(fault: Fault) -> Response:
    answer = _error(429, "Too Many Requests")
    answer.headers["Retry-After"] = str(int(1.0 if fault.delay_s is None else fault.delay_s))
    return answer


def _not_found() -> Response:
    return _error(404, "Not Found")


def _error(status: int, detail: str) -> Response:
    return _json({"errors": {"detail": detail}}, status)


def _json(body: object, status: int = 200) -> Response:
    return Response(json.dumps(body), status, media_type="application/json")
