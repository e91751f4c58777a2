"""People at the carriers' portals: they buy and remove numbers without this service."""

from typing import Any

import httpx

from number_orders.sandbox.control import SandboxControl

ACCOUNT = "9900000"
SWIFT_KEY = "apik_sandbox"


class BandwidthPortal:
    """Orders at the practice carrier, on the account that the service uses."""

    def __init__(self, carrier: SandboxControl) -> None:
        self._http = httpx.Client(
            base_url=f"{carrier.url}/api/v2/accounts/{ACCOUNT}",
            headers={"Authorization": "Bearer sandbox-token", "Content-Type": "application/xml"},
            trust_env=False,
        )

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def buy(self, *numbers: str, reference: str | None = None) -> str:
        """Buy numbers by name; return the carrier's order id."""
        label = f"<CustomerOrderId>{reference}</CustomerOrderId>" if reference else ""
        wanted = f"<ExistingTelephoneNumberOrderType>{_listed(numbers)}</ExistingTelephoneNumberOrderType>"
        answer = self._http.post("/orders", content=f"<Order>{label}<SiteId>743</SiteId>{wanted}</Order>")
        assert answer.status_code == 201, answer.text
        return answer.headers["location"].rpartition("/")[2]

    def remove(self, *numbers: str) -> None:
        """Disconnect numbers."""
        wanted = f"<DisconnectTelephoneNumberOrderType>{_listed(numbers)}</DisconnectTelephoneNumberOrderType>"
        order = f"<DisconnectTelephoneNumberOrder><name>by hand</name>{wanted}</DisconnectTelephoneNumberOrder>"
        answer = self._http.post("/disconnects", content=order)
        assert answer.status_code == 201, answer.text


def _listed(numbers: tuple[str, ...]) -> str:
    listed = "".join(f"<TelephoneNumber>{number}</TelephoneNumber>" for number in numbers)
    return f"<TelephoneNumberList>{listed}</TelephoneNumberList>"


class SwiftPortal:
    """Orders at the practice carrier, on the key's own account."""

    def __init__(self, carrier: SandboxControl) -> None:
        headers = {"Authorization": f"Bearer {SWIFT_KEY}"}
        self._http = httpx.Client(base_url=f"{carrier.url}/api/v1", headers=headers, trust_env=False)

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def buy(self, npa: str = "919") -> str:
        """Buy a number of an area; return it."""
        before = self.listed()
        self._order("NEW_NUMBERS", {"quantity": 1, "npa": npa, "number_type": "tendlc", "country_code": "1"})
        (number,) = self.listed() - before
        return number

    def add(self, *numbers: str) -> None:
        """Add numbers that the customer has already."""
        self._order("ADD_MESSAGING_NUMBERS", {"numbers": _bare(numbers), "api_key_ids": []})

    def remove(self, *numbers: str) -> None:
        """Remove numbers."""
        self._order("REMOVE_NUMBERS", {"numbers": _bare(numbers)})

    def listed(self) -> set[str]:
        """Return the numbers on the first page of the account."""
        answer = self._http.get("/dids")
        return {"+" + item["data"]["number"] for item in answer.json()["data"]["items"]}

    def _order(self, kind: str, wanted: dict[str, Any]) -> None:
        cart_id = self._post("/carts", {"type": "cart", "data": {"name": "by hand"}})
        self._post(
            f"/carts/{cart_id}/requests",
            {"type": "cart_request", "data": {"name": "by hand", "type": kind, "data": wanted}},
        )
        self._post(f"/carts/{cart_id}/checkout")

    def _post(self, path: str, body: object = None) -> str:
        answer = self._http.post(path, json=body)
        assert answer.is_success, answer.text
        return str(answer.json()["data"]["id"])


def _bare(numbers: tuple[str, ...]) -> list[str]:
    return [number.removeprefix("+") for number in numbers]
