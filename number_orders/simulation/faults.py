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
no client can know of a purchase that is made, or listed, after it has stopped asking. `listed_too_late` breaks this on
purpose.
"""
LAG_MAX_S: Final = 100.0
"""How long after an order's end a number can be missing from its lists, and how long a wrong status lasts. Both stay
below the time for which an end that falls short is not believed: 2 minutes."""
SWIFT_LAG_MAX_S: Final = 480.0
"""The same at Swift, where that time is 10 minutes."""
TOO_LATE_S: Final = (310.0, 4 * 3600.0)
"""When an order or a number is listed that is listed too late: patience is 5 minutes."""
FLIPS_MAX: Final = 4
NOTICE_DELAY_MAX_S: Final = 3600.0


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

    # Carriers that show late or wrongly what they did. From here on, the faults are chosen by `more`: see `swarm`.
    number_lag: float = 0.0
    """How much of LAG_MAX_S a number can be missing from the lists after its order's end."""
    flips: float = 0.0
    """How many of FLIPS_MAX wrong statuses an order can show before its end; some are ends that are taken back."""
    withdrawals: float = 0.0
    """Orders that lose a number, or get another for it, after it was shown as bought."""
    listed_too_late: float = 0.0
    """Orders that the list shows only when no client looks for them any more: they may be bought twice."""
    numbers_too_late: float = 0.0
    """Worlds in which numbers may be listed after an end without them was believed."""

    # The accounts, and others who work on them
    accounts: float = 0.0
    """Swift orders for a sub-account. Each account has numbers from before, on several short pages."""
    by_hand: float = 0.0
    """Numbers that somebody buys or removes by hand, per hour and carrier."""
    sold_again: float = 0.0
    """Whether removed numbers are soon sold again, and producers order them."""

    in_parts: float = 0.0
    """Removals from Swift of numbers of which one is still tainted."""

    # Second blows
    struck_again: float = 0.0
    """A further request of an order of which an answer was lost is lost as well."""
    mistakes: float = 0.0
    """Orders that an operator parks, and decides about without looking or wrongly, per hour."""

    # The ledger itself
    falls: float = 0.0
    """How often the ledger falls back in time, per day."""

    # Carriers' notices. They may change when an order ends, and nothing else.
    notices: float = 0.0
    """Whether carriers send notices."""
    notices_dropped: float = 0.0
    notices_doubled: float = 0.0
    notices_delayed: float = 0.0
    """How much of NOTICE_DELAY_MAX_S a notice can be late, and so come behind later ones."""
    notices_forged: float = 0.0
    """Notices that have a forged one beside them, of another end or about no order."""


CALM: Final = Faults()
HARSH: Final = Faults(
    refused=0.05, lost_before=0.06, lost_after=0.12, late=0.06, limited=0.05, broken=0.08,
    limited_periods=3.0, outages=2.0, listing_delay=1.0, slow_review=1.0, strange=0.4,
    killed=0.012, frozen=0.003, skew=1.0, ledger_lost=0.01, ledger_outages=2.0,
    doubled=0.15, dropped=0.15, delayed=0.2, wiped=3.0, two_beats=1.0, no_beat=3.0,
    cancelled=0.2, decided=1.0,
    number_lag=1.0, flips=1.0, withdrawals=0.5, listed_too_late=0.4, numbers_too_late=0.3,
    accounts=0.5, by_hand=0.3, sold_again=1.0, in_parts=1.0, struck_again=0.5, mistakes=0.5,
)  # fmt: skip
"""All faults at once; no world has to be worse."""

_LEFT_OUT: Final = 0.45
"""The probability that a kind of fault is left out of a world."""
_MORE_LEFT_OUT: Final = 0.8
"""The same of the faults that `more` chooses."""

_NOTICES_WITH_FALLS: Final = 0.25

_NAMES: Final = tuple(field.name for field in fields(Faults))
_MACHINES: Final = _NAMES[: _NAMES.index("number_lag")]
_MORE: Final = _NAMES[_NAMES.index("number_lag") : _NAMES.index("falls")]


def machines(dice: Random, _: Random) -> Faults:
    """Choose faults of networks, machines and people: some left out, the others at any strength up to HARSH."""
    strengths = {name: _random_strength(getattr(HARSH, name), dice, _LEFT_OUT) for name in _MACHINES}
    return replace(CALM, **strengths)


def swarm(dice: Random, more: Random) -> Faults:
    """Choose faults of every kind. Those that `machines` leaves out have a generator of their own."""
    strengths = {name: _random_strength(getattr(HARSH, name), more, _MORE_LEFT_OUT) for name in _MORE}
    return replace(machines(dice, more), **strengths)


def _random_strength(worst: float, dice: Random, left_out: float) -> float:
    strength = dice.random()
    return 0.0 if dice.random() < left_out else worst * strength


def notices(dice: Random, more: Random) -> Faults:
    """Choose any faults of machines, and let carriers send notices, which are dropped, doubled, late and forged.

    In some worlds carriers also show ends late or wrongly, or the ledger falls back in time.
    """
    names = ("notices_dropped", "notices_doubled", "notices_delayed", "notices_forged")
    strengths = {name: _random_strength(1.0, more, _LEFT_OUT) for name in names}
    shown = {name: _random_strength(getattr(HARSH, name), more, _LEFT_OUT) for name in ("number_lag", "flips")}
    falls = 2.0 if more.random() < _NOTICES_WITH_FALLS else 0.0
    return replace(machines(dice, more), **strengths, **shown, notices=1.0, falls=falls, decided=1.0)


ChooseFaults = Callable[[Random, Random], Faults]


def _only(*names: str) -> ChooseFaults:
    return lambda *_: replace(CALM, **{name: getattr(HARSH, name) for name in names})


def _fall_back(dice: Random, more: Random) -> Faults:
    """Choose any faults of machines, and let the ledger fall back in time."""
    return replace(machines(dice, more), falls=3.0, decided=1.0)


def _start_people(dice: Random, more: Random) -> Faults:
    """Choose any faults of machines, and add an impatient operator."""
    return replace(machines(dice, more), impatient_actions=20.0, decided=1.0)


PROFILES: Final[Mapping[str, ChooseFaults]] = MappingProxyType(
    {
        "swarm": swarm,
        "machines": machines,
        "none": lambda *_: CALM,
        "harsh": lambda *_: HARSH,
        "network": _only("refused", "lost_before", "lost_after", "late", "broken", "listing_delay"),
        "limits": _only("limited", "limited_periods", "outages"),
        "crashes": _only("killed", "frozen", "lost_after", "listing_delay"),
        "ledger": _only("ledger_lost", "ledger_outages", "killed"),
        "messages": _only("doubled", "dropped", "delayed", "wiped", "two_beats", "no_beat"),
        "carriers": _only("slow_review", "strange", "listing_delay", "cancelled", "decided"),
        "people": _start_people,
        "falls": _fall_back,
        "notices": notices,
        "clocks": _only("skew", "limited", "frozen", "lost_after"),
        "lists": _only("number_lag", "flips", "listing_delay", "strange", "lost_after", "slow_review"),
        "withdrawals": _only("withdrawals", "strange", "cancelled", "lost_after", "slow_review"),
        "parts": _only("in_parts", "killed", "lost_after", "struck_again", "cancelled"),
        "accounts": _only("accounts", "by_hand", "sold_again", "killed", "lost_after", "slow_review"),
        "mistakes": lambda dice, more: replace(
            _only("lost_after", "late", "slow_review", "strange", "cancelled", "decided")(dice, more), mistakes=8.0
        ),
        "patience": lambda dice, more: replace(
            _only("lost_after", "struck_again", "killed", "numbers_too_late", "slow_review")(dice, more),
            listed_too_late=0.6,
            lost_after=0.3,
        ),
        "blows": _only(
            "lost_before", "lost_after", "late", "killed", "frozen", "struck_again", "ledger_lost", "strange"
        ),
    }
)
"""Profiles by name: the tests run `swarm`; each of the others has one kind of fault."""
