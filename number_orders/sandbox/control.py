"""A client of the control API for tests and demonstrations, in this process or another."""

from collections.abc import Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Self, cast

import httpx


class SandboxControl:
    """Controls a running sandbox by its URL."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.Client(base_url=f"{self.url}/_sandbox", timeout=30, trust_env=False)

    def health(self) -> dict[str, Any]:
        """Return which carriers are served."""
        return self._table("GET", "/health")

    def report(self, since: datetime | None = None) -> dict[str, Any]:
        """Return what was really sold."""
        query = {"since": since.isoformat()} if since else None
        return self._table("GET", "/report", query=query)

    def reset(self) -> None:
        """Forget orders, requests, faults, tokens and changes of behaviour."""
        self._ask("POST", "/reset")

    def behaviour(self) -> dict[str, Any]:
        """Return how the carriers behave."""
        return self._table("GET", "/behaviour")

    def behave(self, **changes: Any) -> dict[str, Any]:
        """Change the given fields, e.g. `behave(processing_s=0, completed_word="mixed")`."""
        return self._table("PATCH", "/behaviour", body=changes)

    def fault(
        self,
        fault: str,
        *,
        method: str | None = None,
        path: str | None = None,
        customer_order_id: str | None = None,
        carrier: str | None = None,
        **rule: Any,
    ) -> dict[str, Any]:
        """Add a fault rule, e.g. `fault("drop_after", method="POST", path="/orders", times=1)`."""
        match = {"method": method, "path": path, "customer_order_id": customer_order_id, "carrier": carrier}
        return self._table("POST", "/faults", body={"fault": fault, "match": match, **rule})

    def faults(self) -> list[dict[str, Any]]:
        """Return the fault rules in force with their counts."""
        return cast("list[dict[str, Any]]", self._ask("GET", "/faults"))

    def clear_faults(self) -> None:
        """Remove all fault rules."""
        self._ask("DELETE", "/faults")

    def clock(self) -> dict[str, Any]:
        """Return the sandbox's time and how far it is ahead of the machine's."""
        return self._table("GET", "/clock")

    def advance(self, seconds: float) -> dict[str, Any]:
        """Move the clock of all carriers forward; only `reset` moves it back."""
        return self._table("POST", "/clock", body={"advance_s": seconds})

    def revoke_tokens(self, token: str | None = None) -> int:
        """Revoke one issued token, or all of them, and return how many were valid."""
        return int(self._table("POST", "/tokens/revoke", body={"token": token})["revoked"])

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _table(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        return cast("dict[str, Any]", self._ask(method, path, **request))

    def _ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        answer = self._http.request(method, path, params=query, json=body)
        if answer.is_error:
            raise ValueError(f"the sandbox refused {method} {path}: {answer.text}")
        return answer.json() if answer.content else None
