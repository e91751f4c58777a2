"""Somebody who works on the same accounts by hand, past the service: buys numbers, and removes some of ours.

An order that was made by hand has no reference. It comes at once and without faults of the network.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any, Final

from starlette.applications import Starlette

from number_orders.carriers.cm.facts import TOKEN_HEADER
from number_orders.orders.model import CarrierName
from number_orders.sandbox.cm.access import CmAccount
from number_orders.sandbox.swift.access import SwiftAccount
from number_orders.simulation.carriers import BANDWIDTH, CM_COM, SWIFT, SimulatedCarrier
from number_orders.simulation.network import OutgoingRequest, call_app
from number_orders.simulation.tables import Tables
from number_orders.simulation.trace import Trace

_FILLING_AREAS: Final = ("984", "303", "206")
"""Areas in which no producer orders from Swift."""
_FILLED: Final = (15, 45)
_OLD_ENOUGH: Final = timedelta(hours=1)
_AREAS: Final = {BANDWIDTH: ("919", "984", "704", "303"), SWIFT: ("919", "416", "604", "705"), CM_COM: ("020", "010")}
_BEARER: Final = {"authorization": "Bearer sandbox-token"}
_DUTCH: Final = "0c0ffee0-0000-4000-8000-000000000031"


@dataclass(slots=True)
class HandWorker:
    """Buys and removes by hand. `per_hour` is for each carrier."""

    tables: Tables
    carriers: Mapping[CarrierName, SimulatedCarrier]
    trace: Trace
    dice: Random
    per_hour: float
    until_s: float

    async def fill_accounts(self) -> None:
        """Buy numbers for every Swift account before the first order comes."""
        swift = SwiftAccount()
        for account, npa in zip((None, *swift.sub_accounts), _FILLING_AREAS, strict=True):
            await self._order_from_swift(_new_numbers(npa, self.dice.randint(*_FILLED)), account)

    async def run(self) -> None:
        """Buy or remove something from time to time."""
        while self.per_hour:
            await asyncio.sleep(self.dice.expovariate(self.per_hour * len(self.carriers) / 3600))
            if asyncio.get_running_loop().time() > self.until_s:
                return
            carrier = self.dice.choice(list(self.carriers))
            removed = self._numbers_to_remove(carrier) if self.dice.random() < 0.4 else []  # noqa: PLR2004
            await (self._remove(carrier, removed) if removed else self._buy(carrier))

    def _numbers_to_remove(self, carrier: CarrierName) -> list[str]:
        """Choose a number of ours that is old enough to be removed; CM.com removes none by this way."""
        old = self.tables.clock() - _OLD_ENOUGH
        ours = [row["e164"] for row in self.tables.held if row["carrier"] == carrier and row["acquired_at"] < old]
        held = [e164 for e164 in ours if self.tables.holding(e164)]
        return [self.dice.choice(held)] if held and carrier != CM_COM else []

    async def _buy(self, carrier: CarrierName) -> None:
        npa, quantity = self.dice.choice(_AREAS[carrier]), self.dice.randint(1, 3)
        self.trace.note("by hand", "buys", f"{quantity} in {npa} from {carrier}")
        if carrier == SWIFT:
            await self._order_from_swift(_new_numbers(npa, quantity))
        elif carrier == CM_COM:
            body = {"companyProfileGuid": _DUTCH, "quantity": quantity, "phoneNumberType": "LOCAL", "areaCode": npa}
            await self._post(
                carrier, f"/voice-phonenumberrequestapi/v1/{CmAccount().account_guid}/numberRequests", body
            )
        else:
            wanted = f"<AreaCode>{npa}</AreaCode><Quantity>{quantity}</Quantity>"
            if self.dice.random() < 0.5:  # noqa: PLR2004  by name: some that a producer may want as well
                wanted = f"<TelephoneNumber>+1{npa}2345{self.dice.randrange(12):03}</TelephoneNumber>"
                wanted = f"<TelephoneNumberList>{wanted}</TelephoneNumberList>"
            kind = "ExistingTelephoneNumberOrderType" if "List" in wanted else "AreaCodeSearchAndOrderType"
            await self._post(carrier, "/api/v2/accounts/9900000/orders", _order_xml(f"<{kind}>{wanted}</{kind}>"))

    async def _remove(self, carrier: CarrierName, numbers: Sequence[str]) -> None:
        self.trace.note("by hand", "removes", f"{numbers} at {carrier}")
        if carrier == SWIFT:
            bare = [e164.removeprefix("+") for e164 in numbers]
            await self._order_from_swift({"type": "REMOVE_NUMBERS", "data": {"numbers": bare}})
            return
        listed = "".join(f"<TelephoneNumber>{e164}</TelephoneNumber>" for e164 in numbers)
        kind = "DisconnectTelephoneNumberOrderType"
        body = f"<{kind}><TelephoneNumberList>{listed}</TelephoneNumberList></{kind}>"
        root = "DisconnectTelephoneNumberOrder"
        await self._post(carrier, "/api/v2/accounts/9900000/disconnects", f"<{root}>{body}</{root}>")

    async def _order_from_swift(self, request: Mapping[str, Any], account: str | None = None) -> None:
        path = f"/api/v1/accounts/{account}/carts" if account else "/api/v1/carts"
        cart = await self._post(SWIFT, path, {"type": "cart", "data": {"name": "by hand"}})
        if cart is None:
            return
        one = f"{path}/{cart['data']['id']}"
        if await self._post(SWIFT, f"{one}/requests", {"type": "cart_request", "data": {"name": "by hand", **request}}):
            await self._post(SWIFT, f"{one}/checkout", {})

    async def _post(self, carrier: CarrierName, path: str, body: Mapping[str, Any] | str) -> Any:
        """Send one request; return the JSON of a success, or None."""
        sent = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        answer = await call_app(self._app(carrier), OutgoingRequest("POST", path, _headers(carrier), sent))
        try:
            return json.loads(answer.body) if answer.status in {200, 201} else None
        except ValueError:
            return None  # it is XML, or one of the carrier's faults

    def _app(self, carrier: CarrierName) -> Starlette:
        return self.carriers[carrier].app


def _headers(carrier: CarrierName) -> Mapping[str, str]:
    if carrier == SWIFT:
        return {"authorization": f"Bearer {SwiftAccount().api_key}"}
    return {TOKEN_HEADER: CmAccount().product_token} if carrier == CM_COM else _BEARER


def _new_numbers(npa: str, quantity: int) -> dict[str, Any]:
    return {"type": "NEW_NUMBERS", "data": {"quantity": quantity, "number_type": "tendlc", "npa": npa}}


def _order_xml(kind: str) -> str:
    return f"<Order><Name>by hand</Name><SiteId>743</SiteId>{kind}</Order>"
