"""Meridian's case; its areas are those of the practice Meridian."""

from collections.abc import Mapping
from typing import Any

from number_orders.orders.model import Kind
from tests.contract.adapters.case import Case, Fate, Offer, plain, wanted
from tests.contract.fourth_carrier.meridian_sandbox import KEY, SHOP
from tests.contract.fourth_carrier.meridian_settings import MERIDIAN

_NAME = "meridian"


def _own(url: str) -> Mapping[str, Any]:
    return {"base_url": url, "shop": SHOP, "key": KEY}


CASE = Case(
    entry=MERIDIAN,
    own=_own,
    offers=(
        Offer(
            what="by area code",
            kind=Kind.NEW_NUMBERS,
            commit=("POST", "/purchases"),
            wishes={
                Fate.FULL: plain(wanted(_NAME, 3, npa="250")),
                Fate.PARTIAL: plain(wanted(_NAME, 4, npa="251")),
                Fate.FAILED: plain(wanted(_NAME, 2, npa="252")),
                Fate.ENDLESS: plain(wanted(_NAME, 1, npa="253")),
                Fate.STRANGE: plain(wanted(_NAME, 2, npa="254")),
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
