"""The refusals of orders that are well formed, and for which their producers lack something: a secret, or a right."""

import shlex
from collections.abc import Mapping
from datetime import UTC
from typing import Final

from number_orders.ledger.removals import NotRemovable
from number_orders.orders.errors import Fault, OrderRefused
from number_orders.orders.removal_right import RemovalRight
from number_orders_client.faults import FAULTS_MAX


def no_secret(producer: str) -> OrderRefused:
    """Return the refusal of an order that names a URL although its producer has no secret."""
    rule = (
        f"needs a secret that signs what is sent there, and producer {producer} has none; "
        f"an operator types: number-orders webhook-secrets {shlex.quote(producer)} add"
    )
    return OrderRefused([Fault("notify.url", rule)])


def not_removable(producer: str, found: NotRemovable) -> OrderRefused:
    """Return the refusal of a removal. It names the numbers, and never whose they are."""
    wider = RemovalRight.UNKNOWN if found.right is RemovalRight.OWN else RemovalRight.ANY
    remedy = f"an operator permits more: number-orders producers removals {shlex.quote(producer)} {wider}"
    if found.guarded_until:  # the same order, with the same key, may be sent again
        until = found.guarded_until.astimezone(UTC)
        remedy += f"; the ledger was restored and may have forgotten who brought it until {until:%Y-%m-%d %H:%M} UTC"
    return OrderRefused(
        [Fault(f"numbers.{place}", f"{_RULES[found.right]}; {remedy}") for place in found.places[:FAULTS_MAX]]
    )


_RULES: Final[Mapping[RemovalRight, str]] = {
    RemovalRight.OWN: "must be a number that an order of this producer brought, and that no other order has by now",
    RemovalRight.UNKNOWN: "must not be a number that an order of another producer has or is to bring",
}
