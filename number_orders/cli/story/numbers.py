"""The numbers of one order as a table, one a row."""

from collections.abc import Iterator
from typing import Any, Final

from number_orders.ledger.history import Story
from number_orders.orders.document import document

NUMBER_COLUMNS: Final = ("order_id", "key", "order_state", "e164", "state", "code", "text")


def number_rows(story: Story) -> Iterator[dict[str, Any]]:
    """Yield the numbers as they are in the order's document."""
    whole = document(story.order, story.numbers)
    for number in whole["numbers"]:
        yield {"order_id": whole["order_id"], "key": whole["key"], "order_state": whole["state"], **number}
