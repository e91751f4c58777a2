"""Subscriptions to a carrier's notices: made, listed, renewed and removed at the carrier.

These are inquiries (`carriers.contract.Inquiry`): they cost nothing, and are about no order.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol, runtime_checkable

from number_orders.carriers.contract import Inquiry


@dataclass(frozen=True, slots=True)
class WantedSubscription:
    """Where notices are to be sent, with which HTTP basic credentials, and for how long."""

    url: str
    username: str
    password: str = field(repr=False)
    lasts: timedelta = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription as the carrier shows it. What it does not say is None."""

    subscription_id: str
    topic: str | None
    """What it is about, in the carrier's word."""
    url: str | None = None
    expires_in: timedelta | None = None
    status: str | None = None
    """How the last notice was delivered, in the carrier's words."""
    order_id: str | None = None
    """The carrier's order that it is about; None: about all."""


class Subscriptions(Protocol):
    """The inquiries about subscriptions at one carrier.

    An inquiry raises:
        Declined: The carrier refused.
        NoAnswer, UnreadableAnswer: What was asked for may have been done all the same.
    """

    @property
    def topics(self) -> tuple[str, ...]:
        """What is subscribed to, in the carrier's words."""
        ...

    @property
    def limit_group(self) -> str:
        """The rate limit that counts these inquiries, in the carrier's word."""
        ...

    def all(self) -> Inquiry[tuple[Subscription, ...]]:
        """Read the subscriptions of the account, those of others too."""
        ...

    def create(self, topic: str, wanted: WantedSubscription) -> Inquiry[None]:
        """Subscribe to the notices of all orders of one topic."""
        ...

    def renew(self, subscription: Subscription, wanted: WantedSubscription) -> Inquiry[None]:
        """Have a subscription last as long as a new one, with the credentials that are wanted now."""
        ...

    def remove(self, subscription_id: str) -> Inquiry[None]:
        """Remove a subscription; one that is gone counts as removed."""
        ...


@runtime_checkable
class TakesSubscriptions(Protocol):
    """An adapter whose carrier sends notices to those who subscribe."""

    @property
    def subscriptions(self) -> Subscriptions:
        """The inquiries about them."""
        ...
