"""The contract as JSON Schema, for producers in other languages: `schema.json` beside this file.

python -m number_orders_client.schema >client/number_orders_client/schema.json
"""

import json
import sys
from typing import Any, Final

from pydantic.json_schema import models_json_schema

from number_orders_client.contract import OrderDocument, OrderRequest, Problem, Refusal, Ticket

_SENT: Final = (OrderRequest,)
_RECEIVED: Final = (Ticket, Refusal, OrderDocument, Problem)


def schema() -> dict[str, Any]:
    """Return the shapes of all values that producers send and receive, under `$defs` by the names of their models."""
    models = [*((model, "validation") for model in _SENT), *((model, "serialization") for model in _RECEIVED)]
    _, definitions = models_json_schema(models, title="number-orders")  # type: ignore[arg-type]  # literals in tuples
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **definitions}


def text() -> str:
    """Return the schema as it is stored."""
    return json.dumps(schema(), indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
