"""Read one order as a producer sends it, and check it: its form, its numbers, and what its carrier would refuse.

Reads no ledger and asks no carrier.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import ValidationError

from number_orders.carriers.contract import Adapter
from number_orders.fulfilment.webhooks.addresses import AddressRules
from number_orders.orders.errors import Fault, OrderRefused
from number_orders.orders.model import CarrierName, Criteria, Kind, Notify, OrderRequest, State, WhenTainted
from number_orders.orders.numbering import number_fault
from number_orders.orders.numbers import E164, parse_e164
from number_orders_client import contract
from number_orders_client.faults import FAULTS_MAX, faults_of

ORDER_BYTES_MAX: Final = 256 * 1024
"""The longest order as JSON: five thousand numbers fit three times."""

_TEXT: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False)

NOT_BEFORE_WITHIN: Final = timedelta(days=3653)
NOT_BEFORE_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Bounds of `not_before`: ten years ahead. What lies in the past means at once."""


class OrderReader:
    """Reads orders for the carriers that are set up."""

    def __init__(
        self, adapters: Mapping[CarrierName, Adapter], address_rules: AddressRules, now: Callable[[], datetime]
    ) -> None:
        self._adapters = adapters
        self._address_rules = address_rules
        self._now = now
        self._kinds = {name: adapter.capabilities.kinds for name, adapter in adapters.items()}

    def read(self, raw: object) -> OrderRequest:
        """Return the order.

        Raises:
            OrderRefused: It breaks a rule.
        """
        _check_text(raw)
        try:
            shaped = contract.OrderRequest.model_validate(raw)
        except ValidationError as error:
            raise OrderRefused([Fault(wrong.field, wrong.rule) for wrong in faults_of(error)]) from None
        adapter = self._adapters.get(CarrierName(shaped.carrier))
        if adapter is None:
            known = ", ".join(sorted(self._adapters)) or "none is set up"
            raise OrderRefused([Fault("carrier", f"is not one of ours: {known}")])
        _check_moment(shaped.not_before, self._now())
        request = _request(shaped)
        if request.kind not in self._kinds[request.carrier]:
            raise OrderRefused([_not_offered(adapter, request.kind)])
        faults = [*_service_faults(shaped, self._address_rules), *adapter.check(request)]
        if faults:
            raise OrderRefused(faults[:FAULTS_MAX])
        return request


_OUR_QUEUES: Final = re.compile(r"orders$|orders\.|number-orders")
"""The queues of this service, to which a worker would otherwise send whatever task a producer names."""


def _check_text(raw: object) -> None:
    if not isinstance(raw, Mapping):
        raise OrderRefused([Fault("order", "must be a JSON object")])
    try:
        text = _TEXT.encode(raw).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise OrderRefused([Fault("order", f"must be plain JSON: {error}")]) from None
    if len(text) > ORDER_BYTES_MAX:
        raise OrderRefused([Fault("order", f"is too long: {len(text)} bytes of at most {ORDER_BYTES_MAX}")])
    if b"\\u0000" in text:
        raise OrderRefused([Fault("order", "holds a NUL character")])


def _service_faults(shaped: contract.OrderRequest, address_rules: AddressRules) -> Iterator[Fault]:
    is_bought = shaped.kind == "new_numbers"
    for index, number in enumerate(shaped.numbers or ()):
        try:
            rule = number_fault(parse_e164(number), is_bought=is_bought)
        except ValueError as wrong:
            rule = str(wrong)
        if rule:
            yield Fault(f"numbers.{index}", rule)
    if shaped.notify and shaped.notify.queue and _OUR_QUEUES.match(shaped.notify.queue):
        yield Fault(
            "notify.queue", "must be a queue of yours: those named orders, orders.… and number-orders… are ours"
        )
    if shaped.notify and shaped.notify.url:
        yield from (Fault("notify.url", rule) for rule in address_rules.faults(shaped.notify.url))


def _check_moment(not_before: datetime | None, now: datetime) -> None:
    """Refuse a moment that nobody can mean. What was accepted once still is when its order is sent again later."""
    latest = now + NOT_BEFORE_WITHIN
    if not_before and not NOT_BEFORE_EARLIEST <= not_before <= latest:
        rule = f"must be between {NOT_BEFORE_EARLIEST:%Y-%m-%d} and ten years from now, {latest:%Y-%m-%d}"
        raise OrderRefused([Fault("not_before", rule)])


def _not_offered(adapter: Adapter, kind: Kind) -> Fault:
    offered = " and ".join(one for one in Kind if one in adapter.capabilities.kinds)
    return Fault("kind", f"{adapter.name} does not offer {kind}; it offers {offered}")


def _request(shaped: contract.OrderRequest) -> OrderRequest:
    return OrderRequest(
        key=shaped.key,
        carrier=CarrierName(shaped.carrier),
        kind=Kind(shaped.kind),
        numbers=tuple(E164(number) for number in shaped.numbers or ()),
        criteria=Criteria(**shaped.criteria.model_dump()) if shaped.criteria else None,
        quantity=shaped.quantity,
        range_size=shaped.range_size,
        allow_partial=shaped.allow_partial,
        allow_backorder=shaped.allow_backorder,
        when_tainted=WhenTainted(shaped.when_tainted),
        not_before=shaped.not_before.astimezone(UTC) if shaped.not_before else None,
        account=shaped.account,
        name=shaped.name,
        notes=shaped.notes,
        options=shaped.options,
        notify=_notify(shaped.notify) if shaped.notify else None,
    )


def _notify(shaped: contract.Notify) -> Notify:
    return Notify(shaped.task, shaped.queue, shaped.url, frozenset(State(state) for state in shaped.on))
