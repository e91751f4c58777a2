"""Read CM.com's callbacks: a POST with the whole number request at every change of its status.

The address of a callback names the order by our reference, and the body by CM.com's guid, by which an order is found
that has ended before its callback comes. The field names of the body are assumed, as are those of a number request
(`facts`). Nothing signs a callback, as far as the pages say.

Source: CM.com's page "Create Number Request".
"""

from typing import Final

from number_orders.carriers.cm.facts import CARRIER, REFERENCE_FORMAT
from number_orders.carriers.cm.json import has_reference, is_reference, read_notice
from number_orders.carriers.notices import Notice
from number_orders.orders.errors import UnreadableAnswer
from number_orders.orders.model import CarrierOrderId


class CMNotices:
    """Each order has an address of its own, which its number request names as `callbackUrl`."""

    per_order: Final = True

    def read(self, body: bytes, reference: str | None) -> Notice:
        """Return whose order a callback is about: that of its address and of its guid, unless the body is another's."""
        view = read_notice(body)
        if view.guid is None:
            raise UnreadableAnswer(CARRIER, "a callback that names no number request", body)
        ours = REFERENCE_FORMAT.format(reference=reference)
        if is_reference(view.comment) and not has_reference(view.comment, ours):
            raise UnreadableAnswer(CARRIER, "a callback about one order at the address of another", body)
        return Notice(CarrierOrderId(view.guid), reference)
