"""Keep the subscriptions to carriers' notices: make those that are missing, and renew those that will expire.

A subscription is ours if it has our address and is about all orders. Others on the account are left alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Final, Protocol

import structlog

from number_orders.carriers.contract import Inquiry
from number_orders.carriers.subscriptions import Subscription, Subscriptions, TakesSubscriptions, WantedSubscription
from number_orders.fulfilment.carrier import Carrier
from number_orders.fulfilment.inquirer import Inquirer, InquiryStores
from number_orders.fulfilment.lanes.rate import LedgerClock
from number_orders.fulfilment.watch import REPEAT_AFTER, WatchAlarms
from number_orders.orders.alarms import Alarm
from number_orders.orders.errors import Declined, NoAnswer, UnreadableAnswer

log = structlog.get_logger(__name__)

_RENEWED_BELOW: Final = 0.5
"""A subscription is renewed when less than this part of its time is left."""


class SubscriptionStores(InquiryStores, Protocol):
    """The parts of the ledger that subscriptions use."""

    @property
    def alarms(self) -> WatchAlarms: ...


class Done(StrEnum):
    """What was done about one subscription."""

    CREATED = "created"
    RENEWED = "renewed"
    LEFT = "left as it is"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Kept:
    """One subscription of ours, and what was done about it. A new one has no id yet."""

    topic: str | None
    done: Done
    subscription: Subscription | None = None


class NoSubscriptions(Exception):
    """A carrier takes no subscriptions, or the settings want none there."""


@dataclass(frozen=True, slots=True)
class SubscriptionKeeper:
    """Keeps the subscriptions at one carrier."""

    carrier: Carrier
    subscriptions: Subscriptions
    wanted: WantedSubscription
    ledger: SubscriptionStores
    boot_clock: Callable[[], float]
    ledger_clock: LedgerClock

    @classmethod
    def of(
        cls,
        carrier: Carrier,
        ledger: SubscriptionStores,
        boot_clock: Callable[[], float],
        ledger_clock: LedgerClock,
    ) -> "SubscriptionKeeper":
        """Return the keeper for a carrier.

        Raises:
            NoSubscriptions: It takes none, or the settings want none.
        """
        if not isinstance(carrier.adapter, TakesSubscriptions):
            raise NoSubscriptions(f"{carrier.adapter.name} takes no subscriptions")
        if carrier.wanted_subscription is None:
            raise NoSubscriptions(f"the settings name no address and password for notices of {carrier.adapter.name}")
        return cls(
            carrier, carrier.adapter.subscriptions, carrier.wanted_subscription, ledger, boot_clock, ledger_clock
        )

    async def list(self) -> tuple[Subscription, ...]:
        """Return every subscription of the account.

        Raises:
            Declined, NoAnswer, UnreadableAnswer: It cannot be read.
        """
        return await self._inquirer.ask(self.subscriptions.limit_group, self.subscriptions.all)

    def is_ours(self, subscription: Subscription) -> bool:
        """Return whether a subscription has our address, and is about all orders."""
        return subscription.url == self.wanted.url and subscription.order_id is None

    async def keep(self, *, renew_all: bool = False) -> Sequence[Kept]:
        """Make the subscriptions that are missing, and renew those that expire too soon, or all.

        Raises an alarm on a failure, and drops it when all is well again.

        Raises:
            Declined, NoAnswer, UnreadableAnswer: Some could not be kept.
        """
        name = self.carrier.adapter.name
        try:
            kept = await self._keep(renew_all=renew_all)
        except (Declined, NoAnswer, UnreadableAnswer) as trouble:
            detail = f"no subscription to notices of all topics ({', '.join(self.subscriptions.topics)}): {trouble}"
            await self.ledger.alarms.note_alarm(
                Alarm.SUBSCRIPTION_FAILED, name, carrier=name, detail=detail, again_after=REPEAT_AFTER
            )
            raise
        await self.ledger.alarms.drop_alarms(Alarm.SUBSCRIPTION_FAILED, carrier=name, keep=[])
        return kept

    async def remove(self) -> Sequence[Kept]:
        """Remove our subscriptions.

        Raises:
            Declined, NoAnswer, UnreadableAnswer: Some could not be removed.
        """
        ours = [one for one in await self.list() if self.is_ours(one)]
        for one in ours:
            await self._once(partial(self.subscriptions.remove, one.subscription_id))
        return [Kept(one.topic, Done.REMOVED, one) for one in ours]

    async def _keep(self, *, renew_all: bool) -> Sequence[Kept]:
        ours = [one for one in await self.list() if self.is_ours(one)]
        kept = [await self._renewed(one, renew=renew_all or self._expires_soon(one)) for one in ours]
        for topic in self.subscriptions.topics:
            if topic not in {one.topic for one in ours}:
                await self._once(partial(self.subscriptions.create, topic, self.wanted))
                log.info("subscription_created", carrier=self.carrier.adapter.name, topic=topic)
                kept.append(Kept(topic, Done.CREATED))
        return kept

    async def _renewed(self, one: Subscription, *, renew: bool) -> Kept:
        if not renew:
            return Kept(one.topic, Done.LEFT, one)
        await self._once(partial(self.subscriptions.renew, one, self.wanted))
        log.info("subscription_renewed", carrier=self.carrier.adapter.name, topic=one.topic)
        return Kept(one.topic, Done.RENEWED, one)

    def _expires_soon(self, one: Subscription) -> bool:
        return one.expires_in is None or one.expires_in < self.wanted.lasts * _RENEWED_BELOW

    async def _once(self, make: Callable[[], Inquiry[None]]) -> None:
        """Ask without repeating: after a lost answer the next look says whether it was done."""
        await self._inquirer.ask(self.subscriptions.limit_group, make, tries=1)

    @property
    def _inquirer(self) -> Inquirer:
        return Inquirer(self.carrier, self.ledger, self.boot_clock, self.ledger_clock)
