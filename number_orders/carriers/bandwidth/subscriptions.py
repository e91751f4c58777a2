"""Subscriptions to Bandwidth's notices of orders and disconnects, each with HTTP basic credentials and an expiry.

Has the requests, and what their answers mean. Opens no socket, reads no clock, retries nothing.

Source: Bandwidth/api-docs, site/specs/numbers_v2.yml (subscriptions) and site/docs/account/subscriptions.mdx: an expiry
in seconds that counts down, 404 for what is not valid, 409 with code 16008 for what is there already, and a PUT that
resets what it leaves out. The credentials belong inside `CallbackSubscription`; elsewhere they are ignored.
"""

from collections.abc import Iterator
from datetime import timedelta
from http import HTTPStatus
from typing import Final
from urllib.parse import quote
from xml.etree.ElementTree import Element, SubElement, tostring

from number_orders.carriers.bandwidth.answers import decode_errors, error_text
from number_orders.carriers.bandwidth.elements import child_text, children, descendants, local_name, parse, parse_count
from number_orders.carriers.bandwidth.facts import (
    CARRIER,
    CARRIER_ORDER_ID,
    SUBSCRIBED_TYPES,
    SUBSCRIPTION_GROUP,
    SUBSCRIPTION_LIST_ROOT,
    SUBSCRIPTION_REFUSALS,
    SUBSCRIPTION_STATUS,
    SUBSCRIPTION_URL_LENGTH_MAX,
)
from number_orders.carriers.contract import CarrierAnswer, CarrierRequest, Inquiry, Purpose
from number_orders.carriers.http.answers import is_success
from number_orders.carriers.subscriptions import Subscription, WantedSubscription
from number_orders.orders.errors import Declined, NoAnswer, UnreadableAnswer

_XML: Final = "application/xml"


class BandwidthSubscriptions:
    """The inquiries about the subscriptions of one account."""

    topics: Final = SUBSCRIBED_TYPES
    limit_group: Final = SUBSCRIPTION_GROUP

    def __init__(self, account_id: str) -> None:
        self._path = f"/api/v2/accounts/{quote(account_id, safe='')}/subscriptions"

    def all(self) -> Inquiry[tuple[Subscription, ...]]:
        """Read the subscriptions. Of an account without any, a 404 without an error is taken for an empty list."""
        answer = yield CarrierRequest("GET", self._path, Purpose.READ)
        if answer.status == HTTPStatus.NOT_FOUND and not any(error.code for error in decode_errors(answer)):
            return ()
        _require_done(answer)
        return tuple(_read_list(answer.body)) if answer.body.strip() else ()

    def create(self, topic: str, wanted: WantedSubscription) -> Inquiry[None]:
        """Subscribe to the notices of all orders of one type."""
        body = _write(topic, wanted)
        _require_done((yield CarrierRequest("POST", self._path, Purpose.PREPARE, body=body, content_type=_XML)))

    def renew(self, subscription: Subscription, wanted: WantedSubscription) -> Inquiry[None]:
        """Write a subscription anew, whole: what a PUT leaves out returns to its default."""
        path, body = self._path_of(subscription.subscription_id), _write(str(subscription.topic), wanted)
        _require_done((yield CarrierRequest("PUT", path, Purpose.PREPARE, body=body, content_type=_XML)))

    def remove(self, subscription_id: str) -> Inquiry[None]:
        """Remove a subscription."""
        answer = yield CarrierRequest("DELETE", self._path_of(subscription_id), Purpose.PREPARE)
        if answer.status != HTTPStatus.NOT_FOUND:
            _require_done(answer)

    def _path_of(self, subscription_id: str) -> str:
        return f"{self._path}/{quote(subscription_id, safe='')}"


def _write(order_type: str, wanted: WantedSubscription) -> bytes:
    root = Element("Subscription")
    SubElement(root, "OrderType").text = order_type
    callback = SubElement(root, "CallbackSubscription")
    SubElement(callback, "URL").text = wanted.url
    SubElement(callback, "Expiry").text = str(round(wanted.lasts.total_seconds()))
    basic = SubElement(SubElement(callback, "CallbackCredentials"), "BasicAuthentication")
    SubElement(basic, "Username").text = wanted.username
    SubElement(basic, "Password").text = wanted.password
    body: bytes = tostring(root, encoding="UTF-8", xml_declaration=True)
    return body


def _read_list(body: bytes) -> Iterator[Subscription]:
    root = parse(body)
    if local_name(root) != SUBSCRIPTION_LIST_ROOT:
        raise UnreadableAnswer(CARRIER, "not a list of subscriptions", body)
    for element in descendants(root, "Subscription"):
        subscription_id = child_text(element, "SubscriptionId")
        if subscription_id is None or not CARRIER_ORDER_ID.fullmatch(subscription_id):
            raise UnreadableAnswer(CARRIER, "a subscription without an id", body)
        callback = next(children(element, "CallbackSubscription"), None)
        expiry_s = parse_count(child_text(callback, "Expiry"))
        yield Subscription(
            subscription_id,
            child_text(element, "OrderType", "EventType"),
            _read_url(child_text(callback, "URL", longest=SUBSCRIPTION_URL_LENGTH_MAX)),
            None if expiry_s is None else timedelta(seconds=expiry_s),
            child_text(callback, SUBSCRIPTION_STATUS) or child_text(element, SUBSCRIPTION_STATUS),
            child_text(element, "OrderId"),
        )


def _read_url(text: str | None) -> str | None:
    """Return an address without the quotation marks that the specification's examples have round it."""
    return text.strip('"') if text else None


def _require_done(answer: CarrierAnswer) -> None:
    """Raise `Declined` if Bandwidth refused, and `NoAnswer` if it neither did what was asked nor refused."""
    if is_success(answer):
        return
    error = next((error for error in decode_errors(answer) if error.code), None)
    if error and answer.status in SUBSCRIPTION_REFUSALS:
        raise Declined(CARRIER, str(error), error.code)
    if answer.status in SUBSCRIPTION_REFUSALS:
        raise Declined(CARRIER, f"HTTP {answer.status}: refused without a reason")
    raise NoAnswer(error_text(answer))
