"""The sandbox Meridian, served beside the other sandbox carriers. Written from its page, not from its adapter.

| area | what happens |
|---|---|
| 250 | done, after `processing_s` |
| 251 | short: the first half |
| 252 | void |
| 253 | waiting for ever |
| 254 | `strange_word`, and after `strange_s` done |
| any other | 422 |
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from number_orders.sandbox.clock import iso
from number_orders.sandbox.faults import Fault, FaultKind
from number_orders.sandbox.routes import Handler, ReceivedRequest, RouteBuilder
from number_orders.sandbox.state import SandboxState

SHOP, KEY = "shop-7", "meridian-practice-key"
_OUTCOMES = {"done": "COMPLETED", "short": "PARTIAL", "void": "FAILED", "withdrawn": "CANCELLED"}
_SHARES = {"250": 1.0, "251": 0.5, "252": 0.0, "253": 0.0, "254": 1.0}
_ENDS = {"250": "done", "251": "short", "252": "void", "254": "done"}


@dataclass(slots=True, eq=False)
class Purchase:
    """One purchase. Only a withdrawal changes it; everything else follows from the time."""

    name: str
    ref: str
    area: str
    count: int
    made_at: datetime
    ready_at: datetime
    strange_until: datetime
    numbers: tuple[str, ...]
    withdrawn_at: datetime | None = None

    def state(self, now: datetime, strange_word: str) -> str:
        if self.withdrawn_at:
            return "withdrawn"
        if now < self.ready_at or self.area not in _ENDS:
            return "waiting"
        return strange_word if now < self.strange_until else _ENDS[self.area]


class SandboxMeridian:
    """One shop."""

    name = "meridian"

    def __init__(self, sandbox: SandboxState) -> None:
        self._sandbox = sandbox
        self._builder = RouteBuilder(
            self.name,
            sandbox,
            reference_of=self._reference_of,
            fault_answers={FaultKind.TOO_MANY_REQUESTS: _too_many_requests},
            media_type="application/json",
        )
        self.reset()

    def reset(self) -> None:
        self._purchases: dict[str, Purchase] = {}
        self._sold = 0

    def routes(self) -> Sequence[Route]:
        one = "/purchases/{purchase}"
        served: tuple[tuple[str, str, Handler, Any], ...] = (
            ("POST", "/purchases", self._buy, "order_create"),
            ("GET", "/purchases", self._list, "order_list"),
            ("GET", one, self._read, "order_read"),
            ("DELETE", one, self._withdraw, "order_change"),
        )
        return [
            self._builder.route(
                verb, f"/v1/shops/{SHOP}{path}", self._guarded(handler), endpoint=endpoint, template=path
            )
            for verb, path, handler, endpoint in served
        ]

    def orders_as_json(self, now: datetime, since: datetime | None) -> Iterable[dict[str, Any]]:
        return (self._reported(one, now) for one in self._purchases.values() if since is None or one.made_at >= since)

    def incidents_as_json(self, since: datetime | None) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        return {}

    def holdings_as_json(self, now: datetime) -> dict[str, str]:
        return {e164: SHOP for one in self._purchases.values() for e164 in one.numbers if one.ready_at <= now}

    def stock_as_json(self) -> dict[str, int]:
        return {"sold": self._sold}

    def revoke_tokens(self, token: str | None) -> int:
        return 0

    def _guarded(self, handler: Handler) -> Handler:
        def admit(received: ReceivedRequest) -> Response:
            known = received.request.headers.get("x-meridian-key") == KEY
            return handler(received) if known else _json({"error": "key", "says": "unknown key"}, 401)

        return admit

    def _buy(self, received: ReceivedRequest) -> Response:
        said, now, behaviour = json.loads(received.body), self._sandbox.clock(), self._sandbox.behaviour
        area, count = said["area"], said["count"]
        if area not in _SHARES or not 1 <= count <= 50:
            return _json({"error": "area-or-count", "says": f"{count} numbers in {area} cannot be bought"}, 422)
        ready_at = now + timedelta(seconds=behaviour.processing_s[0])
        strange_until = ready_at + timedelta(seconds=behaviour.strange_s[0]) if area == "254" else ready_at
        got = tuple(self._sell(area, int(count * _SHARES[area])))
        name = f"MP-{len(self._purchases) + 1:06}"
        one = Purchase(name, said["ref"], area, count, now, ready_at, strange_until, got)
        self._purchases[name] = one
        return _json({"purchase": name, "state": "waiting"}, 202)

    def _sell(self, area: str, count: int) -> Iterator[str]:
        for _ in range(count):
            yield f"+1{area}555{self._sold:04}"
            self._sold += 1

    def _list(self, received: ReceivedRequest) -> Response:
        ref = received.request.query_params.get("ref")
        found = [self._shown(one) for one in self._purchases.values() if one.ref == ref]
        return _json({"purchases": found})

    def _read(self, received: ReceivedRequest) -> Response:
        one = self._purchases.get(received.request.path_params["purchase"])
        return _json(self._shown(one)) if one else _json({"error": "purchase", "says": "unknown"}, 404)

    def _withdraw(self, received: ReceivedRequest) -> Response:
        one = self._purchases[received.request.path_params["purchase"]]
        if self._state(one) != "waiting":
            return _json({"error": "too-late", "says": "it is not waiting"}, 409)
        one.withdrawn_at, one.numbers = self._sandbox.clock(), ()
        return self._read(received)

    def _state(self, one: Purchase) -> str:
        return one.state(self._sandbox.clock(), self._sandbox.behaviour.strange_word)

    def _shown(self, one: Purchase) -> dict[str, Any]:
        state = self._state(one)
        numbers = list(one.numbers) if state in {"done", "short"} else []
        return {"purchase": one.name, "ref": one.ref, "state": state, "why": f"it is {state}", "numbers": numbers}

    def _reported(self, one: Purchase, now: datetime) -> dict[str, Any]:
        state = self._state(one)
        outcome = _OUTCOMES.get(state)
        return {
            "carrier": self.name,
            "order_id": one.name,
            "customer_order_id": one.ref,
            "kind": "PURCHASE",
            "quantity": one.count,
            "fate": one.area,
            "status": state,
            "outcome": outcome,
            "created_at": iso(one.made_at),
            "ended_at": iso(one.withdrawn_at or one.strange_until) if outcome else None,
            "bought": list(one.numbers) if outcome else [],
            "failed": [],
            "set_aside": [] if outcome else list(one.numbers),
        }

    def _reference_of(self, received: ReceivedRequest) -> str | None:
        one = self._purchases.get(received.request.path_params.get("purchase", ""))
        if one or not received.body:
            return one.ref if one else received.request.query_params.get("ref")
        ref: str | None = json.loads(received.body).get("ref")
        return ref


def _too_many_requests(fault: Fault) -> Response:
    return _json({"error": "pace", "says": "slower"}, 429, {"Retry-After": str(int(fault.delay_s or 1))})


def _json(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(json.dumps(body), status, media_type="application/json", headers=headers)
