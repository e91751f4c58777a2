"""Explains one order in plain words: what happened, what it waits for and until when, and what a person can do.

Pure: reads only the story, the present time included. Decides nothing; `number_orders.orders.lifecycle` does.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from number_orders.carriers.cancellation import Cancellation
from number_orders.ledger.history import Story
from number_orders.ledger.pauses import HeldBy, Hold
from number_orders.ledger.schedule import ListWait, WorkItem
from number_orders.orders import events
from number_orders.orders.events import event_type
from number_orders.orders.model import Kind, Lane, NumberState, State, count_done
from number_orders.orders.numbers import count_in_words
from number_orders.story import times
from number_orders.story.notifications import notification_sentences

Sentences = Iterator[str]

_LONG_DUE: Final = timedelta(seconds=15)
"""Work that has been due for this long was not claimed, because the sweep rings every second."""
_AFTER_RECONCILIATION: Final = (events.NumbersAdopted, events.NumbersGivenUp)
_NAMED: Final = 10
"""How many waiting numbers are listed."""
_PURPOSES: Final[Mapping[Kind, tuple[str, str]]] = MappingProxyType(
    {
        Kind.NEW_NUMBERS: ("It orders ", "from"),
        Kind.ADD_MESSAGING_NUMBERS: ("It orders messaging for ", "at"),
        Kind.REMOVE_NUMBERS: ("It removes ", "at"),
    }
)
_DOCTOR: Final = "`number-orders doctor` shows whether any runs"


def explain(story: Story, cancellation: Cancellation = Cancellation.UNKNOWN) -> list[str]:
    """Return what a person should know about an order, one sentence each; `cancellation` is that of an open order."""
    return [
        _introduction(story),
        *_BY_STATE[story.order.state](story),
        *_options(story, cancellation),
        *_remarks(story),
    ]


def summarize(story: Story) -> list[str]:
    """Return the same without whose order it is and what a person can do, for output that shows both beside it."""
    return [*_BY_STATE[story.order.state](story), *_remarks(story)]


def done_count(story: Story) -> int:
    """Return how many numbers are done: acquired, or released if the order removes them."""
    return count_done(story.order, story.numbers)


def done_word(story: Story) -> str:
    """Return what became of the numbers that `done_count` counts."""
    return "released" if _removes(story) else "there"


def _done_numbers(story: Story) -> str:
    return f"{done_count(story)} of {story.order.request.wanted} numbers are {done_word(story)}"


def _removes(story: Story) -> bool:
    return story.order.request.kind is Kind.REMOVE_NUMBERS


def _done_verb(story: Story) -> str:
    return "released" if _removes(story) else "bought"


def _nothing_done(story: Story) -> str:
    return "nothing was released" if _removes(story) else "nothing was bought"


def _introduction(story: Story) -> str:
    """Say whose order it is, and for what."""
    request = story.order.request
    named = f"{story.producer}, under the key {request.key}"
    if _is_born_ended(story):
        return f"It is an order of {named}."
    what, where = _PURPOSES[request.kind]
    return f"{what}{count_in_words(request.wanted)} {where} {request.carrier} for {named}."


def _accepted(story: Story) -> Sentences:
    order, news = story.order, _latest(story)
    ago, why = _ago(story, news), _detail(news, "reason")
    wanted, work_item = order.request.not_before, _work_item(story, Lane.SUBMIT)
    match _type(news):
        case events.NotSent if work_item and work_item.waits_for_list:
            yield f"It was begun {ago}, and has not been sent yet."
        case events.NotSent:
            yield f"The last attempt to send it failed {ago}: {why}."
            yield f"{_nothing_done(story).capitalize()}, so it is safe to send it again."
        case events.ProvenAbsent:
            yield f"It was searched for at {_carrier(story)} ({_detail(news, 'looked')}) and never arrived there."
            yield f"{_nothing_done(story).capitalize()}, so it is safe to send it again."
        case events.SentAgain:
            yield f"{_detail(news, 'by')} made sure that {_nothing_done(story)} and wants it sent again{_reason(news)}."
        case events.Deferred:
            yield f"A rule of {_carrier(story)} holds it back: {why}."
            yield from _held_back(story)
        case events.PartSettled:
            yield f"{_done_numbers(story)}; the rest goes later: {why}."
            yield from _held_back(story)
        case _:
            yield f"It was accepted {ago}, and nothing has been sent to {_carrier(story)}."
    if wanted and wanted > story.now:
        yield "Its producer asked for it to be sent later."
    elif work_item and work_item.not_before > story.now and work_item.reason and _type(news) is events.OrderAccepted:
        yield f"It {work_item.reason}."
    yield from _due(story, Lane.SUBMIT)


def _submitting(story: Story) -> Sentences:
    order, carrier = story.order, _carrier(story)
    yield f"A worker began to send it {_ago(story, _latest(story))} (attempt {order.sends}) and has no answer yet."
    work_item = _work_item(story, Lane.ASK)
    if work_item and not work_item.in_hand and work_item.not_before > story.now:
        until = times.both(work_item.not_before, story.now)
        yield f"If there is none by {until}, it is in doubt: {carrier} is asked, and nothing is sent again before that."
    else:
        yield from _due(story, Lane.ASK)
    yield f"It cannot be cancelled now, because {carrier} may have it."


def _in_doubt(story: Story) -> Sentences:
    order, carrier = story.order, _carrier(story)
    lost = _latest(story, events.AnswerLost, events.SubmissionBegun)
    why = _detail(lost, "reason") or "two workers began to send it, and neither answer is known"
    yield f"Nobody knows whether {carrier} has it: {why} ({_ago(story, lost)})."
    risk = "Its numbers may have been released" if _removes(story) else "It may have been bought"
    yield f"{risk}, so it is not sent again before {carrier}'s records are searched long enough."
    looked = _detail(_latest(story, events.NotListed), "looked")
    if order.doubt_asks:
        yield f"Searched {_times(order.doubt_asks)} so far ({looked}): not on record, which proves little so soon."
    yield from _due(story, Lane.ASK)
    yield "It will be found, sent again, or parked for a person; until then you need not do anything."
    yield f"To look for it at {carrier} yourself, search for our reference {order.reference}."


def _open(story: Story) -> Sentences:
    order, carrier, word = story.order, _carrier(story), _latest(story, events.StillOpen)
    news = _latest(story)
    if _type(news) is events.Adopted:
        yield f"{_detail(news, 'by')} found it at {carrier} {_ago(story, news)}{_reason(news)}."
    status = f"; the last status was {order.carrier_status}" if order.carrier_status else ""
    yield f"{carrier} has it as order {order.carrier_order_id}{status}."
    if _detail(word, "unheard_of"):
        yield "That status is in none of the carrier's documents: it counts as open, and an alarm was raised."
    if _detail(word, "slow"):
        yield f"It waits for stock or for people at {carrier}, which takes days rather than seconds."
    if detail := _detail(word, "detail"):
        yield f"{carrier} says: {detail}."
    if done_count(story):
        yield f"{_done_numbers(story)} already."
    yield from _due(story, Lane.ASK)
    cancel = _latest(story, events.CancelAsked)
    if cancel:
        yield f"{_detail(cancel, 'by')} asked to cancel it {_ago(story, cancel)}{_reason(cancel)}."
        yield f"{carrier} decides whether it is cancelled: it is asked until it says how the order ended."
    else:
        need = "" if _is_paused(story, Lane.ASK) else "You need not do anything: "
        yield f"{need}{carrier} is asked until it says how the order ended."


def _parked(story: Story) -> Sentences:
    order, carrier, news = story.order, _carrier(story), _latest(story)
    if _type(news) is events.SetAside:
        yield f"{_detail(news, 'by')} parked it {_ago(story, news)}{_reason(news)}."
        if waited := _detail(news, "waited"):
            yield f"Until then it was waiting: {waited}."
    else:
        yield f"It was parked {_ago(story, news)} for a person to decide: {order.reason}."
    yield "Nothing is sent for it, and nothing asked, until a person decides."
    if order.sends:
        lost = f"; answers lost: {order.losses}" if order.losses else ""
        yield f"It was sent {_times(order.sends)}{lost}."
    if order.carrier_order_id:
        yield f"We know it at {carrier} as order {order.carrier_order_id}."
    if done_count(story):
        yield f"{_done_numbers(story)} already."
    yield f"Look at {carrier} for orders with our reference {order.reference}, and for what they {_done_verb(story)}."


def _completed(story: Story) -> Sentences:
    wanted = story.order.request.wanted
    numbers = "The number is" if wanted == 1 else f"All {wanted} numbers are"
    if _latest(story, events.NumbersGivenUp):
        numbers = _done_numbers(story).removesuffix(f" {done_word(story)}")
    if _is_born_ended(story):
        them = "it" if wanted == 1 else "them"
        yield f"{numbers} {done_word(story)}. Nothing was ordered: {_carrier(story)} had {them} as ours already."
    else:
        yield f"{numbers} {done_word(story)}: {_carrier(story)} completed the order {_took(story)}."


def _partial(story: Story) -> Sentences:
    order, news = story.order, _latest(story)
    if _type(news) is events.CutShort:
        yield f"{_detail(news, 'by')} closed it {_ago(story, news)}{_reason(news)}. {_done_numbers(story)}."
        yield from _goes_on(story)
    elif (order.reason or "").startswith(f"{done_count(story)} of {order.request.wanted} numbers "):
        yield f"{_carrier(story)} ended it: {order.reason}."
    else:
        yield f"{_carrier(story)} ended it with {_done_numbers(story).replace(' are ', ' ')}: {order.reason}."
    yield from _failures(story)
    yield f"It ended {_took(story)}. {_order_again(story, 'For the rest, submit a new order')}"


def _with_errors(story: Story) -> Sentences:
    order, news = story.order, _latest(story)
    if _type(news) is events.TakenAsItIs:
        yield f"{_detail(news, 'by')} closed it {_ago(story, news)} before {_carrier(story)} did{_reason(news)}."
    else:
        yield f"{_carrier(story)} says that it is done, but: {order.reason}."
    yield f"{_done_numbers(story)}."
    yield from _failures(story)
    yield f"It ended {_took(story)}. Look at each number before you order the rest again."


def _failed(story: Story) -> Sentences:
    news = _latest(story)
    if _type(news) is events.WrittenOff:
        yield f"{_detail(news, 'by')} closed it as failed {_ago(story, news)}{_reason(news)}."
        yield from _goes_on(story)
        return
    code = f" (code {_detail(news, 'code')})" if _detail(news, "code") else ""
    yield f"{_carrier(story)} refused it: {story.order.reason}{code}."
    yield from _failures(story)
    done = done_count(story)
    nothing = f"As far as is known, {_nothing_done(story)}" if _look_owed(story) else _nothing_done(story).capitalize()
    yield f"{f'Yet {_done_numbers(story)}' if done else nothing}. It ended {_took(story)}."
    yield _order_again(story, "When the cause is repaired, submit it again")


def _cancelled(story: Story) -> Sentences:
    asked, cancelled = _latest(story, events.CancelAsked), _latest(story, events.CalledBack)
    if asked:
        did = "asked to cancel it" if cancelled else "cancelled it"
        yield f"{_detail(asked, 'by')} {did} {_ago(story, asked)}{_reason(asked)}."
    if cancelled:
        yield f"{_carrier(story)} cancelled it {_ago(story, cancelled)}: {_detail(cancelled, 'reason')}."
    yield f"Yet {_done_numbers(story)}." if done_count(story) else f"{_nothing_done(story).capitalize()}."


_BY_STATE: Final[Mapping[State, Callable[[Story], Sentences]]] = MappingProxyType(
    {
        State.ACCEPTED: _accepted,
        State.SUBMITTING: _submitting,
        State.IN_DOUBT: _in_doubt,
        State.OPEN: _open,
        State.PARKED: _parked,
        State.COMPLETED: _completed,
        State.PARTIAL: _partial,
        State.COMPLETED_WITH_ERRORS: _with_errors,
        State.FAILED: _failed,
        State.CANCELLED: _cancelled,
    }
)


def _options(story: Story, cancellation: Cancellation) -> Sentences:
    """Say what a person can do; `number_orders.story.advice` has all commands."""
    order, cancel = story.order, f"`number-orders cancel {story.order.order_id}`"
    match order.state:
        case State.ACCEPTED:
            yield f"Until it is sent, it can be cancelled: {cancel}."
        case State.OPEN if not order.cancel_asked_at:
            yield from _cancel_option(_carrier(story), cancellation, cancel)
        case State.PARKED:
            yield "Then decide with `number-orders resolve`."


def _cancel_option(carrier: str, cancellation: Cancellation, command: str) -> Sentences:
    match cancellation:
        case Cancellation.OFFERED:
            yield f"{carrier} can be asked to cancel it: {command}."
        case Cancellation.ONCE_BACKORDERED:
            yield f"{carrier} cancels only what is backordered: {command} has it cancelled if it is, or when it is."
        case Cancellation.NONE:
            yield f"{carrier} cannot cancel it."
        case Cancellation.UNKNOWN:
            pass


def _remarks(story: Story) -> Sentences:
    yield from _retry_request(story)
    yield from _late_news(story)
    yield from _late_look(story)
    yield from _reconciled(story)
    yield from notification_sentences(story)
    yield from _archived(story)


def _archived(story: Story) -> Sentences:
    """Say that the order is in the archive, and what follows from that."""
    if story.archived_at is None:
        return
    if story.purged_at:
        purged = times.at(story.purged_at, story.now)
        yield f"It is in the archive, which deleted its story on {purged}; its key, end and numbers stay."
        return
    since = times.at(story.archived_at, story.now)
    yield f"It has been in the archive since {since}, so its documents cannot be sent again."
    yield f"`number-orders archive undo {story.order.order_id}` brings it back as it was."


def _due(story: Story, lane: Lane) -> Sentences:
    """Say when a worker takes the order next, and what delays it."""
    work_item, now = _work_item(story, lane), story.now
    if work_item is None:
        yield "No work is scheduled for it, so it will never move: this is a bug, and a person has to look."
        return
    if work_item.attempts > 1 and lane is Lane.ASK:
        yield f"Asked {_times(work_item.attempts)} without news{_trouble(work_item)}."
    if work_item.in_hand and work_item.not_before > now:
        lease = times.both(work_item.not_before, now)
        yield f"A worker is working on it now; if that worker dies, another takes over at {lease}."
        return
    for hold in work_item.holds:
        yield from _held_by(story, lane, hold)
    if work_item.waits_for_list:
        yield from _list_wait(story, work_item.waits_for_list, work_item.not_before)
    elif not _is_paused(story, lane):
        yield _next_step(
            story, lane, max([work_item.not_before, *(hold.until for hold in work_item.holds if hold.until)])
        )


def _list_wait(story: Story, wait: ListWait, at_latest: datetime) -> Sentences:
    """Say which list the order waits for, how far it is read, and when it goes on."""
    yield f"It waits until {_carrier(story)}'s list {wait.list_name} is read whole, once for all orders that wait."
    trouble = f"; the last attempt to read on failed: {wait.trouble}" if wait.trouble else ""
    yield f"Pages read so far: {wait.pages}{trouble}."
    yield f"It goes on when the last one is read, or at {times.both(at_latest, story.now)}."


def _is_paused(story: Story, lane: Lane) -> bool:
    work_item = _work_item(story, lane)
    return work_item is not None and any(hold.held_by is HeldBy.PERSON for hold in work_item.holds)


def _held_by(story: Story, lane: Lane, hold: Hold) -> Sentences:
    """Say what holds the order back, and what ends that."""
    carrier, why = _carrier(story), f": {hold.why}" if hold.why else ""
    until = times.both(hold.until, story.now) if hold.until else "then"
    match hold.held_by:
        case HeldBy.PERSON:
            since = times.when(hold.since or story.now, story.now)
            yield f"{hold.who} paused {carrier}'s lane {lane} {since}{why}."
            yield f"Nothing happens there until somebody types `number-orders resume {carrier} {lane}`."
        case HeldBy.BREAKER if hold.until and hold.until > story.now:
            yield f"{carrier} could not be reached several times in a row{why}."
            yield f"Nothing is sent there until {until}."
            yield "Then one order tries; the others follow when it gets an answer."
        case HeldBy.BREAKER:
            yield f"{carrier} could not be reached several times in a row{why}."
            yield "One order tries; the others wait for its answer."
        case HeldBy.LIMIT:
            yield f"{carrier} wants no {hold.limit_group} requests until {until}{why}."


def _next_step(story: Story, lane: Lane, due: datetime) -> str:
    action, now = _action(story, lane), story.now
    if due > now:
        return f"Next, a worker {action} at {times.both(due, now)}."
    if now - due > _LONG_DUE:
        return f"It has been due for {times.span(now - due)} and no worker has taken it: {_DOCTOR}."
    return f"It is due now: the next free worker {action}."


def _action(story: Story, lane: Lane) -> str:
    match lane:
        case Lane.SUBMIT:
            return f"sends it to {_carrier(story)}"
        case Lane.ASK:
            return f"asks {_carrier(story)} about it"
        case Lane.TELL:
            return "notifies its producer"


def _retry_request(story: Story) -> Sentences:
    """Say who asked for a retry, unless something has happened since."""
    last: Mapping[str, Any] = next((row for row in reversed(story.events) if not row["late"]), {})
    if _type(last) is events.Hurried:
        yield f"{_detail(last, 'by')} asked for a retry {_ago(story, last)}{_reason(last)}."


def _late_news(story: Story) -> Sentences:
    late = [row for row in story.events if row["late"] and not issubclass(_type(row), events.Reminder)]
    if late:
        times_heard = "" if len(late) == 1 else f"{len(late)} times, the last "
        yield f"News from {_carrier(story)} came {times_heard}{_ago(story, late[-1])}, too late to change anything."


def _late_look(story: Story) -> Sentences:
    """Say of an ended order what was found out since, and when its carrier is asked once more."""
    found, work_item = _latest(story, events.LookedAgain), _work_item(story, Lane.ASK)
    if found and story.order.state.is_final:
        yield f"{_carrier(story)} was asked once more {_ago(story, found)}: {_detail(found, 'detail')}."
    if work_item is not None and story.order.state.is_final:
        again = times.both(work_item.not_before, story.now)
        why = f" ({work_item.reason})" if work_item.attempts else ""
        yield f"{_carrier(story)} is asked once more at {again}: it may have bought more than is known{why}."


def _look_owed(story: Story) -> bool:
    """Tell whether the carrier of an ended order is asked once more what it has bought."""
    return story.order.state.is_final and _work_item(story, Lane.ASK) is not None


def _goes_on(story: Story) -> Sentences:
    """Say of an order that a person closed that its carrier may work on it, unless it was asked since."""
    if story.order.may_be_at_carrier and (_look_owed(story) or not _latest(story, events.LookedAgain)):
        yield f"{_carrier(story)} was not told, and may still work on it."


def _order_again(story: Story, what: str) -> str:
    """Say how to order what did not come, and that it must first be known not to come."""
    closed = issubclass(_type(_latest(story)), events.ClosedByPerson)
    if _look_owed(story) or (closed and any(_goes_on(story))):
        return f"Before you order the rest again, make sure at {_carrier(story)} that nothing more of it is done there."
    return f"{what} with a new key."


def _is_born_ended(story: Story) -> bool:
    """Tell whether the order was made for numbers that were adopted, and never sent."""
    return not story.order.sends and bool(_latest(story, events.NumbersAdopted))


def _reconciled(story: Story) -> Sentences:
    """Say which numbers people adopted or gave up since the end."""
    for row in story.events:
        if issubclass(_type(row), _AFTER_RECONCILIATION):
            did = "adopted" if _type(row) is events.NumbersAdopted else "gave up"
            named = _detail(row, "numbers") or ()
            count = named if isinstance(named, str) else count_in_words(len(named))
            yield f"{_detail(row, 'by')} {did} {count} {_ago(story, row)}{_reason(row)}."


def _held_back(story: Story) -> Sentences:
    """Say for each waiting number what it waits for."""
    waiting = [result for result in story.numbers if result.state is NumberState.REQUESTED and result.text]
    for result in waiting[:_NAMED]:
        yield f"{result.e164}: {result.text}."
    if len(waiting) > _NAMED:
        more = f"{len(waiting) - _NAMED} more numbers wait"
        yield f"{more}: `number-orders show {story.order.order_id} --all` lists them."


def _failures(story: Story) -> Sentences:
    """Say why numbers failed, the most frequent reasons first, without what the order's reason says already."""
    said = story.order.reason or ""
    causes = Counter(
        " ".join(filter(None, (result.code, result.text))) or "without a reason"
        for result in story.numbers
        if result.state is NumberState.FAILED and not (result.text and result.text in said)
    )
    if causes:
        commonest = "; ".join(f"{count} with {cause}" for cause, count in causes.most_common(3))
        more = "; and more" if len(causes) > 3 else ""  # noqa: PLR2004  the number of reasons given
        yield f"Numbers that failed: {commonest}{more}."


def _latest(story: Story, *kinds: type) -> Mapping[str, Any]:
    """Return the last event that moved the order, of these kinds if any are given; empty if there is none."""
    others = events.Reminder if kinds else (events.Reminder, events.LookedAgain, *_AFTER_RECONCILIATION)
    moves = (row for row in reversed(story.events) if not row["late"] and not issubclass(_type(row), others))
    return next((row for row in moves if not kinds or issubclass(_type(row), kinds)), {})


def _type(row: Mapping[str, Any]) -> type:
    return event_type(row.get("event", ""))


def _work_item(story: Story, lane: Lane) -> WorkItem | None:
    return next((work_item for work_item in story.work_items if work_item.lane is lane), None)


def _detail(row: Mapping[str, Any], name: str) -> Any:
    return row.get("detail", {}).get(name)


def _reason(row: Mapping[str, Any]) -> str:
    why = _detail(row, "why")
    return f": {why}" if why else ""


def _trouble(work_item: WorkItem) -> str:
    return f" ({work_item.reason})" if work_item.reason else ""


def _at(story: Story, row: Mapping[str, Any]) -> datetime:
    moment: datetime = row.get("at", story.order.accepted_at)
    return moment


def _ago(story: Story, row: Mapping[str, Any]) -> str:
    return times.when(_at(story, row), story.now)


def _took(story: Story) -> str:
    ended = story.order.ended_at or story.now
    return f"{times.span(ended - story.order.accepted_at)} after it was accepted, {times.when(ended, story.now)}"


def _carrier(story: Story) -> str:
    return story.order.request.carrier


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
