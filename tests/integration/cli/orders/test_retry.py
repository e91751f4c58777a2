"""`retry` makes due now what waits, and says why it leaves an order as it was."""

import asyncio
import json
from datetime import timedelta

import pytest

from number_orders.cli.services import open_services, whoami
from number_orders.orders.events import (
    Acknowledged,
    AnswerLost,
    Deferred,
    Filled,
    NotSent,
    Parked,
    SubmissionBegun,
)
from number_orders.orders.model import CarrierOrderId, Lane, NumberResult, NumberState
from number_orders.orders.numbers import E164
from tests.integration.cli.conftest import BANDWIDTH, Backend, Command
from workers.clock import utc_now

THEIRS = CarrierOrderId("6a1bde32-55a0-4b39-9b4e-0d4a7c19a2f0")
GOT = (NumberResult(E164("+19195550100"), NumberState.ACQUIRED),)
SENT = (SubmissionBegun(), Acknowledged(THEIRS, "RECEIVED"))
NOTIFY = {"notify": {"task": "crm.ended", "queue": "crm"}}


def test_each_order_is_due_now_or_says_why_not(backend: Backend, command: Command) -> None:
    backend.order("lost", SubmissionBegun(), AnswerLost("timed out"))
    backend.order("unsent", SubmissionBegun(), NotSent("refused"))
    backend.order("parked", Parked("x"))
    backend.order("ruled", SubmissionBegun(), Deferred("tainted", utc_now() + timedelta(hours=1)))
    backend.limit("ORDER", "HTTP 429")

    result = command("retry", "lost", "unsent", "parked", "ruled", "--why", "the customer calls", columns=None)

    assert result.exit_code == 1
    for piece in ("is asked about now", "is sent now", "a person decides what becomes of it", "a rule holds it back"):
        assert result.stdout.count(piece) == 1, result.stdout
    assert "held back all the same: bandwidth: wants no ORDER requests until" in result.stdout
    assert f"{whoami()} asked for a retry" in command("explain", "unsent", columns=None).stdout
    assert f"retry asked by {whoami()}: the customer calls" in command("show", "lost", columns=None).stdout


def test_a_lost_notification_is_sent_again(backend: Backend, command: Command) -> None:
    """A waiting notification is due now; one that was sent is sent again only on demand."""
    order_id = backend.order("crm-1", *SENT, Filled("COMPLETED", GOT), **NOTIFY)

    assert f"number-orders retry {order_id}" in command("show", "crm-1", columns=None).stdout
    waiting = json.loads(command("retry", "crm-1", "--json").stdout)
    asyncio.run(_tell(backend))
    result = command("retry", "crm-1", columns=None)
    again = json.loads(command("retry", "crm-1", "--lane", "tell", "--by", "ana", "--json").stdout)

    assert [waiting["orders"][0][name] for name in ("state", "lanes", "refused")] == ["COMPLETED", ["tell"], None]
    assert (result.exit_code, "`--lane tell` tells it again" in result.stdout) == (1, True)
    assert again["orders"][0]["lanes"] == ["tell"]
    explained = command("explain", "crm-1", columns=None).stdout
    assert "Its producer is still to be notified" in explained
    assert "too late" not in explained + command("show", "crm-1", columns=None).stdout


async def _tell(backend: Backend) -> None:
    """Mark the notifications as delivered, as a worker does."""
    async with open_services(backend.settings) as services:
        claims = await services.ledger.schedule.claim(BANDWIDTH, Lane.TELL, limit=10, lease=timedelta(minutes=1))
        assert claims is not None
        untold = await services.ledger.outbox.pending([claim.order.order_id for claim in claims.claims], "task")
        await services.ledger.outbox.mark_delivered(claims, claims.claims, untold, "task")


def test_all_orders_that_wait_at_a_carrier_are_due_now(backend: Backend, command: Command) -> None:
    ids = [backend.order(f"crm-{n}", SubmissionBegun(), AnswerLost("timed out")) for n in range(3)]

    result = json.loads(command("retry", "--carrier", "bandwidth", "--lane", "ask", "--json").stdout)

    assert sorted(row["order_id"] for row in result["orders"]) == sorted(map(str, ids))
    assert command("retry", "--carrier", "bandwidth", columns=None).stdout == "nothing waits there\n"


@pytest.mark.parametrize(
    "words", [(), ("crm-1", "--carrier", "bandwidth"), ("crm-1", "--by", " "), ("a", "--lane", "x")]
)
def test_orders_or_a_carrier_must_be_named(backend: Backend, command: Command, words: tuple[str, ...]) -> None:
    backend.order("crm-1")
    assert command("retry", *words).exit_code == 2
