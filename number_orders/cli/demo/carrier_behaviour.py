"""How the practice carriers behave in the demonstration, and what goes wrong there: all of it chosen by one seed.

Every fault of a submission is aimed at one order and strikes once. So it is known beforehand what will happen, and no
order meets so much bad luck that it would be laid before a person.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from types import MappingProxyType
from typing import Any, Final, TypeVar

from config.settings import CarrierSettings
from number_orders.sandbox.control import SandboxControl

TAINT_WINDOW_S: Final = 12.0
"""Instead of Swift's thirty minutes, at the practice carrier and in our settings."""
TAINT_MARGIN_S: Final = 1.0

PRACTICE: Final[Mapping[str, Any]] = {
    "processing_s": [0.5, 6.0],
    "backorder_s": 4.0,
    "strange_s": 2.0,
    # Placing an order takes its time, so that a worker that is killed has some on their way.
    "latency_s": {"order_create": [0.05, 0.5], "order_read": [0.01, 0.08], "order_list": [0.02, 0.1]},
    "completed_word": "mixed",
    "completed_shape": "mixed",
    "order_id_in": "both",
    "taint_s": TAINT_WINDOW_S,
    "cm_review_s": [0.5, 3.0],
}


Own = TypeVar("Own", bound=CarrierSettings)


@dataclass(frozen=True, slots=True)
class Mishap:
    """One way in which submissions go wrong, and how many of a hundred do."""

    fault: str
    words: str
    percent: float
    doubt: bool = True
    """Whether the order is in doubt afterwards."""
    rule: tuple[tuple[str, Any], ...] = ()
    path: str = "/orders"


_CHECKOUT: Final = "/carts/{cartId}/checkout"
_REQUESTS: Final = "/numberRequests"

MISHAPS: Final[Mapping[str, Sequence[Mishap]]] = MappingProxyType(
    {
        "bandwidth": (
            Mishap("drop_after", "answer dropped after the order was made", 4),
            Mishap("drop_before", "connection dropped before anything was made", 2),
            Mishap("error_after", "503 after the order was made", 2, rule=(("status", 503),)),
            Mishap("error_before", "500 before anything was made", 1.5, rule=(("status", 500),)),
            Mishap("html", "a gateway's 502 page after the order was made", 1),
            Mishap("garbage", "an unreadable 200 after the order was made", 1),
            Mishap("timeout_400", '400 "request timed out", yet the order was made', 1),
            Mishap("too_many_requests", "429 with X-RateLimit-Reset", 1, doubt=False),
        ),
        "swift": (
            Mishap("drop_after", "Swift's answer dropped after the checkout", 8, path=_CHECKOUT),
            Mishap("drop_before", "connection to Swift dropped before the checkout", 8, path=_CHECKOUT),
            Mishap("drop_after", "Swift's answer dropped after a cart was made", 8, doubt=False, path="/carts"),
            Mishap(
                "error_after",
                "503 after a request was put into a cart",
                8,
                doubt=False,
                rule=(("status", 503),),
                path="/carts/{cartId}/requests",
            ),
        ),
        "cm": (
            Mishap("drop_after", "CM.com's answer dropped after the number request was made", 8, path=_REQUESTS),
            Mishap("garbage", "an unreadable 200 of CM.com's after the number request was made", 8, path=_REQUESTS),
        ),
    }
)
"""By carrier. What CM.com never got is not among them: a person would have to decide about it."""
QUESTIONS_FAILING: Final = 0.02
"""How much of what is asked about orders is answered with 503."""


def hurried(settings: Own, **more: object) -> Own:
    """Return settings with little patience, so that doubt is resolved while somebody watches."""
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
            **more,
        }
    )


def aim(control: SandboxControl, order_ids: Mapping[str, Sequence[str]], seed: int) -> dict[str, Mishap]:
    """Put the faults in force, and return which order each will strike. Orders are given by carrier."""
    targets = {
        order_id: mishap for carrier, ids in order_ids.items() for order_id, mishap in _targets(carrier, ids, seed)
    }
    for order_id, mishap in targets.items():
        control.fault(
            mishap.fault, method="POST", path=mishap.path, customer_order_id=order_id, times=1, **dict(mishap.rule)
        )
    for path in ("/orders*", "/numberRequests*"):
        control.fault("error_before", method="GET", path=path, status=503, probability=QUESTIONS_FAILING, seed=seed)
    return targets


def _targets(carrier: str, order_ids: Sequence[str], seed: int) -> list[tuple[str, Mishap]]:
    dice = Random(seed)  # noqa: S311  which orders have bad luck is no secret
    mishaps = MISHAPS[carrier]
    struck = [mishap for mishap in mishaps for _ in range(max(1, round(len(order_ids) * mishap.percent / 100)))]
    return list(zip(dice.sample(list(order_ids), len(struck)), struck, strict=True))
