"""How a sandbox carrier behaves: its speed, its dialect, its limits.

A behaviour is a plain value. It is given as JSON at the start and can be changed in parts while the sandbox runs. A
change applies to what happens after it; what was already decided stays.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from random import Random
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, TypeAdapter

T = TypeVar("T")
Seconds = Annotated[float, Field(ge=0, le=864_000)]


def _both_ends(value: object) -> object:
    """Read a single number as a span that starts and ends there."""
    return (value, value) if isinstance(value, int | float) else value


def _upwards(span: tuple[float, float]) -> tuple[float, float]:
    if span[0] > span[1]:
        raise ValueError("a span runs from its smaller end to its larger one")
    return span


Share = Annotated[float, Field(ge=0, le=1)]
Span = Annotated[tuple[Seconds, Seconds], BeforeValidator(_both_ends), AfterValidator(_upwards)]
Endpoint = Literal["token", "search", "order_create", "order_read", "order_list", "order_change", "numbers", "other"]
LimitGroup = Literal["ORDER", "SEARCH", "HISTORY", "DISCONNECT", "INSERVICE_NPANXX", "SUBSCRIPTION"]


def _quick() -> dict[Endpoint, Span]:
    """Return round-trip times of a nearby carrier for every endpoint."""
    return {
        "token": (0.005, 0.03),
        "search": (0.01, 0.03),
        "order_create": (0.01, 0.03),
        "order_read": (0.005, 0.02),
        "order_list": (0.01, 0.03),
        "order_change": (0.01, 0.03),
        "numbers": (0.005, 0.02),
        "other": (0.005, 0.01),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """Everything about the carriers that their pages leave open or that a test wants to choose.

    Durations are seconds. A span is `[least, most]`; a value in it is chosen uniformly by the seeded random generator.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    seed: int = 7
    latency_s: dict[Endpoint, Span] = field(default_factory=_quick)
    processing_s: Span = (0.05, 1.75)
    backorder_s: Span = (3.0, 3.0)
    backorders_fill: bool = True
    backorder_loses: Share = 0.0
    aging_s: Span = (3.0, 3.0)
    reservation_s: Seconds = 14_400.0
    strange_s: Span = (1.0, 1.0)
    strange_word: Annotated[str, AfterValidator(str.strip)] = "AWAITING_STARLIGHT"
    listing_delay_s: Span = (0.0, 0.0)
    listing_late_share: Share = 0.0
    listing_late_s: Span = (3600.0, 3600.0)
    list_page_max: Annotated[int, Field(ge=1, le=1000)] = 1000
    flips: Annotated[int, Field(ge=0, le=100)] = 0
    flip_s: Span = (5.0, 5.0)
    number_lag_s: Span = (0.0, 0.0)
    list_oldest_first: bool = True
    reference_filter: Literal["exact", "substring", "ignored"] = "exact"
    completed_word: Literal["COMPLETE", "COMPLETED", "mixed"] = "COMPLETED"
    completed_shape: Literal["flat", "wrapped", "mixed"] = "flat"
    order_id_in: Literal["both", "body", "location", "different"] = "both"
    id_in_reads: bool = False
    pending_error: bool = False
    failed_loses_request: bool = False
    number_status: Literal["Inservice", "InAccount"] = "Inservice"
    token_lifetime_s: Annotated[int, Field(ge=1)] = 3600
    limits: dict[LimitGroup, Annotated[int, Field(ge=1)] | None] = field(default_factory=dict)
    limit_window_s: Annotated[float, Field(ge=0.1)] = 60.0
    notice_drop: Share = 0.0
    notice_double: Share = 0.0
    notice_delay_s: Span = (0.0, 0.0)
    notice_forge: Share = 0.0
    notice_tries: Annotated[int, Field(ge=1, le=8)] = 1
    http_log_per_order: Annotated[int, Field(ge=0, le=1000)] = 20

    taint_s: Seconds = 1800.0
    tainted_removal: Literal["error", "with_errors", "refused"] = "error"
    second_checkout: Literal["409", "422", "same"] = "409"
    swift_replies: Literal["as_printed", "faithful"] = "as_printed"
    swift_order_id: Literal["cart", "own"] = "cart"
    swift_old_numbers: Annotated[int, Field(ge=0, le=10_000_000)] = 0
    swift_did_delay_s: Span = (0.0, 0.0)
    swift_did_lag_s: Span = (0.0, 0.0)
    swift_late_s: Span = (30.0, 30.0)
    swift_removal_lag_s: Span = (0.0, 0.0)
    swift_errors: Literal["flat", "enveloped", "nested", "list", "text"] = "flat"
    swift_usable_s: Span = (0.5, 1.5)
    swift_slow_usable_s: Span = (10.0, 10.0)

    cm_review_s: Span = (1.0, 3.0)
    cm_cancel_s: Span = (0.0, 0.0)
    cm_revises: Share = 0.0
    cm_create_status: Literal[200, 201] = 200
    cm_guid_in_reply: bool = True
    cm_range_shape: Literal["numbers", "merged"] = "numbers"
    cm_number_format: Literal["e164", "digits", "double_zero"] = "e164"
    cm_callback_times: Annotated[int, Field(ge=0, le=10)] = 1

    def latency(self, endpoint: Endpoint, dice: Random) -> float:
        """Return a random latency for one request to `endpoint`."""
        least, most = self.latency_s.get(endpoint, (0.0, 0.0))
        return least + (most - least) * dice.random()


def random_duration(span: Span, dice: Random) -> timedelta:
    """Return a random duration within `span`."""
    return timedelta(seconds=dice.uniform(*span))


def listing_delay(behaviour: Behaviour, dice: Random, label: str) -> timedelta:
    """Return how long an order is missing from the list. Whether it is a late one changes no other random value."""
    usual, own_dice = random_duration(behaviour.listing_delay_s, dice), Random(f"{behaviour.seed}/{label}/listing")
    is_late = own_dice.random() < behaviour.listing_late_share
    return random_duration(behaviour.listing_late_s, own_dice) if is_late else usual


def random_flips(behaviour: Behaviour, dice: Random) -> list[timedelta]:
    """Return how long each wrong status lasts that an order shows before its end, or nothing."""
    return [random_duration(behaviour.flip_s, dice) for _ in range(dice.randint(0, behaviour.flips))]


def random_listing(
    bought: tuple[T, ...], behaviour: Behaviour, dice: Random
) -> Iterator[tuple[timedelta, tuple[T, ...] | None]]:
    """Yield how long after its end an order's lists change, and what they show from then on; None: all of it."""
    lags = {one: random_duration(behaviour.number_lag_s, dice) for one in bought}
    for lag in sorted({timedelta(), *lags.values()}):
        listed = tuple(one for one in bought if lags[one] <= lag)
        yield lag, None if listed == bought else listed


_READER: TypeAdapter[Behaviour] = TypeAdapter(Behaviour)


def read_behaviour(given: Mapping[str, Any], over: Behaviour | None = None) -> Behaviour:
    """Return `over` (by default: the defaults) with the fields in `given` replaced.

    Tables (`latency_s`, `limits`) are merged key by key.

    Raises:
        pydantic.ValidationError: an unknown field, or a value out of its range.
    """
    merged = as_json(over or Behaviour())
    for name, value in given.items():
        old = merged.get(name)
        merge = isinstance(old, dict) and isinstance(value, Mapping)
        merged[name] = dict(old or {}, **value) if merge else value
    return _READER.validate_python(merged)


def as_json(behaviour: Behaviour) -> dict[str, Any]:
    """Return a behaviour as the JSON that `read_behaviour` reads."""
    return asdict(behaviour)
