"""The stored JSON Schema is the contract's, and takes what the models take."""

from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

import number_orders_client
from number_orders_client.contract import OrderRequest
from number_orders_client.schema import schema, text
from tests.unit.client.test_webhooks import DOCUMENT

ORDER = {"key": "crm-1", "carrier": "bandwidth", "kind": "new_numbers", "criteria": {"npa": "919"}, "quantity": 1}


def problems(definition: str, value: Any) -> list[str]:
    whole = {**schema(), "$ref": f"#/$defs/{definition}"}
    validator = jsonschema.Draft202012Validator(whole)
    return [error.message for error in validator.iter_errors(value)]


def test_the_stored_schema_is_current() -> None:
    """`make docs` writes it anew."""
    stored = Path(number_orders_client.__file__).with_name("schema.json").read_text(encoding="utf-8")
    assert stored == text()


@pytest.mark.parametrize(
    "order",
    [
        ORDER,
        {**ORDER, "not_before": "2026-11-22T10:00:00Z", "options": {"site_id": "1", "auto_activate": True}},
        {"key": "k", "carrier": "bandwidth", "kind": "remove_numbers", "numbers": ["+19195550100"]},
        {**ORDER, "notify": {"task": "crm.ended", "queue": "crm", "on": ["COMPLETED"]}},
    ],
)
def test_what_the_models_take_the_schema_takes(order: dict[str, Any]) -> None:
    OrderRequest.model_validate(order)
    assert problems("OrderRequest", order) == []


@pytest.mark.parametrize(
    "changes", [{"quantity": 0}, {"key": "a b"}, {"colour": "red"}, {"kind": "x"}, {"numbers": ["919"]}, {"name": " "}]
)
def test_what_the_models_refuse_the_schema_refuses(changes: dict[str, Any]) -> None:
    assert problems("OrderRequest", ORDER | changes)


def test_documents_have_the_schema() -> None:
    assert problems("OrderDocument", DOCUMENT) == []
    assert problems("OrderDocument", DOCUMENT | {"state": "LOST"})
