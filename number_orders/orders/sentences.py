"""Describes each event of an order in one line. Their meaning is in `number_orders.orders.events`."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from number_orders.orders import events
from number_orders.orders.events import event_type
from number_orders.orders.numbers import count_in_words

Detail = Mapping[str, Any]


def sentence(row: Mapping[str, Any]) -> str:
    """Describe one event of the story."""
    detail, kind = row["detail"], event_type(row["event"])
    words = _WORDS.get(kind)
    text = words(detail) if words else row["event"]
    too_late = row["late"] and not issubclass(kind, events.Reminder)
    return f"{text} (too late: stored, changed nothing)" if too_late else text


def _or(detail: Detail, name: str, before: str = ": ") -> str:
    return f"{before}{detail[name]}" if detail.get(name) else ""


def _end(detail: Detail, name: str) -> str:
    return ")" if detail.get(name) else ""


def _numbers(detail: Detail) -> str:
    """Return how many numbers an event names. Long lists are stored as a count."""
    named = detail.get("numbers", ())
    if isinstance(named, str):
        return f", {named}"
    return f", {count_in_words(len(named))}" if named else ""


def _by(detail: Detail) -> str:
    return f"{detail.get('by', 'somebody')}{_or(detail, 'why')}"


def _still_open(detail: Detail) -> str:
    strange = ", an unknown status" if detail.get("unheard_of") else ""
    return f"the carrier says {detail.get('carrier_status')}{strange}{_numbers(detail)}{_or(detail, 'detail')}"


def _ended(how: str) -> Callable[[Detail], str]:
    return lambda detail: f"{how}{_or(detail, 'carrier_status', ', ')}{_numbers(detail)}{_or(detail, 'reason')}"


_WORDS: Final[Mapping[type, Callable[[Detail], str]]] = MappingProxyType(
    {
        events.OrderAccepted: lambda _: "accepted",
        events.SubmissionBegun: lambda _: "a worker begins to send it",
        events.HistoryLost: lambda it: f"looked for first: the ledger fell back in time{_or(it, 'since', ' at ')}",
        events.NotSent: lambda it: f"the attempt failed, to be sent again{_or(it, 'reason')}",
        events.Deferred: lambda it: f"held back by a rule{_numbers(it)}{_or(it, 'reason')}",
        events.AnswerLost: lambda it: f"the answer is lost{_or(it, 'reason')}",
        events.Acknowledged: lambda it: (
            f"the carrier has it as {it.get('carrier_order_id')}{_or(it, 'carrier_status', ', ')}"
        ),
        events.StillOpen: _still_open,
        events.PartSettled: _ended("a part is done, the rest is sent later"),
        events.CalledBack: _ended("the carrier cancelled it"),
        events.Filled: _ended("done as asked"),
        events.PartlyFilled: _ended("done in part"),
        events.FilledWithErrors: _ended("done, with errors"),
        events.Refused: lambda it: f"refused{_or(it, 'code', ', code ')}{_numbers(it)}{_or(it, 'reason')}",
        events.NotListed: lambda it: f"not on the carrier's record yet{_or(it, 'looked', ', searched ')}",
        events.ProvenAbsent: lambda it: f"it never arrived{_or(it, 'looked', ', searched ')}",
        events.FoundTwice: lambda it: f"found more than once: {', '.join(it.get('carrier_order_ids', ()))}",
        events.LookedAgain: lambda it: str(it.get("detail")),
        events.Parked: lambda it: f"parked for a person{_or(it, 'reason')}",
        events.CancelAsked: lambda it: f"cancel asked by {_by(it)}",
        events.Adopted: lambda it: f"adopted as {it.get('carrier_order_id')} by {_by(it)}",
        events.NumbersAdopted: lambda it: f"numbers adopted{_numbers(it)}, by {_by(it)}",
        events.NumbersGivenUp: lambda it: f"numbers given up{_numbers(it)}, by {_by(it)}",
        events.SentAgain: lambda it: f"to be sent again, decided by {_by(it)}",
        events.WrittenOff: lambda it: f"closed as failed by {_by(it)}",
        events.CutShort: lambda it: f"closed with what was done by then, by {_by(it)}",
        events.TakenAsItIs: lambda it: f"closed with every number done, by {_by(it)}",
        events.SetAside: lambda it: f"parked by {_by(it)}{_or(it, 'waited', ' (it waited: ')}{_end(it, 'waited')}",
        events.Hurried: lambda it: f"retry asked by {_by(it)}",
        events.ToldAgain: lambda it: f"notification asked by {_by(it)}",
    }
)
