"""Practice Swift: number ordering on loopback, as Swift's pages print it.

Knows routes, statuses and admission. Carts and orders live in `swift_book`, their course is decided in
`swift_outcomes`, the envelopes are in `swift_json`, and what may go wrong on the way in `gate`.
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
from number_orders.sandbox.gate import Gate, Handler, Visit
from number_orders.sandbox.inventory import SWIFT_SHELF, Inventory, StockPlan
from number_orders.sandbox.swift import json as swift_json
from number_orders.sandbox.swift.access import SwiftAccount
from number_orders.sandbox.swift.coverage import count, read_question
from number_orders.sandbox.swift.json import Envelopes, Json
from number_orders.sandbox.swift.lists import Page, Roll, Window, read_window
from number_orders.sandbox.swift.order_book import Book, Cart, CheckedOut, EmptyCart, Order, Tainted, Violation
from number_orders.sandbox.swift.order_requests import (
    AddMessagingNumbers,
    CartRequestData,
    NewNumbers,
    Refused,
    RemoveNumbers,
    read_cart,
    read_cart_request,
)
from number_orders.sandbox.swift.outcomes import Part
from number_orders.sandbox.ulid import ulid
from number_orders.sandbox.world import World

_PREFIXES: Final = ("/api/v1", "/api/v1/accounts/{account_id}")

T = TypeVar("T")
CartHandler = Callable[[Visit, Cart], Response]


class Swift:
    """One account at the practice carrier, with its sub accounts."""

    name: Final = "swift"

    def __init__(self, world: World, account: SwiftAccount | None = None, stock: StockPlan | None = None) -> None:
        self._world = world
        self._account = account or SwiftAccount()
        self._plan = stock or StockPlan()
        self._gate = Gate(
            self.name,
            world,
            reference_of=self._reference_of,
            fault_answers={FaultKind.TOO_MANY_REQUESTS: _too_many_requests},
            media_type="application/json",
        )
        self.start_over()
        self._play_again()

    def start_over(self) -> None:
        """Forget carts, orders and numbers, and refill the stock as at the start."""
        self._inventory = Inventory(self._plan, SWIFT_SHELF)
        self._book = Book(self._inventory, self._account.mms_accounts)

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
            yield self._gate.route(method, prefix + path, self._guarded(handler), endpoint=endpoint, template=template)

    def revoke_tokens(self, token: str | None) -> int:
        """Revoke nothing: keys do not expire here."""
        return 0

    def stock_as_json(self) -> dict[str, int]:
        """Say what is left in stock, and what the accounts hold."""
        held = sum(1 for _ in self._book.holdings.held(self._world.clock()))
        return {"free": self._inventory.count_free(), "dids": held}

    def orders_as_json(self, now: datetime, since: datetime | None) -> Iterable[dict[str, Any]]:
        """Describe every cart checked out since then, as it truly stands."""
        orders = self._book.all_orders()
        return (_reported(order, now) for order in orders if since is None or order.placed_at >= since)

    def incidents_as_json(self, since: datetime | None) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """List the removals that broke a taint window."""
        violations = self._book.violations
        return {"violations": [_violation(each) for each in violations if since is None or each.at >= since]}

    # -- admission ------------------------------------------------------------------------------

    def _guarded(self, handler: Handler) -> Handler:
        """Let only known keys in, and only to accounts of theirs."""

        def admit(visit: Visit) -> Response:
            status = self._account.refusal(visit.request.headers.get("authorization", ""))
            if status is not None:
                return _error(status, HTTPStatus(status).phrase)
            if not self._account.knows(self._account_of(visit)):
                return _not_found()
            try:
                return handler(visit)
            except Refused as refused:
                return _json({"errors": refused.faults}, refused.status)

        return admit

    def _account_of(self, visit: Visit) -> str:
        return str(visit.request.path_params.get("account_id", self._account.account_id))

    def _with_cart(self, handler: CartHandler) -> Handler:
        def find(visit: Visit) -> Response:
            cart = self._book.cart(visit.request.path_params["cart_id"])
            if cart is None or cart.account_id != self._account_of(visit):
                return _not_found()
            return handler(visit, cart)

        return find

    def _reference_of(self, visit: Visit) -> str | None:
        """Find the reference a request speaks of: that of the cart or order in its path, or in its body."""
        path = visit.request.path_params
        order = self._book.order(path.get("order_id", ""))
        cart = order.cart if order is not None else self._book.cart(path.get("cart_id", path.get("order_id", "")))
        if cart is not None:
            return cart.said.reference_id
        try:
            return read_cart(visit.body).reference_id
        except Refused:
            return None

    # -- carts ----------------------------------------------------------------------------------

    def _open_cart(self, visit: Visit) -> Response:
        said, now = read_cart(visit.body), self._world.clock()
        cart = self._book.open_cart(ulid(now, self._world.chance), self._account_of(visit), said, now)
        self._keep("cart", cart, cart.cart_id, now, visit.body)
        return _json(self._envelopes().cart(cart), 201)

    def _add(self, visit: Visit, cart: Cart) -> Response:
        said, now = read_cart_request(visit.body), self._world.clock()
        refusal = self._refusal_of_own_numbers(said, cart.account_id)
        if refusal is not None:
            return refusal
        try:
            request = self._book.add_request(cart, ulid(now, self._world.chance), said, now)
        except CheckedOut:
            return _error(409, "cart is already checked out")
        self._keep("request", cart, request.request_id, now, visit.body)
        return _json(self._envelopes().cart_request(cart, request), 201)

    def _refusal_of_own_numbers(self, said: CartRequestData, account_id: str) -> Response | None:
        """Numbers may be brought along where Swift has approved it."""
        wish = said.data
        if not isinstance(wish, AddMessagingNumbers):
            return None
        if account_id not in self._account.messaging_accounts:
            return _error(403, "ADD_MESSAGING_NUMBERS is not enabled on this account")
        if wish.mms_enabled and account_id not in self._account.mms_accounts:
            return _json({"errors": {"mms_enabled": ["requires MMS access"]}}, 422)
        if not set(wish.api_key_ids) <= set(self._account.api_key_ids):
            return _json({"errors": {"api_key_ids": ["not found"]}}, 422)
        return None

    def _check_out(self, visit: Visit, cart: Cart) -> Response:
        now, behaviour = self._world.clock(), self._world.behaviour
        try:
            order = self._book.check_out(cart, behaviour, now)
        except CheckedOut as done:
            if behaviour.second_checkout == "same":
                return _json(self._envelopes().order(done.order, now))
            return _error(int(behaviour.second_checkout), "cart is already checked out")
        except EmptyCart:
            return _error(422, "cart has no requests")
        except Tainted as tainted:
            self._keep("checkout", cart, cart.cart_id, now, b"")
            numbers = ", ".join(number.removeprefix("+") for number in tainted.numbers)
            return _error(422, f"numbers are tainted: {numbers}")
        self._keep("checkout", cart, cart.cart_id, now, b"")
        return _json(self._envelopes().new_order(order))

    def _read_cart(self, visit: Visit, cart: Cart) -> Response:
        return _json(self._envelopes().cart(cart))

    def _list_requests(self, visit: Visit, cart: Cart) -> Response:
        write = self._envelopes().cart_request
        page = Page(tuple(cart.requests), max(len(cart.requests), 1), None, None)  # a cart is never long
        return _json(swift_json.listing((write(cart, request) for request in page.items), page))

    def _list_carts(self, visit: Visit) -> Response:
        write = self._envelopes().cart
        return self._list(visit, self._book.carts[self._account_of(visit)], lambda cart, _: write(cart))

    # -- orders and numbers ---------------------------------------------------------------------

    def _read_order(self, visit: Visit) -> Response:
        order = self._book.order(visit.request.path_params["order_id"])
        if order is None or order.cart.account_id != self._account_of(visit):
            return _not_found()
        return _json(self._envelopes().order(order, self._world.clock()))

    def _list_orders(self, visit: Visit) -> Response:
        return self._list(visit, self._book.orders[self._account_of(visit)], self._envelopes().order)

    def _list_dids(self, visit: Visit) -> Response:
        account_id = visit.request.path_params.get("account_id")
        now = self._world.clock()
        return self._list(
            visit,
            self._book.dids[account_id],
            lambda one, now: swift_json.did(one, now, with_account=account_id is not None),
            shown=lambda one: one.is_held(now),
        )

    def _read_did(self, visit: Visit) -> Response:
        account_id, now = visit.request.path_params.get("account_id"), self._world.clock()
        one = self._book.holdings.get(visit.request.path_params["did_id"])
        if one is None or not one.is_held(now) or account_id not in {None, one.account_id}:
            return _not_found()
        return _json(swift_json.did(one, now, with_account=account_id is not None))

    def _list(
        self,
        visit: Visit,
        roll: Roll[T],
        write: Callable[[T, datetime], Json],
        shown: Callable[[T], bool] = lambda _: True,
    ) -> Response:
        now, oldest_first = self._world.clock(), self._world.behaviour.list_oldest_first
        window: Window | None = read_window(visit.request.query_params)
        page = None if window is None else roll.page(window, now, oldest_first=oldest_first, shown=shown)
        if page is None:
            return _error(400, "invalid page")
        return _json(swift_json.listing((write(item, now) for item in page.items), page))

    def _coverage(self, visit: Visit) -> Response:
        question = read_question(visit.request.query_params)
        groups = count(self._inventory, question)
        entries = groups if question.group_by else {}
        return _json(swift_json.coverage(question.group_by, entries, groups.total()))

    def _envelopes(self) -> Envelopes:
        return Envelopes(self._account, as_printed=self._world.behaviour.swift_replies == "as_printed")

    # -- remembering ----------------------------------------------------------------------------

    def _keep(self, what: str, cart: Cart, made_id: str, at: datetime, body: bytes) -> None:
        behaviour = as_json(self._world.behaviour) if what == "checkout" else {}
        said = {"body": body.decode("utf-8"), "behaviour": behaviour, "account_id": cart.account_id}
        self._world.memory.keep(
            self.name, {"what": what, "cart_id": cart.cart_id, "id": made_id, "at": iso(at), **said}
        )

    def _play_again(self) -> None:
        """Do again what was done before the sandbox was stopped, at the moments at which it was done."""
        for line in self._world.memory.recall(self.name):
            self._play_line(line, datetime.fromisoformat(line["at"]), line["body"].encode("utf-8"))

    def _play_line(self, line: Mapping[str, Any], at: datetime, body: bytes) -> None:
        if line["what"] == "cart":
            self._book.open_cart(line["id"], line["account_id"], read_cart(body), at)
            return
        cart = self._book.cart(line["cart_id"])
        if cart is None:
            raise LookupError(f"the memory speaks of an unknown cart: {line['cart_id']}")
        if line["what"] == "request":
            self._book.add_request(cart, line["id"], read_cart_request(body), at)
            return
        try:
            self._book.check_out(cart, read_behaviour(line["behaviour"]), at)
        except Tainted:
            return  # it was refused then as well, and is counted again


def _reported(order: Order, now: datetime) -> dict[str, Any]:
    ended_at, parts, cart = order.ended_at(now), order.course.parts, order.cart
    ended = ended_at is not None
    asked, done = sum(part.asked for part in parts), sum(len(part.done) for part in parts)
    bought = _numbers(parts, NewNumbers)
    return {
        "carrier": "swift",
        "order_id": order.order_id,
        "customer_order_id": cart.said.reference_id or "",
        "kind": "+".join(request.said.type for request in cart.requests),
        "quantity": asked,
        "fate": order.course.fate.value,
        "status": order.stage(now).status,
        "outcome": _outcome(done, asked) if ended else None,
        "created_at": iso(order.placed_at),
        "ended_at": None if ended_at is None else iso(ended_at),
        "bought": bought if ended else [],
        "failed": _failed(parts) if ended else [],
        "set_aside": [] if ended else bought,
        "account": cart.account_id,
        "cart_id": cart.cart_id,
        "added": _numbers(parts, AddMessagingNumbers) if ended else [],
        "removed": _numbers(parts, RemoveNumbers) if ended else [],
    }


def _numbers(parts: Iterable[Part], kind: type) -> list[str]:
    return [e164 for part in parts if isinstance(part.wish, kind) for e164 in part.done]


def _failed(parts: Iterable[Part]) -> list[str]:
    """List the numbers that were named in vain."""
    named = [(part, f"+{n}") for part in parts if not isinstance(part.wish, NewNumbers) for n in part.wish.numbers]
    return [e164 for part, e164 in named if e164 not in part.done]


def _outcome(done: int, asked: int) -> str:
    """Say what happened to the numbers, whatever the order says."""
    if done == asked:
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
