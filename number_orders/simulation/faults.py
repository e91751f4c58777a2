"""What can go wrong in a world, and how often. Each kind of fault can be left out, and each world leaves some out.

Probabilities are per request, statement, message or look; durations are seconds. All faults end with the fault period,
after which a world must come to rest.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from random import Random
from types import MappingProxyType
from typing import Final

LATE_MAX_S: Final = 100.0
"""The longest time after its sending that a carrier still acts on a request."""
LISTING_MAX_S: Final = 120.0
"""The longest time that an order is missing from its carrier's list.

Together they stay below the time that an order in doubt is asked about (5 minutes), which is the purpose of that time:
no client can know of a purchase that is made, or listed, after it has stopped asking.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """The probabilities and durations of the faults in one world."""

    # Requests to a carrier
    refused: float = 0.0
    """The connection is refused, and nothing is sent."""
    lost_before: float = 0.0
    """The request is sent and not acted on."""
    lost_after: float = 0.0
    """The request is acted on, and its answer is lost."""
    late: float = 0.0
    """The request is acted on long after the client has given up."""
    limited: float = 0.0
    """429, with or without headers that say when to come back."""
    broken: float = 0.0
    """5xx, web pages, garbage, empty answers, time-outs reported as 400; acted on or not."""
    limited_periods: float = 0.0
    """Periods in which nearly every answer is 429, per day and carrier."""
    outages: float = 0.0
    """Periods of up to hours in which a carrier is unreachable, per day and carrier."""
    listing_delay: float = 0.0
    """How much of LISTING_MAX_S an order can be missing from the list."""

    # Carriers
    slow_review: float = 0.0
    """From 0 to 1: processing takes seconds to hours, a backorder seconds to days."""
    strange: float = 0.0
    """Orders with magic inputs: shortages, contradictions, unknown statuses."""

    # Workers
    killed: float = 0.0
    """A pool child dies at one of its reads or writes."""
    frozen: float = 0.0
    """A pool child stops for a long time and continues as if nothing had happened."""
    skew: float = 0.0
    """How far the machines' clocks are wrong."""

    # The ledger's connections
    ledger_lost: float = 0.0
    """A statement's connection breaks, before or after the statement ran."""
    ledger_outages: float = 0.0
    """Periods in which the ledger is unreachable, per day."""

    # Messages
    doubled: float = 0.0
    dropped: float = 0.0
    delayed: float = 0.0
    wiped: float = 0.0
    """How often the broker loses all messages, per day."""
    two_beats: float = 0.0
    no_beat: float = 0.0
    """Periods without a beat, per day."""

    # People
    cancelled: float = 0.0
    """Orders that the producer cancels."""
    decided: float = 0.0
    """Whether an operator decides about parked orders during the fault period; after it, one always does."""
    impatient_actions: float = 0.0
    """Orders that an impatient operator parks or retries, per hour."""

    # The ledger itself
    falls: float = 0.0
    """How often the ledger falls back in time, per day."""


CALM: Final = Faults()
HARSH: Final = Faults(
    refused=0.05, lost_before=0.06, lost_after=0.12, late=0.06, limited=0.05, broken=0.08,
    limited_periods=3.0, outages=2.0, listing_delay=1.0, slow_review=1.0, strange=0.4,
    killed=0.012, frozen=0.003, skew=1.0, ledger_lost=0.01, ledger_outages=2.0,
    doubled=0.15, dropped=0.15, delayed=0.2, wiped=3.0, two_beats=1.0, no_beat=3.0,
    cancelled=0.2, decided=1.0,
)  # fmt: skip
"""All faults at once; no world has to be worse."""

_LEFT_OUT: Final = 0.45
"""The probability that a kind of fault is left out of a world."""


def swarm(dice: Random) -> Faults:
    """Choose a world's faults: some left out, the others at any strength up to HARSH."""
    strengths = {field.name: _random_strength(getattr(HARSH, field.name), dice) for field in fields(HARSH)}
    return replace(CALM, **strengths)


def _random_strength(worst: float, dice: Random) -> float:
    strength = dice.random()
    return 0.0 if dice.random() < _LEFT_OUT else worst * strength


def _only(*names: str) -> Callable[[Random], Faults]:
    return lambda _: replace(CALM, **{name: getattr(HARSH, name) for name in names})


def _fall_back(dice: Random) -> Faults:
    """Choose any faults, and let the ledger fall back in time."""
    return replace(swarm(dice), falls=3.0, decided=1.0)


def _start_people(dice: Random) -> Faults:
    """Choose any faults, and add an impatient operator."""
    return replace(swarm(dice), impatient_actions=20.0, decided=1.0)


PROFILES: Final[Mapping[str, Callable[[Random], Faults]]] = MappingProxyType(
    {
        "swarm": swarm,
        "none": lambda _: CALM,
        "harsh": lambda _: HARSH,
        "network": _only("refused", "lost_before", "lost_after", "late", "broken", "listing_delay"),
        "limits": _only("limited", "limited_periods", "outages"),
        "crashes": _only("killed", "frozen", "lost_after", "listing_delay"),
        "ledger": _only("ledger_lost", "ledger_outages", "killed"),
        "messages": _only("doubled", "dropped", "delayed", "wiped", "two_beats", "no_beat"),
        "carriers": _only("slow_review", "strange", "listing_delay", "cancelled", "decided"),
        "people": _start_people,
        "falls": _fall_back,
        "clocks": _only("skew", "limited", "frozen", "lost_after"),
    }
)
"""Profiles by name: the tests run `swarm`; each of the others has one kind of fault."""
