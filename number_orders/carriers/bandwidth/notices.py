"""Read Bandwidth's notices of orders and disconnects: whose order each is about, and nothing else.

Names stand in `facts`. Opens no socket, reads no clock.

Source: Bandwidth/api-docs, site/docs/numbers/webhooks.md and orderWebhook.md. They say that `CompletedTelephoneNumbers`
also lists numbers that failed, so a notice proves nothing.
"""

from typing import Final

from number_orders.carriers.bandwidth.elements import child_text, local_name, parse
from number_orders.carriers.bandwidth.facts import CARRIER, CARRIER_ORDER_ID, NOTICE_ROOT, REFERENCE_LENGTH_MAX
from number_orders.carriers.notices import Notice
from number_orders.orders.errors import UnreadableAnswer
from number_orders.orders.model import CarrierOrderId


class BandwidthNotices:
    """One address takes the notices of all orders of the account."""

    per_order: Final = False

    def read(self, body: bytes, reference: str | None = None) -> Notice:
        """Return whose order a notice is about: by Bandwidth's id, by our CustomerOrderId, or by both."""
        root = parse(body)
        if local_name(root) != NOTICE_ROOT:
            raise UnreadableAnswer(CARRIER, "not a notice", body)
        order_id = child_text(root, "OrderId")
        customer_order_id = child_text(root, "CustomerOrderId", longest=REFERENCE_LENGTH_MAX)
        known = CarrierOrderId(order_id) if order_id and CARRIER_ORDER_ID.fullmatch(order_id) else None
        if known is None and customer_order_id is None:
            raise UnreadableAnswer(CARRIER, "a notice that names no order", body)
        return Notice(known, customer_order_id)
