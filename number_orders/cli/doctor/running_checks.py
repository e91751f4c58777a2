"""Checks that ask others: whether workers answer, beat sweeps, and carriers accept our credentials."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final, Self
from uuid import uuid4

from celery import Celery

from config.queues import SWEEP_EVERY_S
from config.settings import PREFIX, Settings
from number_orders.carriers.http.courier import boot_clock, exchanges_of
from number_orders.cli.doctor.checks import Check, Verdict
from number_orders.cli.output import clean
from number_orders.orders.errors import NoAnswer, UnreadableAnswer
from number_orders.orders.model import CarrierName, CarrierOrderId, Criteria, Kind, Order, OrderId, OrderRequest, State
from workers.apps import make_sender
from workers.carriers import CARRIERS, ConfiguredCarrier, configured_carriers
from workers.clock import utc_now

_ANSWER_WITHIN_S: Final = 1.0
_TICKS: Final = 2
_SWEEP_TASK: Final = "orders.sweep"

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


class WorkerPoll:
    """Asks the workers over the broker; the second time shows whether beat has swept since the first."""

    def __init__(self, settings: Settings) -> None:
        self._app: Celery = make_sender(settings)
        self._first: Mapping[str, Any] = {}
        self._called_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._app.close()

    def check_workers(self) -> Check:
        """Check that a worker answers."""
        self._first = self._stats()
        self._called_at = time.monotonic()
        if not self._first:
            remedy = "start `number-orders up`, or the worker of the Procfile, on the same broker"
            return Check("workers", Verdict.WRONG, f"none answered within {_ANSWER_WITHIN_S:g} s", remedy)
        children = sum(_children(answer) for answer in self._first.values())
        names = ", ".join(sorted(map(clean, self._first)))
        return Check("workers", Verdict.GOOD, f"{len(self._first)} with {children} children: {names}")

    def check_beat(self) -> Check:
        """Check that workers have swept since `check_workers`."""
        if not self._first:
            return Check("beat", Verdict.SKIPPED, "not checked, because only a worker knows whether beat sweeps")
        time.sleep(max(0.0, self._called_at + (_TICKS + 0.5) * SWEEP_EVERY_S - _ANSWER_WITHIN_S - time.monotonic()))
        swept = _sweeps(self._stats()) - _sweeps(self._first)
        if swept > 0:
            return Check("beat", Verdict.GOOD, "ticks: workers sweep")
        remedy = "start beat (`celery -A workers.celery_app beat`): without it, work that falls due is not found"
        return Check("beat", Verdict.WRONG, f"no sweep in {time.monotonic() - self._called_at:.0f} s", remedy)

    def _stats(self) -> Mapping[str, Any]:
        return self._app.control.inspect(timeout=_ANSWER_WITHIN_S).stats() or {}


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


def _children(answer: Mapping[str, Any]) -> int:
    return len(answer.get("pool", {}).get("processes", ()))


def _sweeps(stats: Mapping[str, Any]) -> int:
    return sum(int(answer.get("total", {}).get(_SWEEP_TASK, 0)) for answer in stats.values())
