"""Bandwidth's case; the magic area codes and numbers are those of docs/sandbox.md."""

from collections.abc import Mapping
from typing import Any

from number_orders.cli.stack.sandbox_accounts import sandbox_settings
from number_orders.orders.model import Kind, OrderRequest
from number_orders.orders.numbers import E164
from tests.contract.adapters.case import Case, Fate, OrderPlan, Product, named, plan, wanted
from workers.carriers import CARRIERS

_NAME = "bandwidth"
_A, _B, _NEVER_OURS = "+19195550100", "+19195550101", "+19195550177"


def _own(url: str) -> Mapping[str, Any]:
    return sandbox_settings(url)[_NAME]


def _searched(npa: str, quantity: int) -> OrderPlan:
    return plan(wanted(_NAME, quantity, npa=npa))


def _named(*numbers: str) -> OrderPlan:
    return plan(named(_NAME, Kind.NEW_NUMBERS, *numbers))


def _removal(*numbers: str) -> OrderRequest:
    return named(_NAME, Kind.REMOVE_NUMBERS, *numbers)


def _of_bought(bought: tuple[E164, ...], *more: str) -> OrderRequest:
    return _removal(*bought, *more)


def _many(kind: Kind, count: int) -> OrderRequest:
    return named(_NAME, kind, *(f"+1919{2000000 + line:07}" for line in range(count)))


_TWO = wanted(_NAME, 2, npa="919")

CASE = Case(
    entry=next(entry for entry in CARRIERS if entry.name == _NAME),
    own=_own,
    products=(
        Product(
            what="by area code",
            kind=Kind.NEW_NUMBERS,
            commit=("POST", "/orders"),
            plans={
                Fate.FULL: _searched("919", 3),
                Fate.PARTIAL: _searched("808", 4),
                Fate.FAILED: _searched("406", 2),
                Fate.ENDLESS: _searched("701", 1),  # backordered: what never leaves RECEIVED cannot be called back
                Fate.STRANGE: _searched("605", 2),
            },
            sized=lambda count: wanted(_NAME, count, npa="919"),
        ),
        Product(
            what="by name",
            kind=Kind.NEW_NUMBERS,
            commit=("POST", "/orders"),
            plans={
                Fate.FULL: _named(_A, _B),
                Fate.PARTIAL: _named(_A, "+19195559902"),
                Fate.FAILED: _named("+19195559902"),
                Fate.ENDLESS: _named("+19195559904"),
                Fate.STRANGE: _named("+19195559906"),
            },
            sized=lambda count: _many(Kind.NEW_NUMBERS, count),
        ),
        Product(
            what="removal",
            kind=Kind.REMOVE_NUMBERS,
            commit=("POST", "/disconnects"),
            plans={
                Fate.FULL: OrderPlan(_of_bought, first=_TWO),
                Fate.PARTIAL: OrderPlan(lambda bought: _of_bought(bought, _NEVER_OURS), first=_TWO),
                Fate.FAILED: plan(_removal(_NEVER_OURS)),
            },
            sized=lambda count: _many(Kind.REMOVE_NUMBERS, count),
        ),
    ),
    refused=wanted(_NAME, 1, npa="919", more={"options": {"site_id": "744"}}),  # it has no default location: 5020
    documented=(
        # the page "Order Numbers"
        "POST /api/v2/accounts/{accountId}/orders",
        "GET /api/v2/accounts/{accountId}/orders/{orderId}",
        # the specification of the numbers API, v2
        "GET /api/v2/accounts/{accountId}/orders",
        "GET /api/v2/accounts/{accountId}/orders/{orderId}/tns",
        "PUT /api/v2/accounts/{accountId}/orders/{orderId}",
        "GET /api/v2/tns/{tn}",
        "POST /api/v2/accounts/{accountId}/disconnects",
        "GET /api/v2/accounts/{accountId}/disconnects",
        "GET /api/v2/accounts/{accountId}/disconnects/{orderId}",
    ),
    secrets=("sandbox-secret", "eyJ"),
)
