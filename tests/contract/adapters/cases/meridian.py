"""Meridian's case; its areas are those of the practice Meridian."""

from collections.abc import Mapping
from typing import Any

from number_orders.orders.model import Kind
from tests.contract.adapters.case import Case, Fate, Product, plan, wanted
from tests.contract.fourth_carrier.sandbox import KEY, SHOP
from tests.contract.fourth_carrier.settings import MERIDIAN

_NAME = "meridian"


def _own(url: str) -> Mapping[str, Any]:
    return {"base_url": url, "shop": SHOP, "key": KEY}


CASE = Case(
    entry=MERIDIAN,
    own=_own,
    products=(
        Product(
            what="by area code",
            kind=Kind.NEW_NUMBERS,
            commit=("POST", "/purchases"),
            plans={
                Fate.FULL: plan(wanted(_NAME, 3, npa="250")),
                Fate.PARTIAL: plan(wanted(_NAME, 4, npa="251")),
                Fate.FAILED: plan(wanted(_NAME, 2, npa="252")),
                Fate.ENDLESS: plan(wanted(_NAME, 1, npa="253")),
                Fate.STRANGE: plan(wanted(_NAME, 2, npa="254")),
            },
            sized=lambda count: wanted(_NAME, count, npa="250"),
        ),
    ),
    refused=wanted(_NAME, 1, npa="299"),
    documented=(
        "POST /v1/shops/{shop}/purchases",
        "GET /v1/shops/{shop}/purchases",
        "GET /v1/shops/{shop}/purchases/{purchase}",
        "DELETE /v1/shops/{shop}/purchases/{purchase}",
    ),
    secrets=(KEY,),
)
