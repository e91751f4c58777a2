"""What is logged of a request that came to nothing."""

import asyncio

import pytest
from fastapi import FastAPI, Request
from structlog.testing import capture_logs

from number_orders.receiver import problems
from number_orders.receiver.problems import Problem

TOKEN = "hush-hush-hush"


@pytest.mark.parametrize("error", [Problem("unknown-path", "gone"), RuntimeError("a bug")])
def test_the_log_does_not_tell_addresses_for_notices(error: Exception) -> None:
    app = FastAPI()
    problems.install(app)
    kind = Problem if isinstance(error, Problem) else Exception
    for path, shown in ((f"/notices/cm/ref-1/{TOKEN}", "/notices/…"), ("/v1/orders", "/v1/orders")):
        request = Request({"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b""})
        with capture_logs() as lines:
            asyncio.run(app.exception_handlers[kind](request, error))  # type: ignore[arg-type]
        assert [line["path"] for line in lines] == [shown]
        assert TOKEN not in str(lines)
