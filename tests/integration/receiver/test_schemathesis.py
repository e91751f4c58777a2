"""Requests that the OpenAPI document allows, and many that it does not: every answer is one that it describes."""

from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from number_orders.receiver.parts import Limits
from number_orders.receiver.rate import RequestRate
from tests.integration.fulfilment.practice import Practice
from tests.integration.receiver.conftest import CRM, running_receiver
from tests.integration.receiver.test_orders import submit

EXAMPLES = 25
"""Of each endpoint."""
NO_LIMIT = Limits(rate=RequestRate(per_s=10_000, burst=100_000))


def test_every_answer_is_described(practice: Practice) -> None:
    """Of every endpoint: status, media type and shape; and nothing is told without a token."""
    with running_receiver(practice, NO_LIMIT) as receiver, receiver.client(**CRM) as client:
        order_id = submit(client)["order_id"]
        document: dict[str, Any] = client.get("/openapi.json").json()
        _name_an_order(document, order_id)
        schema = schemathesis.openapi.from_dict(document)
        schema.config.update(base_url=receiver.url)
        checks = [
            not_a_server_error,
            status_code_conformance,
            content_type_conformance,
            response_headers_conformance,
            response_schema_conformance,
            ignored_auth,
        ]
        tested = 0
        for found in schema.get_all_operations():
            operation = found.ok()  # type: ignore[union-attr]  # an endpoint that cannot be read fails the test

            @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
            @given(case=operation.as_strategy())
            def check(case: schemathesis.Case[Any]) -> None:
                case.call_and_validate(headers=CRM, checks=checks)

            check()
            tested += 1
        assert tested == len([1 for path in document["paths"].values() for _ in path])


def _name_an_order(document: dict[str, Any], order_id: str) -> None:
    """Let half of the requests about an order name one that is there."""
    for path, operations in document["paths"].items():
        if "{order_id}" in path:
            for operation in operations.values():
                for parameter in operation["parameters"]:
                    if parameter["name"] == "order_id":
                        parameter["example"] = order_id
