"""CM.com's JSON: camelCase, bare arrays, and ranges that stay empty until numbers are assigned."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from number_orders.sandbox.behaviour import Behaviour
from number_orders.sandbox.clock import iso
from number_orders.sandbox.cm.order_book import Range, Request, Stage
from number_orders.sandbox.cm.stock import Restriction

Json = dict[str, Any]


def request(one: Request, stage: Stage, behaviour: Behaviour, *, with_guid: bool = True) -> Json:
    """Write a number request as it stands in `stage`."""
    ranges = _merged(stage.ranges) if behaviour.cm_range_shape == "merged" else stage.ranges
    assigned = [_range(each, stage.at, behaviour) for each in ranges]
    missing = one.said.quantity - sum(each.size for each in ranges)
    size = missing if behaviour.cm_range_shape == "merged" else one.said.size
    said = one.said.model_dump(mode="json", by_alias=True)
    body = {
        "guid": one.guid,
        "createdOn": iso(one.created_at),
        "status": stage.status,
        "statusReason": stage.reason,
        **said,
        "ranges": assigned + [_slot(size) for _ in range(missing // size if size else 0)],
    }
    return body if with_guid else {name: value for name, value in body.items() if name != "guid"}


def restriction(one: Restriction) -> Json:
    """Write what may be asked for in one country and type."""
    return {
        "countryCode": one.country,
        "phoneNumberType": one.number_type,
        "maximumQuantity": one.quantity_max,
        "allowedRangeSizes": list(one.range_sizes),
    }


def error(message: str, code: str, details: Sequence[str] = ()) -> Json:
    """Write a refusal."""
    return {"message": message, "messageCode": code, "messageDetail": "; ".join(details) or None}


def _range(one: Range, at: datetime, behaviour: Behaviour) -> Json:
    bare = one.start.removeprefix("+")
    start = {"e164": one.start, "digits": bare, "double_zero": f"00{bare}"}[behaviour.cm_number_format]
    return {"id": one.guid, "start": start, "size": one.size, "validFrom": iso(at), "validTo": None}


def _slot(size: int) -> Json:
    return {"id": None, "start": None, "size": size, "validFrom": None, "validTo": None}


def _merged(ranges: Sequence[Range]) -> list[Range]:
    return list(_joined(ranges))


def _joined(ranges: Sequence[Range]) -> Iterator[Range]:
    """Join ranges that follow one another."""
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
