"""`parked` shows every parked order with its evidence and the whole commands that decide."""

import asyncio
import json

import pytest

from number_orders.cli.services import open_services
from number_orders.ledger.history import Receipt
from number_orders.orders.events import (
    AnswerLost,
    Parked,
    SubmissionBegun,
)
from number_orders.orders.model import OrderId
from tests.integration.cli.conftest import Backend, Command


async def _receipts(backend: Backend, order_id: OrderId) -> None:
    async with open_services(backend.settings) as services:
        lost = Receipt(order_id, "POST /orders", 30_000, trouble="no answer: ReadTimeout", sent="<Order/>")
        await services.ledger.history.keep_receipts([lost])
        looked = [
            Receipt(order_id, f"GET /orders?page={page}", 12, status=200, answer="<Listed/>") for page in range(20)
        ]
        await services.ledger.history.keep_receipts(
            [*looked, Receipt(order_id, "GET /orders", 9, status=500, answer="oh\x1b[2Jno")]
        )


@pytest.mark.parametrize("columns", [80, 120, None])
def test_parked_orders_come_with_their_evidence_and_whole_commands(
    backend: Backend, command: Command, columns: int | None
) -> None:
    """Everything that was sent is shown, however much was asked since; no command is broken over lines."""
    order_id = backend.order(
        "crm-1", SubmissionBegun(), AnswerLost("timed out"), Parked("the answer was lost three times")
    )
    backend.order("crm-2")
    asyncio.run(_receipts(backend, order_id))

    result = command("parked", columns=columns).stdout

    assert "crm-2" not in result
    reference = json.loads(command("show", order_id, "--json").stdout)["reference"]
    assert f"our reference there: {reference}" in " ".join(result.split())
    for piece in ("the answer was lost three times", "→ NO ANSWER after 30 s: ReadTimeout", "→ HTTP 500", "< oh [2Jno"):
        assert piece in " ".join(result.split())
    assert f"more in between: number-orders show {order_id} --all" in result
    assert "<Listed/>" not in result
    for as_ in ("adopted:CARRIER_ORDER_ID", "send-again", "failed"):
        assert f'\n  number-orders resolve {order_id} --as {as_} --why "…"\n' in result


def test_parked_orders_have_json(backend: Backend, command: Command) -> None:
    order_id = backend.order("crm-1", SubmissionBegun(), Parked("nobody knows"))
    asyncio.run(_receipts(backend, order_id))

    (row,) = json.loads(command("parked", "--json").stdout)

    assert (row["key"], row["sends"], row["events"][-1]["event"]) == ("crm-1", 1, "Parked")
    sent = [each for each in row["evidence"] if each["what"] == "sent"]
    assert [each["words"] for each in sent] == ["POST /orders → NO ANSWER after 30 s: ReadTimeout"]
    assert [each["command"].split(" --as ")[1].split()[0] for each in row["commands"]] == [
        "adopted:CARRIER_ORDER_ID",
        "send-again",
        "failed",
    ]
    assert command("parked", "--carrier", "cm", columns=None).stdout == "nothing waits for a person\n"
