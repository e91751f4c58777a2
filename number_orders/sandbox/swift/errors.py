"""The bodies of errors at the sandbox Swift, in every shape that the pages allow: they print none."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
from starlette.responses import Response


def shaped_error(status: int, errors: Mapping[str, Any], shape: str) -> Response:
    """Return an answer with these errors.

    Args:
        status: The HTTP status.
        errors: The texts by field; those of no field are under `detail`.
        shape: A value of the behaviour `swift_errors`.
    """
    texts = list(_texts(errors))  # httpx's phrases: those of `http` change with Python
    if shape == "text":
        return Response("\n".join(texts), status, media_type="text/plain")
    bodies: Mapping[str, object] = {
        "flat": {"errors": errors},
        "enveloped": {"data": {"detail": httpx.codes.get_reason_phrase(status), "errors": texts}, "type": "error"},
        "nested": {"data": {"error": {"errors": errors}}, "type": "error"},
        "list": [{"detail": text} for text in texts],
    }
    return Response(json.dumps(bodies[shape]), status, media_type="application/json")


def _texts(errors: Mapping[str, Any]) -> Iterator[str]:
    for field, given in errors.items():
        for text in given if isinstance(given, list) else [given]:
            yield str(text) if field == "detail" else f"{field} {text}"
