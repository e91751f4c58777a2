"""What an operator does with an order: the forms that its page offers, and carrying them out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from number_orders.fulfilment.service import OrderService
from number_orders.ledger.history import Story
from number_orders.orders.errors import NotCancellable, NotParkable, NotResolvable
from number_orders.orders.events import Adopted, Resolution, SentAgain, WrittenOff
from number_orders.orders.model import CarrierOrderId, Lane, OrderId, State
from number_orders.story.advice import Action, advice

_TEXT_MAX: Final = 1000
_TITLES: Final[Mapping[Action, str]] = {
    Action.RETRY: "Try now",
    Action.NOTIFY: "Notify its producer",
    Action.CANCEL: "Cancel",
    Action.PARK: "Park",
    Action.ADOPT: "Adopt",
    Action.SEND_AGAIN: "Send again",
    Action.CLOSE: "Close",
}
DONE: Final[Mapping[str, str]] = {
    Action.RETRY: "It is due now; the next free worker takes it.",
    Action.NOTIFY: "Its documents are sent now.",
    Action.CANCEL: "The cancellation is stored; the story shows what becomes of it.",
    Action.PARK: "The order is parked: nothing is sent or asked until a person decides.",
    Action.ADOPT: "The order follows the carrier's order now.",
    Action.SEND_AGAIN: "The order is sent again.",
    Action.CLOSE: "The order is closed.",
}
"""What the page says when an action was carried out."""
_NEEDS_WHY: Final = frozenset(Action) - {Action.RETRY, Action.NOTIFY}
_MOVES_MONEY: Final = frozenset({Action.ADOPT, Action.SEND_AGAIN, Action.CLOSE})


@dataclass(frozen=True, slots=True)
class ActionForm:
    """One action that makes sense now, as a form."""

    action: Action
    title: str
    when: str
    """The case that it is for."""
    command: str
    """The same on the command line."""
    needs_why: bool
    needs_key: bool
    """Money can move: the operator types the order's key."""
    carrier_order_id: str | None = None
    asks_carrier_order_id: bool = False


class ActionRefused(Exception):
    """The action was not carried out, for this reason."""


def forms(story: Story, orders: OrderService) -> Iterator[ActionForm]:
    """Yield the actions that make sense for an order now, the likeliest first."""
    for each in advice(story, orders.cancellation(story.order)):
        yield ActionForm(
            each.action,
            _TITLES[each.action],
            each.when,
            each.command,
            needs_why=each.action in _NEEDS_WHY,
            needs_key=needs_key(each.action, story.order.state),
            carrier_order_id=each.carrier_order_id,
            asks_carrier_order_id=each.action is Action.ADOPT and each.carrier_order_id is None,
        )


def needs_key(action: Action, state: State) -> bool:
    """Tell whether money can move by an action: something may be bought, kept, or called back at the carrier."""
    return action in _MOVES_MONEY or (action is Action.CANCEL and state is State.OPEN)


async def carry_out(orders: OrderService, story: Story, action: Action, fields: Mapping[str, str], *, by: str) -> None:
    """Carry out an action in the operator's name.

    Raises:
        ActionRefused: A field is missing or wrong, or the order does not allow it now.
        UnknownOrder: There is no such order.
    """
    order = story.order  # what is checked here holds for this version only, so nothing else is acted upon
    why = _text(fields, "why", needed=action in _NEEDS_WHY)
    if needs_key(action, order.state):
        _check_confirmed(story, fields)
    try:
        match action:
            case Action.RETRY:
                await _retry(orders, order.order_id, by, why, None)
            case Action.NOTIFY:
                await _retry(orders, order.order_id, by, why, Lane.TELL)
            case Action.CANCEL:
                await orders.cancel(order.order_id, by=by, why=why, expected_version=order.version)
            case Action.PARK:
                await orders.park(order.order_id, by=by, why=why or "")
            case Action.ADOPT | Action.SEND_AGAIN | Action.CLOSE:
                decision = _decision(action, fields, by, why or "")
                await orders.resolve(order.order_id, decision, expected_version=order.version)
    except (NotCancellable, NotParkable, NotResolvable) as refusal:
        raise ActionRefused(str(refusal)) from refusal


def _decision(action: Action, fields: Mapping[str, str], by: str, why: str) -> Resolution:
    match action:
        case Action.ADOPT:
            theirs = _text(fields, "carrier_order_id", needed=True) or ""
            return Adopted(CarrierOrderId(theirs), by, why)
        case Action.SEND_AGAIN:
            return SentAgain(by, why)
        case _:
            return WrittenOff(by, why)


def read_reason(fields: Mapping[str, str]) -> str:
    """Return the reason that a form gives.

    Raises:
        ActionRefused: It gives none.
    """
    return _text(fields, "why", needed=True) or ""


def _check_confirmed(story: Story, fields: Mapping[str, str]) -> None:
    """Check that the operator has typed the key of this order, and has seen how it stands.

    Raises:
        ActionRefused: He has not.
    """
    if fields.get("key", "").strip() != story.order.request.key.strip():
        raise ActionRefused("Money can move, so type the order's key exactly as it stands above. Nothing was done.")
    if fields.get("version") != str(story.order.version):
        raise ActionRefused("The order has moved since you loaded the page. Look at it again. Nothing was done.")


async def _retry(orders: OrderService, order_id: OrderId, by: str, why: str | None, lane: Lane | None) -> None:
    for outcome in await orders.retry([order_id], by, why, lane):
        if outcome.refusal:
            raise ActionRefused(f"Nothing was done: {outcome.refusal}.")


def _text(fields: Mapping[str, str], name: str, *, needed: bool) -> str | None:
    """Return a field as one printable line; None if it is empty.

    Raises:
        ActionRefused: It is needed and empty, too long, or not printable.
    """
    words = {"why": "the reason", "carrier_order_id": "the carrier's id"}[name]
    text = " ".join(fields.get(name, "").split())
    if not text.isprintable() or len(text) > _TEXT_MAX:
        raise ActionRefused(f"Give {words} as one printable line of at most {_TEXT_MAX} characters.")
    if needed and not text:
        raise ActionRefused(f"Give {words}. Nothing was done.")
    return text or None
