"""CM.com's JSON: camelCase, bare arrays, and ranges with nulls until numbers are assigned."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from number_orders.sandbox.behaviour import Behaviour
from number_orders.sandbox.clock import iso
from number_orders.sandbox.cm.order_book import Request
from number_orders.sandbox.cm.stages import Range, Stage
from number_orders.sandbox.cm.stock import Restriction

Json = dict[str, Any]


def request(number_request: Request, stage: Stage, behaviour: Behaviour, *, with_guid: bool = True) -> Json:
    """Write a number request in its stage."""
    ranges = list(_joined(stage.shown)) if behaviour.cm_range_shape == "merged" else stage.shown
    written = [_range(each, stage.at, behaviour) for each in ranges]
    missing = number_request.sent.quantity - sum(each.size for each in ranges)
    size = missing if behaviour.cm_range_shape == "merged" else number_request.sent.size
    sent = number_request.sent.model_dump(mode="json", by_alias=True)
    body = {
        "guid": number_request.guid,
        "createdOn": iso(number_request.created_at),
        "status": stage.status,
        "statusReason": stage.reason,
        **sent,
        "ranges": written + [_unassigned_range(size) for _ in range(missing // size if size else 0)],
    }
    return body if with_guid else {name: value for name, value in body.items() if name != "guid"}


def restriction(rule: Restriction) -> Json:
    """Write the restriction of one country and type."""
    return {
        "countryCode": rule.country,
        "phoneNumberType": rule.number_type,
        "maximumQuantity": rule.quantity_max,
        "allowedRangeSizes": list(rule.range_sizes),
    }


def error(message: str, code: str, details: Sequence[str] = ()) -> Json:
    """Write a refusal."""
    return {"message": message, "messageCode": code, "messageDetail": "; ".join(details) or None}


def _range(assigned: Range, at: datetime, behaviour: Behaviour) -> Json:
    bare = assigned.start.removeprefix("+")
    start = {"e164": assigned.start, "digits": bare, "double_zero": f"00{bare}"}[behaviour.cm_number_format]
    return {
        "id": assigned.guid,
        "start": start,
        "size": assigned.size,
        "validFrom": iso(at),
        "validTo": None,
    }


def _unassigned_range(size: int) -> Json:
    return {"id": None, "start": None, "size": size, "validFrom": None, "validTo": None}


def _joined(ranges: Sequence[Range]) -> Iterator[Range]:
    """Join consecutive ranges."""
    whole: Range | None = None
    for each in ranges:
        if whole is not None and int(whole.start) + whole.size == int(each.start):
            whole = Range(whole.guid, whole.start, whole.size + each.size)
            continue
        if whole is not None:
            yield whole
        whole = each
    if whole is not None:
        yield whole
