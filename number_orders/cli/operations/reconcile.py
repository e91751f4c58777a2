"""Compares the numbers at carriers with those in the ledger, and carries out what a person decides about them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any, Final

from rich.text import Text

from config.settings import Settings
from number_orders.carriers.holdings import ShowsHoldings
from number_orders.cli import output
from number_orders.cli.exits import ExitCode, Stop, print_error
from number_orders.cli.market import questions
from number_orders.cli.market.questions import SET_UP_HINT, error_lines, failures_to_json
from number_orders.cli.output import aside, clean, screen, write_json
from number_orders.cli.services import open_services
from number_orders.cli.typed_number import typed_number
from number_orders.fulfilment.inquiries import Reply, failure_of
from number_orders.fulfilment.reconciliation.comparison import Comparison, Ghost, Movement, Orphan, UnderWay
from number_orders.fulfilment.reconciliation.reconcile import Decision, Reconciled
from number_orders.orders.errors import Declined, InquiryRefused, NoAnswer, UnreadableAnswer
from number_orders.orders.model import CarrierName
from workers.carriers import configured_carriers

Replies = Sequence[Reply[Reconciled]]

_SHOWN: Final = 20
_MOVEMENTS: Final = {
    Movement.BRINGS: "may be brought by",
    Movement.REMOVES: "is being removed by",
    Movement.FOLLOWS: "is still asked about by",
}


def read_decision(numbers: Sequence[str], *, adopt: bool, give_up: bool, by: str, why: str | None) -> Decision | None:
    """Return what is to be done with the differences; None if they are only to be shown.

    Raises:
        Stop: Something is to be done, and there is no reason; a number is not E.164, or nothing is to be done with it.
    """
    named = frozenset(map(typed_number, numbers))
    if not adopt and not give_up:
        if named:
            raise Stop(ExitCode.USAGE, "numbers are named to be decided about: add --adopt or --give-up")
        return None
    if not (reason := clean(why)):
        raise Stop(ExitCode.USAGE, "--why is missing: give a reason, which is stored with the orders")
    return Decision(by, reason, adopt=adopt, give_up=give_up, numbers=named)


async def reconcile_carriers(
    settings: Settings, carrier: str | None, decision: Decision | None, *, lookups: int
) -> Replies:
    """Reconcile one carrier, or each that lists our numbers, and print an error for each failure.

    Raises:
        Stop: No carrier is configured, the named one is not, or it does not list our numbers.
    """
    names = _carriers(settings, carrier)
    replies = []
    async with open_services(settings) as services:
        for name in names:
            try:
                answer = await services.orders.reconcile(name, decision, lookups=lookups)
                replies.append(Reply(name, answer=answer))
            except (InquiryRefused, Declined, NoAnswer, UnreadableAnswer) as trouble:
                replies.append(Reply(name, failure=failure_of(trouble)))
    for reply in replies:
        for line in error_lines(reply):
            print_error(line)
    return replies


def show_reconciled(replies: Replies, *, whole: bool) -> None:
    """Print a line for each carrier, and a table for each sort of difference."""
    console = screen()
    answers = [reply.answer for reply in replies if reply.answer]
    for answer in answers:
        console.print(_summary(answer), soft_wrap=not console.is_terminal)
    found = [answer.found for answer in answers]
    _table(
        ("ORPHAN", "CARRIER", "SINCE", "ACCOUNT", "STATUS", "CARRIER ORDER", "ORDER"), _lines(found, _orphans), whole
    )
    _table(("GHOST", "CARRIER", "HELD SINCE", "STATUS", "ORDER"), _lines(found, _ghosts), whole)
    _table(("UNDER WAY", "CARRIER", "IT", "ORDER"), _lines(found, _under_way), whole)
    _table(("DONE", "NUMBER", "ORDER"), [line for answer in answers for line in _decided(answer)], whole)
    for answer in answers:
        for hint in _hints(answer):
            aside().print(Text(hint), soft_wrap=True)


def write_reconciled(replies: Replies) -> None:
    """Print the same as JSON."""
    carriers = {reply.carrier: _to_json(reply.answer) for reply in replies if reply.answer}
    write_json({"carriers": carriers, "failures": failures_to_json(replies)})


def exit_code(replies: Replies) -> ExitCode:
    """Return the exit code: the worst failure, or 1 if a difference is left."""
    worst = questions.worst_failure(replies)
    differs = any(reply.answer and not reply.answer.left.agrees for reply in replies)
    return ExitCode.NO if worst is ExitCode.DONE and differs else worst


def _carriers(settings: Settings, carrier: str | None) -> list[CarrierName]:
    known = dict(sorted(configured_carriers(settings).items()))
    if not known:
        raise Stop(ExitCode.OUT_OF_REACH, "no carrier is set up", hint=SET_UP_HINT)
    if carrier is not None and CarrierName(carrier) not in known:
        raise Stop(ExitCode.USAGE, f"--carrier: {clean(carrier)} is not set up here; these are: {', '.join(known)}")
    asked = [CarrierName(carrier)] if carrier else list(known)
    able = [name for name in asked if isinstance(known[name].adapter, ShowsHoldings)]
    unable = [f"{name} has no list of the numbers that we hold" for name in asked if name not in able]
    if not able:
        raise Stop(ExitCode.NO, "; ".join(unable))
    for text in unable:
        aside().print(f"{text}: not compared")
    return able


def _summary(answer: Reconciled) -> str:
    found = answer.found
    counts = (
        (len(found.orphans), "orphan"),
        (len(found.ghosts), "ghost"),
    )
    differences = ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts)
    under_way = f", {len(found.under_way)} under way" if found.under_way else ""
    return f"{found.carrier}: {found.theirs} at the carrier, {found.ours} in the ledger: {differences}{under_way}"


def _hints(answer: Reconciled) -> Iterable[str]:
    """Say what was not looked at, or could not be done."""
    found, left = answer.found, answer.left
    if found.unreadable:
        yield f"{found.carrier}: {found.unreadable} entries are not telephone numbers, and are left out"
    if left.unchecked:
        yield (
            f"{found.carrier}: {left.unchecked} were not looked up one by one, and may be right after all; "
            "--lookups looks more up"
        )
    if answer.decided.moved:
        yield f"{found.carrier}: {len(answer.decided.moved)} have moved meanwhile and were left alone; run it again"
    if answer.decided.archived:
        numbers = ", ".join(sorted(answer.decided.archived))
        yield (
            f"{found.carrier}: {numbers}: left alone, since their orders cannot be brought back from the archive "
            "(`number-orders archive undo` says why); running it again changes nothing"
        )


def _lines(found: Iterable[Comparison], lines: Callable[[Comparison], Iterable[Sequence[str]]]) -> list[Sequence[str]]:
    return [line for comparison in found for line in lines(comparison)]


def _orphans(comparison: Comparison) -> Iterable[Sequence[str]]:
    for one in comparison.orphans:
        order = f"held at {one.held_at}" if one.held_at else str(one.order_id or "none")
        shown = (clean(one.account), clean(one.status), clean(one.carrier_order_id))
        yield (one.e164, comparison.carrier, _utc(one.since), *shown, order if one.checked else "not looked up")


def _ghosts(comparison: Comparison) -> Iterable[Sequence[str]]:
    for one in comparison.ghosts:
        status = clean(one.status) if one.checked else "not looked up"
        yield one.e164, comparison.carrier, _utc(one.acquired_at), status, str(one.order_id or "none")


def _under_way(comparison: Comparison) -> Iterable[Sequence[str]]:
    for one in comparison.under_way:
        yield one.e164, comparison.carrier, _MOVEMENTS[one.movement], str(one.order_id)


def _decided(answer: Reconciled) -> Iterable[Sequence[str]]:
    for word, done in (("adopted", answer.decided.adopted), ("given up", answer.decided.given_up)):
        for e164, order_id in sorted(done.items()):
            yield word, e164, str(order_id)


def _table(columns: Sequence[str], cells: Sequence[Sequence[str]], whole: bool) -> None:
    """Print a table without its empty columns; nothing, if there are no rows."""
    if not cells:
        return
    console = screen()
    console.print()
    filled = [index for index in range(len(columns)) if any(line[index] for line in cells)]
    shown = [[line[index] for index in filled] for line in (cells if whole else cells[:_SHOWN])]
    output.rows(console, [columns[index] for index in filled], shown, whole=1)
    if len(shown) < len(cells):
        console.print(f"… and {len(cells) - len(shown)} more; --all prints them")


def _to_json(answer: Reconciled) -> dict[str, Any]:
    found = answer.found
    return {
        "theirs": found.theirs,
        "ours": found.ours,
        "orphans": [_entry(one) for one in found.orphans],
        "ghosts": [_entry(one) for one in found.ghosts],
        "under_way": [_entry(one) for one in found.under_way],
        "unreadable": found.unreadable,
        "adopted": answer.decided.adopted,
        "given_up": answer.decided.given_up,
        "moved": answer.decided.moved,
    }


def _entry(one: Orphan | Ghost | UnderWay) -> dict[str, Any]:
    return {name: clean(value) if isinstance(value, str) else value for name, value in asdict(one).items()}


def _utc(moment: Any) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else ""
