"""A refusal says what is meant, in the words of the contract; no type and no expression of pydantic's is in it."""

from typing import Any

import pytest
from pydantic import ValidationError

from number_orders_client.contract import OrderRequest
from number_orders_client.faults import faults_of, in_words

ORDER = {"key": "crm-1", "carrier": "bandwidth", "kind": "new_numbers", "criteria": {"npa": "919"}, "quantity": 1}
NAMED = {"criteria": None, "quantity": None}
MOMENT = "not_before: must be a moment as ISO 8601 with its offset from UTC, such as 2026-11-22T10:00:00Z"
OPTION = "must be a text, a whole number, true or false, or a list of texts"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            NAMED | {"numbers": ["919"]},
            "numbers.0: must be E.164: a plus sign, then 7 to 15 digits, such as +19195550100",
        ),
        (NAMED | {"numbers": []}, "numbers: must not be empty"),
        (NAMED | {"numbers": "+19195550100"}, "numbers: must be a list"),
        (NAMED, "order: give either numbers or criteria, not both and not neither"),
        ({"options": {"a": 1.5, "b": [1]}}, f"options.a: {OPTION}; options.b: {OPTION}"),
        ({"not_before": 1795341600}, MOMENT),
        ({"not_before": 1795341600.5}, MOMENT),
        ({"not_before": "1795341600"}, MOMENT),
        ({"not_before": True}, MOMENT),
        ({"not_before": "2026-11-22"}, MOMENT),
        ({"not_before": "2026-11-22T10:00:00"}, MOMENT),
        ({"quantity": 1.0}, "quantity: must be a whole number"),
        ({"quantity": True}, "quantity: must be a whole number"),
        ({"quantity": 0}, "quantity: must be at least 1"),
        ({"quantity": 5001}, "quantity: must be at most 5000"),
        ({"allow_partial": 1}, "allow_partial: must be true or false"),
        ({"key": "two words"}, "key: must be 1 to 200 printable ASCII characters without blanks"),
        (
            {"name": "  "},
            "name: must be one line of text, with something visible and without control characters",
        ),
        ({"carrier": 5}, "carrier: must be a text"),
        ({"colour": "red"}, "colour: is no field of the contract"),
        ({"kind": "x"}, "kind: must be 'new_numbers', 'add_messaging_numbers' or 'remove_numbers'"),
        (
            {"criteria": {"country": "us"}},
            "criteria.country: must be a country as ISO 3166 alpha-3: three capital letters, such as USA",
        ),
        ({"criteria": "919"}, "criteria: must be an object"),
        ({"notify": {"url": "http://crm"}}, "notify.url: must be an address that begins with https://"),
    ],
)
def test_a_fault_is_told_in_the_words_of_the_contract(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as invalid:
        OrderRequest.model_validate(ORDER | changes)
    assert in_words(faults_of(invalid.value)) == says


def test_no_order_at_all_is_told_by_its_name() -> None:
    with pytest.raises(ValidationError) as invalid:
        OrderRequest.model_validate("no order")
    assert in_words(faults_of(invalid.value, whole="line 3")) == "line 3: must be an object"
