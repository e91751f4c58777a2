"""A client of the sandbox Swift. It speaks HTTP and reads JSON, no more."""

from typing import Any

import httpx

from number_orders.sandbox.control import SandboxControl

OWN = "01K3S620PA5JPWPR10F0000000"
SUB = "01K3S620PA5JPWPR10F0000001"
SUB_WITHOUT_MESSAGING = "01K3S620PA5JPWPR10F0000002"
KEY = {"Authorization": "Bearer apik_sandbox"}


def new_numbers(quantity: int = 1, **filters: str) -> dict[str, Any]:
    return {"type": "NEW_NUMBERS", "data": {"quantity": quantity, "number_type": "tendlc", **filters}}


def remove(*numbers: str) -> dict[str, Any]:
    return {"type": "REMOVE_NUMBERS", "data": {"numbers": list(numbers)}}


def add(*numbers: str, **options: Any) -> dict[str, Any]:
    return {"type": "ADD_MESSAGING_NUMBERS", "data": {"numbers": list(numbers), **options}}


class SwiftClient:
    """Calls the sandbox Swift with its key."""

    def __init__(self, control: SandboxControl) -> None:
        self.control = control
        self.http = httpx.Client(base_url=control.url, headers=KEY, trust_env=False, timeout=60)

    def path(self, rest: str, account: str | None = None) -> str:
        return f"/api/v1/accounts/{account}{rest}" if account else f"/api/v1{rest}"

    def get(self, rest: str, account: str | None = None, **query: object) -> httpx.Response:
        given = {name: str(value) for name, value in query.items()}
        return self.http.get(self.path(rest, account), params=given)

    def data(self, rest: str, account: str | None = None) -> dict[str, Any]:
        answer = self.get(rest, account)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()["data"]
        return found

    def open_cart(self, reference: str | None = None, account: str | None = None) -> str:
        data = {"name": "cart name", "notes": "cart note", "reference_id": reference}
        answer = self.http.post(self.path("/carts", account), json={"type": "cart", "data": data})
        assert answer.status_code == 201, answer.text
        cart_id: str = answer.json()["data"]["id"]
        return cart_id

    def request(self, cart_id: str, request_body: dict[str, Any], account: str | None = None) -> httpx.Response:
        data = {"name": "request name", "notes": "request note", **request_body}
        path = self.path(f"/carts/{cart_id}/requests", account)
        return self.http.post(path, json={"type": "cart_request", "data": data})

    def check_out(self, cart_id: str, account: str | None = None) -> httpx.Response:
        return self.http.post(self.path(f"/carts/{cart_id}/checkout", account))

    def order(self, *requests: dict[str, Any], reference: str | None = None, account: str | None = None) -> str:
        """Place an order that is expected to be accepted, and return its id."""
        cart_id = self.open_cart(reference, account)
        for request_body in requests:
            answer = self.request(cart_id, request_body, account)
            assert answer.status_code == 201, answer.text
        answer = self.check_out(cart_id, account)
        assert answer.status_code == 200, answer.text
        order_id: str = answer.json()["data"]["id"]
        return order_id

    def status(self, order_id: str, account: str | None = None) -> str:
        return str(self.data(f"/orders/{order_id}", account)["status"])

    def dids(self, account: str | None = None, **query: object) -> list[dict[str, Any]]:
        answer = self.get("/dids", account, **query)
        assert answer.status_code == 200, answer.text
        return [item["data"] for item in answer.json()["data"]["items"]]

    def numbers(self, account: str | None = None) -> list[str]:
        return [did["number"] for did in self.dids(account, limit=100)]

    def bought(self, quantity: int = 1, /, account: str | None = None, **filters: str) -> list[str]:
        """Buy numbers, and return them as Swift writes them."""
        before = set(self.numbers(account))
        self.order(new_numbers(quantity, **filters), account=account)
        return [number for number in self.numbers(account) if number not in before]

    def reported(self, order_id: str) -> dict[str, Any]:
        orders = self.control.report()["orders"]
        return next(order for order in orders if order["order_id"] == order_id)
