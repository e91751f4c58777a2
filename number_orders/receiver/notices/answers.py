"""What the senders of notices are answered. Problems are RFC 9457 documents, as everywhere in the receiver."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from starlette.responses import Response

_TYPE: Final = "urn:number-orders:problem:{name}"


def accepted() -> Response:
    """Return the acknowledgement of a stored notice."""
    return Response(status_code=HTTPStatus.ACCEPTED)


def problem(status: HTTPStatus, name: str, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a problem document."""
    body = {"type": _TYPE.format(name=name), "title": status.phrase, "status": int(status), "detail": detail}
    return Response(json.dumps(body), status, dict(headers or {}), "application/problem+json")
