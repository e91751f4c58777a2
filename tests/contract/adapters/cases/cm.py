"""CM.com's case; the magic area codes are those of docs/sandbox.md."""

from collections.abc import Mapping
from typing import Any

from number_orders.cli.stack.sandbox_accounts import sandbox_settings
from number_orders.orders.model import Kind, OrderRequest
from tests.contract.adapters.case import Case, Fate, Product, plan, wanted
from workers.carriers import CARRIERS

_NAME = "cm"
_REQUESTS = "/voice-phonenumberrequestapi/v1/{accountGuid}/numberRequests"


def _own(url: str) -> Mapping[str, Any]:
    return sandbox_settings(url)[_NAME]


def _dutch(npa: str, quantity: int, **more: Any) -> OrderRequest:
    return wanted(_NAME, quantity, country="NLD", number_type="local", npa=npa, more=more)


CASE = Case(
    entry=next(entry for entry in CARRIERS if entry.name == _NAME),
    own=_own,
    products=(
        Product(
            what="by area code",
            kind=Kind.NEW_NUMBERS,
            commit=("POST", "/numberRequests"),
            plans={
                Fate.FULL: plan(_dutch("010", 3)),
                Fate.PARTIAL: plan(_dutch("0113", 4)),
                Fate.FAILED: plan(_dutch("0111", 2)),
                Fate.ENDLESS: plan(_dutch("0114", 1)),
                Fate.STRANGE: plan(_dutch("0115", 2)),
            },
            sized=lambda count: _dutch("020", count),
        ),
        Product(
            what="in ranges",
            kind=Kind.NEW_NUMBERS,
            commit=("POST", "/numberRequests"),
            prepares=(("GET", "/restrictions"),),
            plans={Fate.FULL: plan(_dutch("010", 20, range_size=10))},
            sized=lambda count: _dutch("020", count),
        ),
    ),
    # At most a hundred there, which is the carrier's own to say.
    refused=wanted(_NAME, 101, country="USA", number_type="local", npa="646", state="NY"),
    documented=(
        # the page "Create Number Request"
        f"POST {_REQUESTS}",
        # the guide "Requesting phone numbers via API" names them; their paths are assumed
        f"GET {_REQUESTS}",
        f"GET {_REQUESTS}/{{guid}}",
        f"POST {_REQUESTS}/{{guid}}/cancel",
        "GET /voice-phonenumberrequestapi/v1/{accountGuid}/restrictions",
    ),
    secrets=("0c0ffee0-0000-4000-8000-00000000c0de",),
)
