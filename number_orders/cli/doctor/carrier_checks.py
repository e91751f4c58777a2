"""Checks that ask the carriers: whether they answer, and accept our credentials."""

import asyncio
import time
from dataclasses import replace
from datetime import timedelta
from typing import Final
from uuid import uuid4

from config.settings import PREFIX, Settings
from number_orders.carriers.http.courier import boot_clock, exchanges_of
from number_orders.cli.doctor.checks import Check, Verdict
from number_orders.cli.output import clean
from number_orders.orders.errors import NoAnswer, UnreadableAnswer
from number_orders.orders.model import CarrierName, CarrierOrderId, Criteria, Kind, Order, OrderId, OrderRequest, State
from workers.carriers import CARRIERS, ConfiguredCarrier, configured_carriers
from workers.clock import utc_now

_REMEDIES: Final = (
    (("http 401", "client id and secret"), "correct the credentials"),
    (("http 403",), "correct {account}, or give these credentials the roles that ordering needs"),
    (("http 404",), "correct {account}: these credentials know no such account"),
    (("http 429",), "nothing: the carrier wants fewer requests for a while"),
    (("dnserror", "getaddrinfo", "name or service", "name resolution"), "correct BASE_URL, or the machine's DNS"),
    (("sslerror", "certificate"), "see that BASE_URL speaks https, with a certificate trusted here (SSL_CERT_FILE)"),
    (
        ("connect call failed", "refused"),
        "see that something listens at BASE_URL; `number-orders sandbox` serves practice carriers",
    ),
    (("nothing was sent",), "see that BASE_URL can be reached from here (proxies, firewalls)"),
)
"""Words in a failure, and what repairs it; the first match counts."""


def check_carriers(settings: Settings) -> list[Check]:
    """Ask every configured carrier for an order that does not exist, as a worker does for an order in doubt."""
    carriers = configured_carriers(settings)
    if not carriers:
        wanted = " or ".join(f"{PREFIX}{entry.name.upper()}__{entry.account_setting.upper()}" for entry in CARRIERS)
        remedy = f"set {wanted}, and what goes with it (docs/carriers/), or use `number-orders sandbox`"
        return [Check("carriers", Verdict.WRONG, "none is set up, so every order would be refused", remedy)]
    return [asyncio.run(_check_carrier(carrier)) for carrier in carriers.values()]


async def _check_carrier(carrier: ConfiguredCarrier) -> Check:
    adapter, own = carrier.adapter, carrier.settings
    messenger = carrier.courier()
    where = f"{own.base_url}, account {carrier.account}"
    began = time.monotonic()
    try:
        order, deadline = _made_up_order(adapter.name), boot_clock() + own.timeout_s
        if not (await messenger.converse(adapter.look_for(order), deadline=deadline)).exchanges:
            # Some adapters see from the order itself that it was never sent, and send no request; `ask` always does.
            await messenger.converse(adapter.ask(_as_if_open(order)), deadline=deadline)
    except (NoAnswer, UnreadableAnswer) as trouble:
        return _failed_check(adapter.name, where, trouble)
    finally:
        await messenger.aclose()
    took = timedelta(seconds=time.monotonic() - began) / timedelta(milliseconds=1)
    return Check(adapter.name, Verdict.GOOD, f"{where}: accepts our credentials, answered in {took:.0f} ms")


def _failed_check(name: str, where: str, trouble: NoAnswer | UnreadableAnswer) -> Check:
    text = clean(trouble)
    statuses = " ".join(f"http {exchange.status}" for exchange in exchanges_of(trouble) if exchange.status)
    symptoms = f"{text} {statuses}".lower()
    remedy = next((remedy for words, remedy in _REMEDIES if any(word in symptoms for word in words)), _OTHERWISE)
    remedy = remedy.format(account=_ACCOUNTS.get(name, "the account"))
    settings = f"{PREFIX}{name.upper()}__…"
    return Check(name, Verdict.WRONG, f"{where}: {text}", f"{remedy} ({settings})")


_ACCOUNTS: Final = {entry.name: entry.account_setting.upper() for entry in CARRIERS}
_OTHERWISE: Final = "check that BASE_URL is the carrier's address; if it is, ask the carrier"


def _made_up_order(carrier: CarrierName) -> Order:
    """Return an order that was never placed."""
    request = OrderRequest("doctor", carrier, Kind.NEW_NUMBERS, criteria=Criteria(), quantity=1)
    return Order(OrderId(uuid4()), request, accepted_at=utc_now())


def _as_if_open(order: Order) -> Order:
    return replace(order, state=State.OPEN, carrier_order_id=CarrierOrderId(str(order.order_id)))
