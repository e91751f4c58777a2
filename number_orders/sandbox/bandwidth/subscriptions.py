"""Subscriptions at the sandbox Bandwidth, and the notices that their owners get.

A subscription is about all orders of one type, or about one order. It expires; one about an order ends with it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from number_orders.sandbox.bandwidth import xml
from number_orders.sandbox.bandwidth.vocabulary import CarrierError, error

_TYPES: Final = frozenset({"orders", "disconnects"})
_EXPIRY_S: Final = 86_400
_EXPIRY_MAX_S: Final = 100 * 366 * 86_400
_READY: Final = "READY"
_USERNAME_LENGTH_MAX: Final = 100


@dataclass(slots=True, kw_only=True)
class Subscription:
    """One subscription. `status` is how the last notice was answered."""

    order_id: str
    """Its own id, as everything that the sandbox remembers has one."""
    topic: str
    about: str
    """The order that it is about; empty: all of its type."""
    url: str
    expires_at: datetime
    username: str
    password: str
    status: str = _READY

    @property
    def credentials(self) -> tuple[str, str] | None:
        """Return what notices are sent with after a challenge."""
        return (self.username, self.password) if self.username else None

    def note(self, answer: str) -> None:
        """Take down how the last notice was answered."""
        self.status = answer


class SubscriptionRefused(Exception):
    """Bandwidth answers 404 or 409 with a ResponseStatus."""

    def __init__(self, reason: CarrierError, status: int = 404) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


class Subscriptions:
    """All subscriptions of one account that have not ended."""

    def __init__(self) -> None:
        self._subscriptions: dict[str, Subscription] = {}

    def create(self, body: bytes, now: datetime, *, subscription_id: str) -> Subscription:
        """Make a subscription.

        Raises:
            SubscriptionRefused: It is not valid, or is there already.
        """
        made = _read(body, now, subscription_id)
        self._expire(now)
        if any((each.topic, each.about, each.url) == (made.topic, made.about, made.url) for each in self._all()):
            raise SubscriptionRefused(error(16008), 409)
        return self.store(body, now, subscription_id=subscription_id)

    def replace(self, subscription_id: str, body: bytes, now: datetime) -> Subscription:
        """Write a subscription anew; what the body leaves out returns to its default.

        Raises:
            SubscriptionRefused: It does not exist, or the body is not valid.
        """
        self.get(subscription_id, now)
        return self.store(body, now, subscription_id=subscription_id)

    def store(self, body: bytes, now: datetime, *, subscription_id: str) -> Subscription:
        """Store a subscription under its id, in place of an earlier one.

        Raises:
            SubscriptionRefused: The body is not valid.
        """
        self._subscriptions[subscription_id] = made = _read(body, now, subscription_id)
        return made

    def get(self, subscription_id: str, now: datetime) -> Subscription:
        """Return a subscription.

        Raises:
            SubscriptionRefused: It does not exist, or has expired.
        """
        self._expire(now)
        if subscription_id not in self._subscriptions:
            raise SubscriptionRefused(error(14500))
        return self._subscriptions[subscription_id]

    def remove(self, subscription_id: str, now: datetime) -> Subscription:
        """Remove a subscription.

        Raises:
            SubscriptionRefused: It does not exist.
        """
        self.get(subscription_id, now)
        return self._subscriptions.pop(subscription_id)

    def to(self, topic: str, order_id: str, now: datetime) -> list[Subscription]:
        """Return the subscriptions to the notices of an order."""
        self._expire(now)
        return [each for each in self._all() if each.topic == topic and each.about in {"", order_id}]

    def as_xml(self, now: datetime) -> bytes:
        """Write the list."""
        self._expire(now)
        listed = (_element(each, now) for each in self._all())
        return xml.document(xml.element("SubscriptionsResponse", xml.element("Subscriptions", *listed)))

    def _all(self) -> Iterator[Subscription]:
        return iter(self._subscriptions.values())

    def _expire(self, now: datetime) -> None:
        self._subscriptions = {name: each for name, each in self._subscriptions.items() if each.expires_at > now}


def refusal(refused: SubscriptionRefused) -> bytes:
    """Write the body of a refusal."""
    return xml.status_refusal("SubscriptionsResponse", refused.reason)


def _read(body: bytes, now: datetime, subscription_id: str) -> Subscription:
    try:
        root: Element = fromstring(body)
    except (ParseError, DefusedXmlException, ValueError) as fault:
        raise SubscriptionRefused(error(14501)) from fault
    callback = root.find("CallbackSubscription")
    topic, url = _text(root, "OrderType"), _text(callback, "URL")
    expiry, username = _text(callback, "Expiry") or str(_EXPIRY_S), _text(callback, _BASIC + "Username")
    if root.tag != "Subscription" or topic not in _TYPES:
        raise SubscriptionRefused(error(14502))
    if not url.startswith(("http://", "https://")):
        raise SubscriptionRefused(error(14503))
    if not expiry.isdecimal() or not 0 < int(expiry) <= _EXPIRY_MAX_S:
        raise SubscriptionRefused(error(14504))
    if len(username) > _USERNAME_LENGTH_MAX:
        raise SubscriptionRefused(error(14505))
    return Subscription(
        order_id=subscription_id,
        topic=topic,
        about=_text(root, "OrderId"),
        url=url,
        expires_at=now + timedelta(seconds=int(expiry)),
        username=username,
        password=_text(callback, _BASIC + "Password"),
    )


_BASIC: Final = "CallbackCredentials/BasicAuthentication/"


def _text(element: Element | None, path: str) -> str:
    return "" if element is None else element.findtext(path, "").strip()


def _element(subscription: Subscription, now: datetime) -> str:
    left_s = int((subscription.expires_at - now).total_seconds())
    credentials = xml.element(
        "CallbackCredentials",
        xml.element("BasicAuthentication", xml.text("Username", subscription.username)),
    )
    callback = xml.element(
        "CallbackSubscription",
        xml.text("URL", subscription.url),
        credentials if subscription.username else "",
        xml.text("Expiry", left_s),
        xml.text("Status", subscription.status),
    )
    return xml.element(
        "Subscription",
        xml.text("SubscriptionId", subscription.order_id),
        xml.text("OrderType", subscription.topic),
        xml.label("OrderId", subscription.about),
        callback,
    )
