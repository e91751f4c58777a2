"""`parked`, `park`, `retry`: what is shown at three in the morning can be acted on, and what is typed is done."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from number_orders.cli.services import open_services, whoami
from number_orders.ledger.history import Receipt
from number_orders.orders.alarms import Alarm
from number_orders.orders.events import (
    Acknowledged,
    AnswerLost,
    Deferred,
    Filled,
    NotSent,
    Parked,
    StillOpen,
    SubmissionBegun,
)
from number_orders.orders.model import CarrierOrderId, Lane, NumberResult, NumberState, OrderId
from number_orders.orders.numbers import E164
from tests.integration.console.conftest import BANDWIDTH, Command, House
from workers.clock import utc_now

THEIRS = CarrierOrderId("6a1bde32-55a0-4b39-9b4e-0d4a7c19a2f0")
GOT = (NumberResult(E164("+19195550100"), NumberState.ACQUIRED),)
OPEN = (SubmissionBegun(), Acknowledged(THEIRS, "RECEIVED"), StillOpen("BACKORDERED", GOT))
TOLD = {"notify": {"task": "crm.ended", "queue": "crm"}}


async def _receipts(house: House, order_id: OrderId) -> None:
    async with open_services(house.settings) as services:
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
    house: House, command: Command, columns: int | None
) -> None:
    """Whatever was sent stands there, however much was asked since; no command is broken over lines."""
    order_id = house.order(
        "crm-1", SubmissionBegun(), AnswerLost("timed out"), Parked("the answer was lost three times")
    )
    house.order("crm-2")
    asyncio.run(_receipts(house, order_id))

    told = command("parked", columns=columns).stdout

    assert "crm-2" not in told
    assert f"our reference there: {order_id}" in " ".join(told.split())
    for piece in ("the answer was lost three times", "→ NO ANSWER after 30 s: ReadTimeout", "→ HTTP 500", "< oh [2Jno"):
        assert piece in " ".join(told.split())
    assert f"more in between: number-orders show {order_id} --all" in told
    assert "<Listed/>" not in told
    for as_ in ("adopted:CARRIER_ORDER_ID", "send-again", "failed"):
        assert f'\n  number-orders resolve {order_id} --as {as_} --why "…"\n' in told


def test_parked_orders_are_told_to_machines(house: House, command: Command) -> None:
    order_id = house.order("crm-1", SubmissionBegun(), Parked("nobody knows"))
    asyncio.run(_receipts(house, order_id))

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


def test_an_order_that_is_parked_and_closed_keeps_what_it_has(house: House, command: Command) -> None:
    """With who did each, and why; sending again what was bought is not offered, and refused."""
    order_id = house.order("crm-1", *OPEN)

    parked = command("park", "crm-1", "--why", "ticket 4711", "--by", "ana", columns=None)

    assert (parked.exit_code, parked.stdout) == (0, f"PARKED {order_id} ana: ticket 4711\n")
    shown = command("parked", columns=None).stdout
    assert f"--as adopted:{THEIRS}" in shown
    assert "it ends PARTIAL, with the 1 of 3 numbers that are done" in shown
    assert "--as send-again" not in shown
    refused = command("resolve", "crm-1", "--as", "send-again", "--why", "impatient")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "1 number of it is there already, and would be bought twice" in refused.stderr
    closed = command("resolve", "crm-1", "--as", "failed", "--why", "the customer left", "--by", "kim", columns=None)
    assert closed.stdout == f"PARTIAL {order_id} kim: the customer left\n"
    story = command("show", "crm-1", columns=None).stdout
    assert "set aside for a person by ana: ticket 4711" in story
    assert "closed with what was done by then, by kim: the customer left" in story
    assert command("park", "crm-1", "--why", "again").exit_code == 1


def test_orders_are_tried_now_each_with_what_is_done_or_why_not(house: House, command: Command) -> None:
    house.order("lost", SubmissionBegun(), AnswerLost("timed out"))
    house.order("unsent", SubmissionBegun(), NotSent("refused"))
    house.order("parked", Parked("x"))
    house.order("ruled", SubmissionBegun(), Deferred("tainted", utc_now() + timedelta(hours=1)))
    house.limit("ORDER", "HTTP 429")

    told = command("retry", "lost", "unsent", "parked", "ruled", "--why", "the customer calls", columns=None)

    assert told.exit_code == 1
    for piece in ("is asked about now", "is sent now", "a person decides what becomes of it", "a rule holds it back"):
        assert told.stdout.count(piece) == 1, told.stdout
    assert "held back all the same: bandwidth: wants no ORDER requests until" in told.stdout
    assert f"{whoami()} wanted the next try at once" in command("explain", "unsent", columns=None).stdout
    assert f"wanted now by {whoami()}: the customer calls" in command("show", "lost", columns=None).stdout


def test_a_lost_telling_is_told_again(house: House, command: Command) -> None:
    """An end that waits to be told is told sooner; one that was told, once more and only on demand."""
    order_id = house.order("crm-1", *OPEN[:2], Filled("COMPLETED", GOT), **TOLD)

    assert f"number-orders retry {order_id}" in command("show", "crm-1", columns=None).stdout
    waiting = json.loads(command("retry", "crm-1", "--json").stdout)
    asyncio.run(_tell(house))
    told = command("retry", "crm-1", columns=None)
    again = json.loads(command("retry", "crm-1", "--lane", "tell", "--by", "ana", "--json").stdout)

    assert [waiting["orders"][0][name] for name in ("state", "lanes", "refused")] == ["COMPLETED", ["tell"], None]
    assert (told.exit_code, "`--lane tell` tells it again" in told.stdout) == (1, True)
    assert again["orders"][0]["lanes"] == ["tell"]
    explained = command("explain", "crm-1", columns=None).stdout
    assert "Its producer is still to be told" in explained
    assert "too late" not in explained + command("show", "crm-1", columns=None).stdout


async def _tell(house: House) -> None:
    """Tell what is to be told, as a worker does."""
    async with open_services(house.settings) as services:
        claims = await services.ledger.schedule.claim(BANDWIDTH, Lane.TELL, limit=10, lease=timedelta(minutes=1))
        assert claims is not None
        untold = await services.ledger.outbox.pending([claim.order.order_id for claim in claims.claims], "task")
        await services.ledger.outbox.mark_delivered(claims, claims.claims, untold, "task")


def test_all_that_wait_at_a_carrier_are_tried(house: House, command: Command) -> None:
    ids = [house.order(f"crm-{n}", SubmissionBegun(), AnswerLost("timed out")) for n in range(3)]

    told = json.loads(command("retry", "--carrier", "bandwidth", "--lane", "ask", "--json").stdout)

    assert sorted(row["order_id"] for row in told["orders"]) == sorted(map(str, ids))
    assert command("retry", "--carrier", "bandwidth", columns=None).stdout == "nothing waits there\n"


@pytest.mark.parametrize(
    "words", [(), ("crm-1", "--carrier", "bandwidth"), ("crm-1", "--by", " "), ("a", "--lane", "x")]
)
def test_what_to_try_must_be_said(house: House, command: Command, words: tuple[str, ...]) -> None:
    house.order("crm-1")
    assert command("retry", *words).exit_code == 2


@pytest.mark.parametrize("subject", ["order", "carrier"])
def test_an_alarm_says_where_to_look(house: House, command: Command, subject: str) -> None:
    order_id = house.order("crm-1")
    about: dict[str, Any] = {"order_id": order_id} if subject == "order" else {}

    async def raised() -> None:
        async with open_services(house.settings) as services:
            await services.ledger.alarms.raise_alarm(Alarm.OVERDUE, "x", carrier="bandwidth", **about)

    asyncio.run(raised())
    told = command("alarms", columns=None).stdout
    assert (f"→ number-orders show {order_id}" if about else "→ number-orders doctor") in told
    assert "docs/runbook.md" in told
