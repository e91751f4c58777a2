"""A client for the control API, for tests and demonstrations, in this process or another."""

from collections.abc import Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Self, cast

import httpx


class SandboxControl:
    """Steers a running sandbox by its address."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.Client(base_url=f"{self.url}/_sandbox", timeout=30, trust_env=False)

    def health(self) -> dict[str, Any]:
        """Say which carriers are served."""
        return self._table("GET", "/health")

    def report(self, since: datetime | None = None) -> dict[str, Any]:
        """Say what was really sold."""
        query = {"since": since.isoformat()} if since else None
        return self._table("GET", "/report", query=query)

    def reset(self) -> None:
        """Forget orders, requests, faults, tokens and changes of behaviour."""
        self._ask("POST", "/reset")

    def behaviour(self) -> dict[str, Any]:
        """Say how the carriers behave."""
        return self._table("GET", "/behaviour")

    def behave(self, **changes: Any) -> dict[str, Any]:
        """Change the fields given, e.g. `behave(processing_s=0, completed_word="mixed")`."""
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
        """Put a fault in force, e.g. `fault("drop_after", method="POST", path="/orders", times=1)`."""
        match = {"method": method, "path": path, "customer_order_id": customer_order_id, "carrier": carrier}
        return self._table("POST", "/faults", body={"fault": fault, "match": match, **rule})

    def faults(self) -> list[dict[str, Any]]:
        """List the faults in force with their counts."""
        return cast("list[dict[str, Any]]", self._ask("GET", "/faults"))

    def clear_faults(self) -> None:
        """Put an end to all faults."""
        self._ask("DELETE", "/faults")

    def clock(self) -> dict[str, Any]:
        """Say what time it is in the sandbox, and how far that is ahead of the machine."""
        return self._table("GET", "/clock")

    def advance(self, seconds: float) -> dict[str, Any]:
        """Let time pass at every carrier at once; it never goes back, but by `reset`."""
        return self._table("POST", "/clock", body={"advance_s": seconds})

    def revoke_tokens(self, token: str | None = None) -> int:
        """Make issued tokens worthless: one, or all."""
        return int(self._table("POST", "/tokens/revoke", body={"token": token})["revoked"])

    def close(self) -> None:
        """Let go of the connection."""
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
