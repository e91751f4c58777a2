"""One line of an order's story in words. What the events mean stands in `number_orders.orders.events`."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from number_orders.orders.lifecycle import REMARKS

Detail = Mapping[str, Any]

_REMARKS: Final = frozenset(event.__name__ for event in REMARKS)


def sentence(row: Mapping[str, Any]) -> str:
    """Say what one event of the story was."""
    detail = row["detail"]
    words = _WORDS.get(row["event"])
    told = words(detail) if words else row["event"]
    return f"{told} (too late: kept, moved nothing)" if row["late"] and row["event"] not in _REMARKS else told


def _or(detail: Detail, name: str, before: str = ": ") -> str:
    return f"{before}{detail[name]}" if detail.get(name) else ""


def _end(detail: Detail, name: str) -> str:
    return ")" if detail.get(name) else ""


def _numbers(detail: Detail) -> str:
    """Say how many numbers an event names. Long lists were counted when they were written down."""
    named = detail.get("numbers", ())
    if isinstance(named, str):
        return f", {named}"
    return f", {_count(named)}" if named else ""


def _count(named: Sequence[Any]) -> str:
    return "1 number" if len(named) == 1 else f"{len(named)} numbers"


def _by(detail: Detail) -> str:
    return f"{detail.get('by', 'somebody')}{_or(detail, 'why')}"


def _still_open(detail: Detail) -> str:
    strange = ", a word never heard before" if detail.get("unheard_of") else ""
    return f"the carrier says {detail.get('carrier_status')}{strange}{_numbers(detail)}{_or(detail, 'detail')}"


def _ended(how: str) -> Callable[[Detail], str]:
    return lambda detail: f"{how}{_or(detail, 'carrier_status', ', ')}{_numbers(detail)}{_or(detail, 'reason')}"


_WORDS: Final[Mapping[str, Callable[[Detail], str]]] = MappingProxyType(
    {
        "OrderAccepted": lambda _: "accepted",
        "SubmissionBegun": lambda _: "a worker begins to send it",
        "NotSent": lambda it: f"nothing came of it, to be sent again{_or(it, 'reason')}",
        "Deferred": lambda it: f"held back by a rule{_numbers(it)}{_or(it, 'reason')}",
        "AnswerLost": lambda it: f"the answer is lost{_or(it, 'reason')}",
        "Acknowledged": lambda it: (
            f"the carrier has it as {it.get('carrier_order_id')}{_or(it, 'carrier_status', ', ')}"
        ),
        "StillOpen": _still_open,
        "PartSettled": _ended("a part is done, the rest goes later"),
        "CalledBack": _ended("the carrier dropped it"),
        "Filled": _ended("done as asked"),
        "PartlyFilled": _ended("done in part"),
        "FilledWithErrors": _ended("done, with errors"),
        "Refused": lambda it: f"refused{_or(it, 'code', ', code ')}{_numbers(it)}{_or(it, 'reason')}",
        "NotListed": lambda it: f"not on the carrier's record yet{_or(it, 'looked', ', searched ')}",
        "ProvenAbsent": lambda it: f"it never arrived{_or(it, 'looked', ', searched ')}",
        "FoundTwice": lambda it: f"found more than once: {', '.join(it.get('carrier_order_ids', ()))}",
        "Parked": lambda it: f"parked for a person{_or(it, 'reason')}",
        "CancelAsked": lambda it: f"called back by {_by(it)}",
        "Adopted": lambda it: f"adopted as {it.get('carrier_order_id')} by {_by(it)}",
        "SentAgain": lambda it: f"to be sent again, says {_by(it)}",
        "WrittenOff": lambda it: f"written off by {_by(it)}",
        "CutShort": lambda it: f"closed with what was done by then, by {_by(it)}",
        "TakenAsItIs": lambda it: f"closed with every number done, by {_by(it)}",
        "SetAside": lambda it: (
            f"set aside for a person by {_by(it)}{_or(it, 'waited', ' (it waited: ')}{_end(it, 'waited')}"
        ),
        "Hurried": lambda it: f"wanted now by {_by(it)}",
        "ToldAgain": lambda it: f"its producer is to be told, says {_by(it)}",
    }
)
