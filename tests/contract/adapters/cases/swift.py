"""Swift's case; the magic area codes and numbers are those of docs/sandbox.md."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from number_orders.cli.stack.sandbox_accounts import sandbox_settings
from number_orders.orders.model import Kind, OrderRequest
from tests.contract.adapters.case import Case, Fate, OrderPlan, Product, named, plan, wanted
from workers.carriers import CARRIERS

_NAME = "swift"
_BELOW = ("/api/v1", "/api/v1/accounts/{account_id}")
_COMMIT = ("POST", "/carts/{cartId}/checkout")
_PREPARES = (("POST", "/carts"), ("POST", "/carts/{cartId}/requests"))


def _own(url: str) -> Mapping[str, Any]:
    return sandbox_settings(url)[_NAME]


def _bought(npa: str, quantity: int) -> OrderRequest:
    return wanted(_NAME, quantity, npa=npa)


def _brought(*numbers: str) -> OrderRequest:
    return named(_NAME, Kind.ADD_MESSAGING_NUMBERS, *numbers)


def _removed(npa: str, quantity: int) -> OrderPlan:
    """Remove numbers of this area, which are bought first and must grow old."""
    return OrderPlan(lambda bought: named(_NAME, Kind.REMOVE_NUMBERS, *bought), first=_bought(npa, quantity))


def _many(kind: Kind, count: int) -> OrderRequest:
    return named(_NAME, kind, *(f"+1919{2000000 + line:07}" for line in range(count)))


CASE = Case(
    entry=next(entry for entry in CARRIERS if entry.name == _NAME),
    own=_own,
    products=(
        Product(
            what="by area code",
            kind=Kind.NEW_NUMBERS,
            commit=_COMMIT,
            prepares=_PREPARES,
            plans={
                Fate.FULL: plan(_bought("919", 3)),
                Fate.PARTIAL: plan(_bought("808", 4)),
                Fate.FAILED: plan(_bought("406", 2)),
                Fate.ENDLESS: plan(_bought("907", 1)),
                Fate.STRANGE: plan(_bought("605", 2)),
            },
            sized=lambda count: _bought("919", count),
        ),
        Product(
            what="removal",
            kind=Kind.REMOVE_NUMBERS,
            commit=_COMMIT,
            prepares=_PREPARES,
            plans={
                Fate.FULL: _removed("919", 2),
                Fate.PARTIAL: _removed("902", 2),
                Fate.FAILED: _removed("506", 1),
                Fate.ENDLESS: _removed("867", 1),
            },
            sized=lambda count: _many(Kind.REMOVE_NUMBERS, count),
        ),
        Product(
            what="brought along",
            kind=Kind.ADD_MESSAGING_NUMBERS,
            commit=_COMMIT,
            prepares=_PREPARES,
            plans={
                Fate.FULL: plan(_brought("+17055551234", "+17055551235")),
                Fate.PARTIAL: plan(_brought("+17055559901", "+17055551235")),
                Fate.FAILED: plan(_brought("+17055559902")),
                Fate.ENDLESS: plan(_brought("+17055559905")),
                Fate.STRANGE: plan(_brought("+17055559906")),
            },
            sized=lambda count: _many(Kind.ADD_MESSAGING_NUMBERS, count),
        ),
    ),
    refused=replace(_brought("+17055551234"), options={"api_key_ids": ["01KBC4VZE1CFMG5MAB089000099"]}),
    documented=tuple(
        f"{method} {below}{path}"
        for below in _BELOW
        for method, path in (
            # the page "Number Ordering"
            ("POST", "/carts"),
            ("POST", "/carts/{cart_id}/requests"),
            ("POST", "/carts/{cart_id}/checkout"),
            # the same page names the collections; that they can be read is assumed
            ("GET", "/carts/{cart_id}"),
            ("GET", "/orders"),
            ("GET", "/orders/{order_id}"),
            # the page "DID"
            ("GET", "/dids"),
        )
    ),
    secrets=("apik_sandbox",),
)
