"""The simulated carriers: the sandbox carriers on the world's clock and random generator.

Also returns what a carrier has really sold, which the ends of orders are compared with.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any, Final

from starlette.applications import Starlette

from number_orders.carriers.bandwidth.adapter import Bandwidth
from number_orders.carriers.cm.adapter import CM
from number_orders.carriers.cm.facts import TOKEN_HEADER
from number_orders.carriers.contract import Adapter
from number_orders.carriers.http.credentials import ApiKeyHeader, Authenticator, OAuth2ClientCredentials, StaticBearer
from number_orders.carriers.notices import NoticeAddresses
from number_orders.carriers.swift.adapter import Swift
from number_orders.carriers.swift.taint import Taint
from number_orders.orders.model import CarrierName
from number_orders.orders.policy import CarrierPolicy
from number_orders.sandbox.bandwidth.app import Bandwidth as SandboxBandwidth
from number_orders.sandbox.behaviour import Behaviour, read_behaviour
from number_orders.sandbox.cm.access import CmAccount
from number_orders.sandbox.cm.app import Cm as SandboxCm
from number_orders.sandbox.faults import read_fault
from number_orders.sandbox.inventory import StockPlan
from number_orders.sandbox.state import SandboxCarrier, SandboxState
from number_orders.sandbox.swift.access import SwiftAccount
from number_orders.sandbox.swift.app import Swift as SandboxSwift
from number_orders.simulation.clock import MachineClock, true_now
from number_orders.simulation.faults import (
    FLIPS_MAX,
    LAG_MAX_S,
    LISTING_MAX_S,
    NOTICE_DELAY_MAX_S,
    SWIFT_LAG_MAX_S,
    TOO_LATE_S,
    Faults,
)

BANDWIDTH: Final = CarrierName("bandwidth")
CM_COM: Final = CarrierName("cm")
SWIFT: Final = CarrierName("swift")

POLICIES: Final[Mapping[CarrierName, CarrierPolicy]] = {
    BANDWIDTH: CarrierPolicy(answer_within=timedelta(seconds=60)),
    CM_COM: CarrierPolicy(
        answer_within=timedelta(seconds=60),
        ask_first=timedelta(seconds=30),
        ask_max=timedelta(minutes=15),
        slow_ask_max=timedelta(hours=1),
        resend_when_absent=False,
        overdue_after=timedelta(days=3),
    ),
    SWIFT: CarrierPolicy(answer_within=timedelta(seconds=60), settle_after=timedelta(minutes=10)),
}
"""The service's policies as its default settings have them; a test compares."""

_STOCK: Final = StockPlan(exchanges_per_area=2, lines_per_exchange=30, toll_free_per_code=5, foreign_per_range=5)
_COMPANIES: Final = {"NLD:local": 31, "NLD:national": 31, "BEL:local": 32, "GBR:local": 44, "USA:local": 1}
_FAULTS: Final = ("error_before", "error_after", "html", "garbage", "empty", "timeout_400", "code_5086")

Sale = Mapping[str, Any]
"""An order as its carrier really has it."""


@dataclass(frozen=True, slots=True)
class SimulatedCarrier:
    """One carrier: the adapter that the service uses, and the sandbox carrier behind it."""

    adapter: Adapter
    app: Starlette
    sandbox_carrier: SandboxCarrier
    authenticator: Callable[[MachineClock], Authenticator]

    def sales(self, reference: str | None = None) -> list[Sale]:
        """Return the carrier's orders as they really are, all of them or those with our reference."""
        orders = self.sandbox_carrier.orders_as_json(true_now(), None)
        return [order for order in orders if reference is None or order["customer_order_id"] == reference]

    def violations(self) -> Sequence[Mapping[str, Any]]:
        """Return the carrier's rules that the service broke."""
        violations = self.sandbox_carrier.incidents_as_json(None).get("violations", ())
        return [each for each in violations if each["customer_order_id"]]

    def holdings(self) -> Mapping[str, str]:
        """Return every number that the accounts have now, with its account."""
        return self.sandbox_carrier.holdings_as_json(true_now())


def sandbox_state(faults: Faults, dice: Random, more: Random) -> SandboxState:
    """Return the state that the sandbox carriers share."""
    world = SandboxState(_behaviour(faults, dice, more), clock=true_now, id_dice=dice)
    for fault in _FAULTS if faults.broken else ():
        for processed in (True, False):
            rule = {"fault": fault, "probability": faults.broken / 14, "seed": dice.getrandbits(32)}
            world.faults.add(read_fault({**rule, "processed": processed}))
    return world


def simulated_carriers(
    world: SandboxState, dice: Random, taint: Taint, addresses: NoticeAddresses | None = None
) -> dict[CarrierName, SimulatedCarrier]:
    """Create every carrier. With `addresses`, orders say where notices go, where they can."""
    sandbox_bandwidth, sandbox_cm = SandboxBandwidth(world, stock=_STOCK), SandboxCm(world)
    sandbox_swift, swift, cm = SandboxSwift(world, stock=_STOCK), SwiftAccount(), CmAccount()
    fetched, known = dice.random() < 0.5, dice.random() < 0.5  # noqa: PLR2004  each in half of the worlds
    profiles = {key: f"0c0ffee0-0000-4000-8000-0000000000{code:02}" for key, code in _COMPANIES.items()}
    return {
        BANDWIDTH: _carrier(Bandwidth("9900000", "743"), sandbox_bandwidth, _oauth2 if fetched else _bearer),
        CM_COM: _carrier(
            CM(cm.account_guid, profiles, addresses=addresses),
            sandbox_cm,
            lambda _: ApiKeyHeader(TOKEN_HEADER, cm.product_token),
        ),
        SWIFT: _carrier(
            Swift(swift.account_id if known else None, taint=taint),
            sandbox_swift,
            lambda _: StaticBearer(swift.api_key),
        ),
    }


def _carrier(
    adapter: Adapter, sandbox_carrier: SandboxCarrier, authenticator: Callable[[MachineClock], Authenticator]
) -> SimulatedCarrier:
    return SimulatedCarrier(adapter, Starlette(routes=list(sandbox_carrier.routes())), sandbox_carrier, authenticator)


def _oauth2(clock: MachineClock) -> Authenticator:
    return OAuth2ClientCredentials("sandbox-client", "sandbox-secret", clock=clock.boot, now=clock.now)


def _bearer(clock: MachineClock) -> Authenticator:
    return StaticBearer("sandbox-token")


def _behaviour(faults: Faults, dice: Random, more: Random) -> Behaviour:
    """Choose how the carriers behave in this world: how slow they are, their dialects, and what they show too late."""
    return read_behaviour(_showing(faults, more), _dialect(faults, dice))


def _showing(faults: Faults, dice: Random) -> dict[str, Any]:
    """Choose what the carriers show late or wrongly."""
    too_late = dice.random() < faults.numbers_too_late
    lag_s, swift_lag_s = (TOO_LATE_S[1],) * 2 if too_late else (LAG_MAX_S, SWIFT_LAG_MAX_S)
    latest_s = dice.choice((480.0, TOO_LATE_S[1]))
    ages_s = (60.0, 600.0) if dice.random() < faults.sold_again else _NEVER_AGED_S
    return (
        {
            "number_lag_s": (0.0, lag_s * faults.number_lag if not too_late else lag_s),
            "swift_did_lag_s": (0.0, swift_lag_s * faults.number_lag if not too_late else swift_lag_s),
            "swift_removal_lag_s": (0.0, SWIFT_LAG_MAX_S * faults.number_lag),
            "flips": round(FLIPS_MAX * faults.flips),
            "flip_s": (1.0, LAG_MAX_S),
            "backorder_loses": faults.withdrawals,
            "cm_revises": faults.withdrawals,
            "listing_late_share": faults.listed_too_late,
            "listing_late_s": (TOO_LATE_S[0], latest_s),
            "aging_s": ages_s,
        }
        | ({"list_page_max": dice.randint(7, 20)} if faults.accounts else {})
        | _notices(faults, dice)
    )


def _notices(faults: Faults, dice: Random) -> dict[str, Any]:
    """Choose how notices are sent, where any are."""
    if not faults.notices:
        return {}
    return {
        "notice_drop": faults.notices_dropped,
        "notice_double": faults.notices_doubled,
        "notice_delay_s": (0.0, NOTICE_DELAY_MAX_S * faults.notices_delayed),
        "notice_forge": faults.notices_forged,
        "notice_tries": dice.choice((1, 3)),
    }


def _dialect(faults: Faults, dice: Random) -> Behaviour:
    slow = faults.slow_review * dice.random()
    wait_s = 86_400.0 * 3 * slow
    seed = dice.getrandbits(32)
    return read_behaviour(
        {
            "seed": seed,
            # The lists have many pages in half of the worlds.
            "list_page_max": 3 if seed % 2 else 1000,
            "latency_s": dict.fromkeys(_ENDPOINTS, (0.0, 0.0)),
            "processing_s": (0.05, 2.0 + 7200.0 * slow),
            "backorder_s": (60.0, 60.0 + wait_s),
            "strange_s": (1.0, 1.0 + 3600.0 * slow),
            "cm_review_s": (1.0, 5.0 + wait_s / 2),
            "listing_delay_s": (0.0, LISTING_MAX_S * faults.listing_delay),
            "list_oldest_first": dice.random() < 0.5,  # noqa: PLR2004  half of the worlds, here and below
            "reference_filter": dice.choice(("exact", "substring", "ignored")),
            "completed_word": dice.choice(("COMPLETE", "COMPLETED", "mixed")),
            "completed_shape": dice.choice(("flat", "wrapped", "mixed")),
            "order_id_in": dice.choice(("both", "body", "location")),
            "id_in_reads": dice.random() < 0.5,  # noqa: PLR2004
            "cm_guid_in_reply": dice.random() < 0.8,  # noqa: PLR2004
            "tainted_removal": dice.choice(("error", "with_errors", "refused")),
            "second_checkout": dice.choice(("409", "422", "same")),
            "swift_replies": dice.choice(("as_printed", "faithful")),
            "swift_order_id": dice.choice(("cart", "own")),
            "swift_did_delay_s": (0.0, 30.0 * slow),
            "swift_usable_s": (0.5, 1.5 + 600.0 * slow),
            "swift_slow_usable_s": (10.0, 10.0 + wait_s),
            "cm_range_shape": dice.choice(("numbers", "merged")),
            "cm_number_format": dice.choice(("e164", "digits", "double_zero")),
        }
    )


_NEVER_AGED_S: Final = (864_000.0, 864_000.0)
"""Released numbers are sold again only after the world's end, so that each has one owner."""
_ENDPOINTS: Final = ("token", "search", "order_create", "order_read", "order_list", "order_change", "numbers", "other")
