"""A person at Bandwidth's portal: buys and removes numbers without this service."""

import httpx

from number_orders.sandbox.control import SandboxControl

ACCOUNT = "9900000"


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
