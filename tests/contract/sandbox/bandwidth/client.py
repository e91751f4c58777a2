"""A client of the sandbox Bandwidth. It speaks HTTP and reads XML, no more."""

import time
from typing import Any
from xml.etree.ElementTree import Element

import httpx
from defusedxml.ElementTree import fromstring

from number_orders.sandbox.control import SandboxControl

ACCOUNT = "/api/v2/accounts/9900000"


def order_xml(type_xml: str, **labels: str) -> str:
    given = {"SiteId": "743", **labels}
    written = "".join(f"<{tag}>{value}</{tag}>" for tag, value in given.items() if value)
    return f"<Order>{written}{type_xml}</Order>"


def named_xml(*numbers: str) -> str:
    listed = "".join(f"<TelephoneNumber>{number}</TelephoneNumber>" for number in numbers)
    return (
        "<ExistingTelephoneNumberOrderType>"
        f"<TelephoneNumberList>{listed}</TelephoneNumberList>"
        "</ExistingTelephoneNumberOrderType>"
    )


def criteria_xml(kind: str, **fields: object) -> str:
    written = "".join(f"<{tag}>{value}</{tag}>" for tag, value in fields.items())
    return f"<{kind}>{written}</{kind}>"


def area_xml(area_code: str, quantity: int = 1) -> str:
    return criteria_xml("AreaCodeSearchAndOrderType", AreaCode=area_code, Quantity=quantity)


def codes(body: httpx.Response) -> list[str]:
    return [code.text or "" for code in fromstring(body.content).iter("Code")]


def texts(root: Element, path: str) -> list[str]:
    return [found.text or "" for found in root.iterfind(path)]


class BandwidthClient:
    """Calls the sandbox Bandwidth with its fixed token."""

    def __init__(self, control: SandboxControl) -> None:
        self.control = control
        headers = {"Authorization": "Bearer sandbox-token"}
        self.http = httpx.Client(base_url=control.url, headers=headers, trust_env=False, timeout=60)

    def post(self, body: str) -> httpx.Response:
        headers = {"Content-Type": "application/xml"}
        return self.http.post(f"{ACCOUNT}/orders", content=body, headers=headers)

    def place(self, type_xml: str, **labels: str) -> str:
        """Place an order that is expected to be accepted, and return its id."""
        answer = self.post(order_xml(type_xml, **labels))
        assert answer.status_code == 201, answer.text
        return fromstring(answer.content).findtext("Order/id") or ""

    def put(self, order_id: str, body: str) -> httpx.Response:
        return self.http.put(f"{ACCOUNT}/orders/{order_id}", content=body)

    def read(self, order_id: str, query: str = "") -> Element:
        answer = self.http.get(f"{ACCOUNT}/orders/{order_id}{query}")
        assert answer.status_code == 200, answer.text
        return fromstring(answer.content)

    def status(self, order_id: str) -> str:
        return self.read(order_id).findtext("OrderStatus") or ""

    def wait_until(self, order_id: str, status: str) -> Element:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            answer = self.read(order_id)
            if answer.findtext("OrderStatus") == status:
                return answer
            time.sleep(0.02)
        raise AssertionError(f"never {status}")

    def listing(self, **query: object) -> httpx.Response:
        given = {"page": "1", "size": "100", **{name: str(value) for name, value in query.items()}}
        return self.http.get(f"{ACCOUNT}/orders", params={k: v for k, v in given.items() if v != ""})

    def search(self, **query: object) -> httpx.Response:
        given = {name: str(value) for name, value in query.items()}
        return self.http.get(f"{ACCOUNT}/availableNumbers", params=given)

    def found(self, **query: object) -> list[str]:
        answer = self.search(**query)
        assert answer.status_code == 200, answer.text
        return texts(fromstring(answer.content), "TelephoneNumberList/TelephoneNumber")

    def reported(self, order_id: str) -> dict[str, Any]:
        orders = self.control.report()["orders"]
        return next(order for order in orders if order["order_id"] == order_id)
