"""What the OpenAPI page says of requests and errors: the same for all endpoints."""

from collections.abc import Mapping
from typing import Any, Final

from number_orders.receiver import shapes
from number_orders.receiver.problems import MEDIA_TYPE, TITLES
from number_orders_client import contract

ORDER_EXAMPLE: Final[Mapping[str, Any]] = {
    "key": "crm-000123",
    "carrier": "bandwidth",
    "kind": "new_numbers",
    "criteria": {"npa": "919"},
    "quantity": 2,
}
_REMOVAL_EXAMPLE: Final[Mapping[str, Any]] = {
    "key": "crm-000124",
    "carrier": "swift",
    "kind": "remove_numbers",
    "numbers": ["+19195550100"],
}

EVERYWHERE: Final = ("unauthorized", "too-many-requests", "bad-request", "ledger-unavailable", "internal-error")
"""The problems that every endpoint may answer."""
OF_BODIES: Final = ("malformed-body", "too-slow", "too-long", "unsupported-media-type")


def problems(*names: str) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI entries of these problems and of those that every endpoint has."""
    by_status: dict[int | str, list[str]] = {}
    for name in (*names, *EVERYWHERE):
        by_status.setdefault(int(TITLES[name][0]), []).append(name)
    return {
        status: {
            "description": "; ".join(f"`{name}`: {TITLES[name][1]}" for name in named),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, named in by_status.items()
    }


def order_body() -> dict[str, Any]:
    """Return the OpenAPI entry of a body that is one order."""
    return _body(_keyless(contract.OrderRequest.model_json_schema(ref_template=_REF)), ORDER_EXAMPLE, _REMOVAL_EXAMPLE)


def batch_body() -> dict[str, Any]:
    """Return the OpenAPI entry of a body that is many orders."""
    orders = {"type": "array", "maxItems": contract.ORDERS_MAX, "items": {"$ref": _REF.format(model="OrderRequest")}}
    schema = {"type": "object", "properties": {"orders": orders}, "required": ["orders"], "additionalProperties": False}
    return _body(schema, {"orders": [ORDER_EXAMPLE, _REMOVAL_EXAMPLE]})


def cancel_body() -> dict[str, Any]:
    """Return the OpenAPI entry of the body of a cancellation, which may be missing."""
    body = _body(shapes.Cancellation.model_json_schema(ref_template=_REF), {"why": "the customer left"})
    body["requestBody"]["required"] = False
    return body


def add_schemas(document: dict[str, Any]) -> None:
    """Add the models that no signature names to an OpenAPI document."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for model in (contract.OrderRequest, shapes.Problem):
        schema = model.model_json_schema(ref_template=_REF)
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema


_REF: Final = "#/components/schemas/{model}"


def _keyless(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an order whose key may stand in the header instead."""
    kept = {name: value for name, value in schema.items() if name != "$defs"}
    return kept | {"required": [name for name in schema["required"] if name != "key"]}


def _body(schema: Mapping[str, Any], *examples: Mapping[str, Any]) -> dict[str, Any]:
    shown = {f"example {number}": {"value": example} for number, example in enumerate(examples, start=1)}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema, "examples": shown}}}}
