"""Checks of carriers' notices: whether any are wanted, subscribed to, and come."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from config.settings import PREFIX, Settings
from number_orders.carriers.notices import SendsNotices
from number_orders.carriers.subscriptions import Subscription, TakesSubscriptions
from number_orders.cli.doctor.checks import Check, Verdict
from number_orders.cli.exits import Stop
from number_orders.cli.output import clean
from number_orders.cli.services import open_ledger
from number_orders.ledger.notices import NoticeCount
from number_orders.orders.errors import Declined, FulfilmentError, LedgerUnavailable, NoAnswer, UnreadableAnswer
from number_orders.orders.model import CarrierName
from number_orders.story import times
from workers.carriers import ConfiguredCarrier, configured_carriers

_SINCE: Final = timedelta(days=1)
_RENEW: Final = "`number-orders subscriptions renew` makes them, and beat does so every ten minutes"


def check_notices(settings: Settings) -> list[Check]:
    """Show what each carrier that sends notices has sent for a day, and how its subscriptions stand."""
    senders = {
        name: carrier
        for name, carrier in configured_carriers(settings).items()
        if isinstance(carrier.adapter, SendsNotices)
    }
    if not senders:
        return []
    if settings.public_url is None:
        says = f"none wanted, since {PREFIX}PUBLIC_URL is not set; orders are asked about at intervals"
        return [Check("notices", Verdict.GOOD, says)]
    counts = asyncio.run(_counts(settings))
    return [_check_carrier(carrier, counts.get(name)) for name, carrier in senders.items()]


async def _counts(settings: Settings) -> dict[CarrierName, NoticeCount]:
    """Return what has come; nothing, if the ledger cannot be read, which another check reports."""
    try:
        async with open_ledger(settings) as ledger:
            return {count.carrier: count for count in await ledger.notices.counts(_SINCE)}
    except (LedgerUnavailable, Stop):
        return {}


def _check_carrier(carrier: ConfiguredCarrier, count: NoticeCount | None) -> Check:
    came = _came(carrier.adapter.name, count)
    if carrier.subscription is None and carrier.addresses is None:
        wanted = _MISSING[carrier.adapter.notices.per_order] if isinstance(carrier.adapter, SendsNotices) else ""
        return Check("notices", Verdict.LOOK, f"{carrier.adapter.name}: none are taken", wanted)
    if carrier.subscription is None or not isinstance(carrier.adapter, TakesSubscriptions):
        return _judged(came, count)
    try:
        found = asyncio.run(_subscriptions(carrier))
    except (Declined, NoAnswer, UnreadableAnswer) as trouble:
        return Check("notices", Verdict.WRONG, f"{came}; subscriptions: {clean(_words(trouble))}", _RENEW)
    ours = [one for one in found if one.url == carrier.subscription.url and one.order_id is None]
    missing = [topic for topic in carrier.adapter.subscriptions.topics if topic not in {one.topic for one in ours}]
    says = f"{came}; " + ", ".join(_subscription_lines(ours, missing))
    return Check("notices", Verdict.WRONG, says, _RENEW) if missing else _judged(says, count)


_MISSING: Final = {
    True: f"set {PREFIX}NOTICE_SECRET, the same for workers and receivers (docs/notices.md)",
    False: "set the carrier's NOTICE_PASSWORD, the same for workers and receivers (docs/notices.md)",
}
"""What is not set, by whether each order has an address of its own."""


def _judged(says: str, count: NoticeCount | None) -> Check:
    if count is not None and count.unreadable:
        return Check("notices", Verdict.LOOK, says, "see `unreadable_notice` in the runbook")
    return Check("notices", Verdict.GOOD, says)


def _came(name: CarrierName, count: NoticeCount | None) -> str:
    if count is None:
        return f"{name}: none came for a day"
    parts = (f"{count.notices} for a day", f"the last at {count.last_at:%Y-%m-%d %H:%M:%S} UTC", *_peculiar(count))
    return f"{name}: {', '.join(parts)}"


def _peculiar(count: NoticeCount) -> Iterator[str]:
    if count.copies > count.notices:
        yield f"{count.copies - count.notices} copies"
    if count.waiting:
        yield f"{count.waiting} about no order of ours"
    if count.unreadable:
        yield f"{count.unreadable} unreadable"


def _subscription_lines(ours: Sequence[Subscription], missing: Sequence[str]) -> Iterator[str]:
    for one in ours:
        left = "" if one.expires_in is None else f" for {times.span(one.expires_in)}"
        yield f"subscribed to {clean(one.topic)}{left}{f' ({clean(one.status)})' if one.status else ''}"
    for topic in missing:
        yield f"NOT subscribed to {topic}"


async def _subscriptions(carrier: ConfiguredCarrier) -> tuple[Subscription, ...]:
    assert isinstance(carrier.adapter, TakesSubscriptions), "the caller has looked"
    courier = carrier.courier()
    try:
        return await courier.inquire(carrier.adapter.subscriptions.all())
    finally:
        await courier.aclose()


def _words(trouble: FulfilmentError) -> str:
    return trouble.words if isinstance(trouble, Declined) else str(trouble)
