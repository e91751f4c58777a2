"""Bandwidth's notices: one for each change of an order or disconnect to a status that is notified.

Notified are COMPLETE, PARTIAL, BACKORDERED and FAILED. `CompletedTelephoneNumbers` also lists the numbers that failed,
as in Bandwidth's own example.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from random import Random
from typing import Final

from number_orders.sandbox.bandwidth import xml
from number_orders.sandbox.bandwidth.disconnects import Disconnect
from number_orders.sandbox.bandwidth.order_book import Order
from number_orders.sandbox.bandwidth.outcomes import BACKORDERED, COMPLETE, FAILED, FINAL, PARTIAL
from number_orders.sandbox.bandwidth.subscriptions import Subscription, Subscriptions
from number_orders.sandbox.clock import iso
from number_orders.sandbox.notices import Notice
from number_orders.sandbox.state import SandboxState

_CARRIER: Final = "bandwidth"
_NOTIFIED: Final = FINAL | {BACKORDERED}


class NoticeWriter:
    """Has the changes of orders and disconnects sent to those who subscribe."""

    def __init__(self, sandbox: SandboxState, subscriptions: Subscriptions) -> None:
        self._sandbox = sandbox
        self._subscriptions = subscriptions

    def schedule_order(self, order: Order, after: datetime) -> None:
        """Schedule a notice for each change of an order's status from `after` on."""
        for before, stage in zip(order.stages, order.stages[1:], strict=False):
            if stage.at >= after and stage.status in _NOTIFIED and stage.status != before.status:
                self._schedule(stage.at, partial(self._of_order, order, stage.at, stage.status, stage.shown))

    def schedule_disconnect(self, disconnect: Disconnect, after: datetime) -> None:
        """Schedule the notice of a disconnect's end, if it is not before `after`."""
        if disconnect.ends_at >= after:
            self._schedule(disconnect.ends_at, partial(self._of_disconnect, disconnect))

    def _schedule(self, at: datetime, make: Callable[[], list[Notice]]) -> None:
        self._sandbox.notices.schedule(at, make, _forged)

    def _of_order(self, order: Order, at: datetime, status: str, numbers: Sequence[str]) -> list[Notice]:
        """Return the notices of a change of an order; nothing, if the change was prevented."""
        if not any((stage.at, stage.status) == (at, status) for stage in order.stages):
            return []
        named = order.request.selection.numbers if status == FAILED else numbers
        return self._to_all("orders", order.order_id, order.customer_order_id, at, status, named)

    def _of_disconnect(self, disconnect: Disconnect) -> list[Notice]:
        at = disconnect.ends_at
        return self._to_all(
            "disconnects",
            disconnect.order_id,
            disconnect.customer_order_id,
            at,
            disconnect.status(at),
            disconnect.released,
        )

    def _to_all(
        self, topic: str, order_id: str, reference: str, at: datetime, status: str, numbers: Sequence[str]
    ) -> list[Notice]:
        return [
            Notice(
                carrier=_CARRIER,
                url=subscription.url,
                order_id=order_id,
                customer_order_id=reference,
                status=status,
                body=_body(subscription, order_id, reference, at, status, numbers),
                content_type="application/xml",
                credentials=subscription.credentials,
                on_answer=subscription.note,
            )
            for subscription in self._subscriptions.to(topic, order_id, self._sandbox.clock())
        ]


def _body(
    subscription: Subscription, order_id: str, reference: str, at: datetime, status: str, numbers: Sequence[str]
) -> bytes:
    listed = (xml.text("TelephoneNumber", number) for number in numbers)
    return xml.document(
        xml.element(
            "Notification",
            xml.text("Status", status),
            xml.text("SubscriptionId", subscription.order_id),
            xml.text("Message", f"Created a new number order for {len(numbers)} numbers"),
            xml.text("OrderId", order_id),
            xml.text("OrderType", subscription.topic),
            xml.label("CustomerOrderId", reference),
            xml.element("CompletedTelephoneNumbers", *listed),
            xml.text("LastModifiedDate", iso(at)),
        )
    )


def _forged(notice: Notice, dice: Random) -> Notice:
    """Return a notice of another end, about the same order or about one that does not exist, or one that is no XML."""
    status = dice.choice([word for word in (COMPLETE, PARTIAL, FAILED) if word != notice.status])
    kind = dice.random()
    if kind < 0.2:  # noqa: PLR2004  a fifth cannot be read
        return replace(notice, body=notice.body[: len(notice.body) // 2], status="(unreadable)")
    body = notice.body.replace(f">{notice.status}<".encode(), f">{status}<".encode())
    if kind < 0.5:  # noqa: PLR2004  about an order that nobody has
        body = body.replace(notice.order_id.encode(), f"{dice.getrandbits(128):032x}".encode())
        body = body.replace((notice.customer_order_id or "\0").encode(), b"nobody")
    return replace(notice, body=body, status=status)
