"""Find an order at Swift of which the ledger has forgotten what was done: by our reference, among all orders.

Swift does not say which numbers an order brought; time does. We check out one purchase of an account after the other,
so what came between the checkout of an order and that of our next purchase belongs to it.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from number_orders.carriers.found_content import parked_with_both
from number_orders.carriers.swift.answers import Pages, is_ours
from number_orders.carriers.swift.facts import (
    BUYS,
    CLOCK_DIFFERENCE_MAX,
    CONTENT_IN_NAME,
    ORDER_PAGES_MAX,
    OUR_NAME,
    REFERENCE_IN_NAME,
    Status,
)
from number_orders.carriers.swift.json import OrderView, content_in_name, read_listed_order
from number_orders.carriers.swift.steps import Steps
from number_orders.orders.errors import NoAnswer
from number_orders.orders.events import Acknowledged, FoundTwice, NotListed, Parked
from number_orders.orders.model import CarrierOrderId, Kind, Order

KEYS_RETURN_WITHIN: Final = timedelta(minutes=15)
"""How long after a fall producers may take to send again the keys whose ends they do not know."""
_NEVER: Final = datetime.min.replace(tzinfo=UTC)
_OPEN: Final = frozenset({None, Status.NEW, Status.PROCESSING})


def all_orders() -> Pages[OrderView]:
    """Return an empty collection of the account's orders."""
    return Pages(_read_order, pages_max=ORDER_PAGES_MAX)


def find_forgotten(
    order: Order,
    listed: Pages[OrderView],
    *,
    now: datetime,
    settle_after: timedelta,
    ended: Collection[str] = (),
) -> OrderView | FoundTwice | NotListed | Parked:
    """Return the one order with our reference. Of a removal in parts, the latest part is the one under way.

    Args:
        order: Our order.
        listed: The account's orders.
        now: The ledger's time.
        settle_after: How long after the end of a purchase numbers may still come.
        ended: References of purchases that have ended in the ledger. It waits for no numbers of theirs.

    Raises:
        NoAnswer: It is not there, and another purchase of ours may still bring numbers that the ledger has forgotten
            too. If this one were sent now, nobody could tell their numbers apart.
    """
    found = sorted((view for view in listed.items if is_ours(order, view)), key=_made_at)
    if not found:
        under_way = purchases_under_way(order, listed.items, now, settle_after)
        blocking = next((view for view in under_way if reference_of(view) not in ended), None)
        if blocking is not None:
            raise NoAnswer(
                f"our purchase {blocking.order_id}, which the ledger may have forgotten, may still bring numbers"
            )
        looked_at = "the list of orders by our reference" if listed.is_whole else "a part of the list of orders"
        return NotListed(looked_at, resend=listed.is_whole)
    for view in found:
        content = _content(view)
        if content not in {None, content_in_name(order.request)}:
            return parked_with_both(order, CarrierOrderId(str(view.order_id)))
    if len(found) > 1 and order.request.kind is not Kind.REMOVE_NUMBERS:
        return FoundTwice(tuple(CarrierOrderId(str(view.order_id)) for view in found))
    return found[-1]


def purchases_under_way(
    order: Order, listed: Iterable[OrderView], now: datetime, settle_after: timedelta
) -> list[OrderView]:
    """Return the other purchases of before the fall that may bring numbers. Later ones hold their serial lock.

    There are none if the order is listed itself, buys nothing by criteria, or has ended.
    """
    listed = tuple(listed)
    if order.request.kind is not Kind.NEW_NUMBERS or order.ended_at or any(is_ours(order, view) for view in listed):
        return []
    made_until = (order.history_lost_at or now) + CLOCK_DIFFERENCE_MAX
    return [
        view
        for view in listed
        if _is_purchase(view) and _made_at(view) <= made_until and not _is_over(view, now, settle_after)
    ]


def reference_of(view: OrderView) -> str | None:
    """Return the reference that an order of ours has, or has in its name."""
    named = REFERENCE_IN_NAME.match(view.name or "")
    return view.reference or (named[1] if named else None)


def begun_before_fall(order: Order, steps: Steps) -> bool:
    """Return whether the ledger may have forgotten purchases that came after this one, and their numbers."""
    fell_at = order.history_lost_at
    return fell_at is not None and not order.request.numbers and (steps.begun_at is None or steps.begun_at < fell_at)


def next_purchase_at(found: OrderView, listed: Iterable[OrderView]) -> datetime | None:
    """Return when our next purchase on the account was checked out; None if there is none, or no time is shown."""
    return min(purchases_after(found, listed).values(), default=None)


def purchases_after(found: OrderView, listed: Iterable[OrderView]) -> dict[OrderView, datetime]:
    """Return our later purchases on the account, and when each was checked out; none if no time is shown."""
    since = _made_at(found)
    if since is _NEVER:
        return {}
    purchases = ((view, _made_at(view)) for view in listed if (_content(view) or "").startswith(BUYS))
    return {view: made_at for view, made_at in purchases if made_at > since}


def steps_of_forgotten(steps: Steps, found: OrderView, listed: Iterable[OrderView]) -> Steps:
    """Return the steps with the time in which the numbers of the order that was found have come."""
    known = None if _made_at(found) is _NEVER else _made_at(found)
    return replace(steps.without_cart(), cart_made_at=known, until=next_purchase_at(found, listed))


def adopt(found: OrderView) -> Acknowledged:
    """Return the event of the order that was found."""
    return Acknowledged(CarrierOrderId(str(found.order_id)), found.status)


def _read_order(item: Mapping[str, Any]) -> OrderView | None:
    view = read_listed_order(item)
    return view if view.order_id else None


def _is_over(view: OrderView, now: datetime, settle_after: timedelta) -> bool:
    return view.status not in _OPEN and view.changed_at is not None and view.changed_at + settle_after <= now


def _is_purchase(view: OrderView) -> bool:
    """Return whether this is a purchase of ours. Old names do not say what is ordered."""
    return bool(OUR_NAME.match(view.name or "")) and (_content(view) or BUYS).startswith(BUYS)


def _made_at(view: OrderView) -> datetime:
    return view.checked_out_at or view.inserted_at or _NEVER


def _content(view: OrderView) -> str | None:
    shown = CONTENT_IN_NAME.match(view.name or "")
    return shown[1] if shown else None
