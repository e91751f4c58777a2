"""A client of the sandbox CM.com. It speaks HTTP and reads JSON, no more."""

from typing import Any

import httpx

from number_orders.sandbox.control import SandboxControl

ACCOUNT = "/voice-phonenumberrequestapi/v1/0c0ffee0-0000-4000-8000-00000000acc0"
TOKEN = {"X-CM-PRODUCTTOKEN": "0c0ffee0-0000-4000-8000-00000000c0de"}
DUTCH = "0c0ffee0-0000-4000-8000-000000000031"
AMERICAN = "0c0ffee0-0000-4000-8000-000000000001"
GERMAN = "0c0ffee0-0000-4000-8000-000000000049"


def request_body(**fields: object) -> dict[str, Any]:
    """Return a request for one local number in Rotterdam, where every request is reviewed."""
    given = {
        "companyProfileGuid": DUTCH,
        "quantity": 1,
        "rangeSize": None,
        "phoneNumberType": "LOCAL",
        "areaCode": "010",
        "city": None,
        "region": None,
        "comment": None,
        "callbackUrl": None,
    }
    return given | fields


class CmClient:
    """Calls the sandbox CM.com with its product token."""

    def __init__(self, control: SandboxControl) -> None:
        self.control = control
        self.http = httpx.Client(base_url=control.url, headers=TOKEN, trust_env=False, timeout=60)

    def post(self, **fields: object) -> httpx.Response:
        return self.http.post(f"{ACCOUNT}/numberRequests", json=request_body(**fields))

    def place(self, **fields: object) -> str:
        """Place a request that is expected to be accepted, and return its id."""
        answer = self.post(**fields)
        assert answer.status_code == 200, answer.text
        guid: str = answer.json()["guid"]
        return guid

    def get(self, rest: str, **query: object) -> httpx.Response:
        given = {name: str(value) for name, value in query.items()}
        return self.http.get(f"{ACCOUNT}{rest}", params=given)

    def read(self, guid: str) -> dict[str, Any]:
        answer = self.get(f"/numberRequests/{guid}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def status(self, guid: str) -> str:
        return str(self.read(guid)["status"])

    def starts(self, guid: str) -> list[str]:
        return [each["start"] for each in self.read(guid)["ranges"] if each["start"]]

    def cancel(self, guid: str) -> httpx.Response:
        return self.http.post(f"{ACCOUNT}/numberRequests/{guid}/cancel")

    def reported(self, guid: str) -> dict[str, Any]:
        orders = self.control.report()["orders"]
        return next(order for order in orders if order["order_id"] == guid)
