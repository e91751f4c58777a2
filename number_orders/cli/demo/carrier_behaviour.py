"""Chooses how the sandbox carriers behave in the demo and which faults are injected, all from one seed.

Each fault of a submission is aimed at one order and occurs once. So the faults are known beforehand, and no order meets
so many that it would be parked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from types import MappingProxyType
from typing import Any, Final, TypeVar

from config.settings import CarrierSettings
from number_orders.sandbox.control import SandboxControl

TAINT_WINDOW_S: Final = 12.0
"""Replaces Swift's thirty minutes, in the sandbox and in our settings."""
TAINT_MARGIN_S: Final = 1.0

BEHAVIOUR: Final[Mapping[str, Any]] = {
    "processing_s": [0.5, 6.0],
    "backorder_s": 4.0,
    "strange_s": 2.0,
    # Placing an order takes so long that the killed worker has some requests on their way.
    "latency_s": {"order_create": [0.05, 0.5], "order_read": [0.01, 0.08], "order_list": [0.02, 0.1]},
    "completed_word": "mixed",
    "completed_shape": "mixed",
    "order_id_in": "both",
    "taint_s": TAINT_WINDOW_S,
    "cm_review_s": [0.5, 3.0],
    "notice_drop": 0.25,
    "notice_double": 0.1,
    "notice_delay_s": [0.0, 1.0],
    "notice_forge": 0.05,
}


Own = TypeVar("Own", bound=CarrierSettings)


@dataclass(frozen=True, slots=True)
class InjectedFault:
    """One fault of submissions, and the percentage of orders that meet it."""

    name: str
    words: str
    percent: float
    doubt: bool = True
    """Whether the order is IN_DOUBT afterwards."""
    rule: tuple[tuple[str, Any], ...] = ()
    path: str = "/orders"


_CHECKOUT: Final = "/carts/{cartId}/checkout"
_REQUESTS: Final = "/numberRequests"

FAULTS: Final[Mapping[str, Sequence[InjectedFault]]] = MappingProxyType(
    {
        "bandwidth": (
            InjectedFault("drop_after", "answer dropped after the order was made", 4),
            InjectedFault("drop_before", "connection dropped before anything was made", 2),
            InjectedFault("error_after", "503 after the order was made", 2, rule=(("status", 503),)),
            InjectedFault("error_before", "500 before anything was made", 1.5, rule=(("status", 500),)),
            InjectedFault("html", "a gateway's 502 page after the order was made", 1),
            InjectedFault("garbage", "an unreadable 200 after the order was made", 1),
            InjectedFault("timeout_400", '400 "request timed out", yet the order was made', 1),
            InjectedFault("too_many_requests", "429 with X-RateLimit-Reset", 1, doubt=False),
        ),
        "swift": (
            InjectedFault("drop_after", "Swift's answer dropped after the checkout", 8, path=_CHECKOUT),
            InjectedFault("drop_before", "connection to Swift dropped before the checkout", 8, path=_CHECKOUT),
            InjectedFault("drop_after", "Swift's answer dropped after a cart was made", 8, doubt=False, path="/carts"),
            InjectedFault(
                "error_after",
                "503 after a request was put into a cart",
                8,
                doubt=False,
                rule=(("status", 503),),
                path="/carts/{cartId}/requests",
            ),
        ),
        "cm": (
            InjectedFault("drop_after", "CM.com's answer dropped after the number request was made", 8, path=_REQUESTS),
            InjectedFault(
                "garbage", "an unreadable 200 of CM.com's after the number request was made", 8, path=_REQUESTS
            ),
        ),
    }
)
"""By carrier. A request that never reaches CM.com is left out: such an order is parked for a person."""
QUESTIONS_FAILING: Final = 0.02
"""Share of the questions about orders that are answered with 503."""


def with_short_waits(settings: Own, **more: object) -> Own:
    """Return settings with short waits, so that doubt is resolved within the demo."""
    return settings.model_copy(
        update={
            "timeout_s": 4.0,
            "connect_timeout_s": 2.0,
            "read_timeout_s": 3.0,
            "ask_first_s": 1.0,
            "ask_factor": 1.3,
            "ask_max_s": 3.0,
            "slow_ask_max_s": 3.0,
            "doubt_first_s": 1.0,
            "doubt_patience_s": 5.0,
            "doubt_asks": 3,
            "settle_s": 2.0,
            "settle_looks": 2,
            **more,
        }
    )


def inject_faults(
    control: SandboxControl, references: Mapping[str, Sequence[str]], seed: int
) -> dict[str, InjectedFault]:
    """Inject the faults, and return the fault of each reference that has one. The references are given by carrier."""
    targets = {
        reference: fault for carrier, ours in references.items() for reference, fault in _targets(carrier, ours, seed)
    }
    for reference, fault in targets.items():
        control.fault(
            fault.name, method="POST", path=fault.path, customer_order_id=reference, times=1, **dict(fault.rule)
        )
    for path in ("/orders*", "/numberRequests*"):
        control.fault("error_before", method="GET", path=path, status=503, probability=QUESTIONS_FAILING, seed=seed)
    return targets


def _targets(carrier: str, references: Sequence[str], seed: int) -> list[tuple[str, InjectedFault]]:
    dice = Random(seed)  # noqa: S311  which orders have bad luck is no secret
    faults = FAULTS[carrier]
    hits = [fault for fault in faults for _ in range(max(1, round(len(references) * fault.percent / 100)))]
    return list(zip(dice.sample(list(references), len(hits)), hits, strict=True))
