"""`show` and `explain` on orders in every state, as the ledger stores them."""

import asyncio
import json
from typing import Any

import pytest

from number_orders.cli.services import open_services
from number_orders.ledger.history import Receipt
from number_orders.orders.events import (
    Acknowledged,
    AnswerLost,
    CancelAsked,
    Event,
    Filled,
    FilledWithErrors,
    FoundTwice,
    NotListed,
    NotSent,
    PartlyFilled,
    Refused,
    StillOpen,
    SubmissionBegun,
)
from number_orders.orders.model import CarrierOrderId, Lane, NumberResult, NumberState, OrderId
from number_orders.orders.numbers import E164
from tests.integration.cli.conftest import Backend, Command

THEIRS = CarrierOrderId("6a1bde32-55a0-4b39-9b4e-0d4a7c19a2f0")
OTHERS = CarrierOrderId("77aa0000-55a0-4b39-9b4e-0d4a7c19a2f0")
SENT = (SubmissionBegun(), Acknowledged(THEIRS, "RECEIVED"))
NUMBERS = [E164(f"+1919555{i:04}") for i in range(100, 140)]


def got(*numbers: E164) -> tuple[NumberResult, ...]:
    return tuple(NumberResult(number, NumberState.ACQUIRED) for number in numbers)


def lost(*numbers: E164) -> tuple[NumberResult, ...]:
    return tuple(NumberResult(number, NumberState.FAILED, "5005", "is not available") for number in numbers)


CASES: list[tuple[tuple[Event, ...], dict[str, Any], list[str]]] = [
    (
        (),
        {"not_before": "2031-01-01T00:00:00Z"},
        [
            "ACCEPTED",
            "Its producer asked for it to be sent later.",
            "at 2031-01-01 00:00:00 UTC, in ",
            "to be sent",
            "scheduled",
        ],
    ),
    (
        (SubmissionBegun(), NotSent("HTTP 503")),
        {},
        [
            "ACCEPTED",
            "The last attempt to send it failed",
            "safe to send it again",
            "the attempt failed, to be sent again: HTTP 503",
        ],
    ),
    (
        (SubmissionBegun(),),
        {},
        ["SUBMITTING", "has no answer yet", "it is in doubt: bandwidth is asked", "to be asked about"],
    ),
    (
        (SubmissionBegun(), AnswerLost("no answer within 30 s"), NotListed("the list of orders")),
        {},
        [
            "IN_DOUBT",
            "Nobody knows whether bandwidth has it: no answer within 30 s",
            "not sent again before bandwidth's records are searched",
            "Searched once so far (the list of orders)",
            "Next, a worker asks bandwidth about it at",
            "the answer is lost: no answer within 30 s",
        ],
    ),
    (
        (*SENT, StillOpen("BACKORDERED", got(NUMBERS[0]), "awaiting stock", slow=True)),
        {"allow_backorder": True},
        [
            "OPEN",
            f"bandwidth has it as order {THEIRS}; the last status was BACKORDERED.",
            "days rather than seconds",
            "1 of 3 numbers are there already.",
            "backorder allowed",
            str(NUMBERS[0]),
        ],
    ),
    (
        (SubmissionBegun(), AnswerLost("reset"), FoundTwice((THEIRS, OTHERS))),
        {},
        [
            "PARKED",
            "for a person to decide",
            str(THEIRS),
            str(OTHERS),
            f"--as adopted:{OTHERS}",
            "answers lost: 1",
        ],
    ),
    (
        (*SENT, PartlyFilled("PARTIAL", (*got(NUMBERS[0], NUMBERS[1]), *lost(NUMBERS[2])), "1 could not be had")),
        {},
        [
            "PARTIAL",
            "bandwidth ended it with 2 of 3 numbers there: 1 could not be had.",
            "1 with 5005 is not available",
            "new order with a new key",
            "2 of 3 there (2 acquired, 1 failed)",
        ],
    ),
    (
        (SubmissionBegun(), Refused("no numbers left", "5023", "FAILED")),
        {},
        ["FAILED", "bandwidth refused it: no numbers left (code 5023).", "Nothing was bought", "0 of 3 there"],
    ),
    (
        (*SENT, FilledWithErrors("COMPLETE", got(NUMBERS[0]), "the lists contradict the status")),
        {},
        ["COMPLETED_WITH_ERRORS", "says that it is done, but: the lists contradict the status."],
    ),
    (
        (CancelAsked("kim", "typo"),),
        {},
        ["CANCELLED", "kim cancelled it", "cancel asked by kim", "typo", "Nothing was bought."],
    ),
    (
        (*SENT, Filled("COMPLETED", got(*NUMBERS[:3]))),
        {},
        ["COMPLETED", "All 3 numbers are there: bandwidth completed the order", "3 of 3 there (3 acquired)"],
    ),
]


@pytest.mark.parametrize(("events", "changes", "shown"), CASES, ids=[shown[0] for _, _, shown in CASES])
def test_show_says_what_happened_and_what_happens_next(
    backend: Backend, command: Command, events: tuple[Event, ...], changes: dict[str, Any], shown: list[str]
) -> None:
    order_id = backend.order("crm-1", *events, **changes)

    piped, narrow = (command("show", str(order_id), columns=columns) for columns in (None, 80))

    assert (piped.exit_code, narrow.exit_code) == (0, 0)
    assert [words for words in shown if words not in piped.stdout] == []
    assert piped.stdout.startswith(f"{shown[0]}  {order_id}\n")
    explained = " ".join(json.loads(command("explain", "crm-1", "--json").stdout)["explanation"])
    unbroken = " ".join(narrow.stdout.split())
    assert [words for words in shown if words in explained and words not in unbroken] == []
    lines = [line for line in narrow.stdout.splitlines() if not line.startswith("  number-orders ")]  # to be copied
    assert max(map(len, lines)) <= 80


def test_a_claimed_order_says_so(backend: Backend, command: Command) -> None:
    backend.order("crm-1")
    backend.claim(Lane.SUBMIT)

    assert "A worker is working on it now; if that worker dies" in command("explain", "crm-1", columns=None).stdout
    assert "a worker has it, its lease ends" in command("show", "crm-1", columns=None).stdout


def test_a_met_limit_is_shown_with_its_reason(backend: Backend, command: Command) -> None:
    backend.order("crm-1")
    backend.limit("ORDER", "HTTP 429: too many requests")

    result = command("show", "crm-1", columns=None).stdout

    assert "bandwidth wants no ORDER requests until" in result
    assert result.count("HTTP 429: too many requests") == 2


def test_explain_prints_the_sentences_only(backend: Backend, command: Command) -> None:
    order_id = backend.order("crm-1")

    result = command("explain", "crm-1", columns=None)

    assert result.stdout.splitlines()[-1] == (
        f"Until it is sent, it can be cancelled: `number-orders cancel {order_id}`."
    )
    machine = json.loads(command("explain", str(order_id), "--json").stdout)
    assert machine["order_id"] == str(order_id)
    assert machine["state"] == "ACCEPTED"
    assert len(machine["explanation"]) == len(result.stdout.splitlines())


def test_show_json_has_the_document_and_more(backend: Backend, command: Command) -> None:
    backend.order("crm-1", *SENT, StillOpen("PROCESSING", got(NUMBERS[0])))

    result = json.loads(command("show", "crm-1", "--json").stdout)

    assert (result["state"], result["final"], result["carrier_status"]) == ("OPEN", False, "PROCESSING")
    assert result["numbers"] == [{"e164": NUMBERS[0], "state": "acquired", "code": None, "text": None}]
    assert [event["event"] for event in result["events"]][:2] == ["OrderAccepted", "SubmissionBegun"]
    assert [work_item["lane"] for work_item in result["waits_for"]] == ["ask"]
    assert result["request"]["quantity"] == 3
    assert "receipts" not in result


def test_long_lists_are_folded_with_failures_first(backend: Backend, command: Command) -> None:
    numbers = (*got(*NUMBERS[:30]), *lost(NUMBERS[35]))
    backend.order("crm-1", *SENT, PartlyFilled("PARTIAL", numbers, "1 could not be had"), quantity=31)

    folded = command("show", "crm-1").stdout
    whole = command("show", "crm-1", "--all").stdout

    assert "… and 19 numbers more: --all shows them" in folded
    assert NUMBERS[35] in folded
    assert NUMBERS[29] not in folded
    assert all(number.e164 in whole for number in numbers)
    assert "--all" not in whole


def test_named_numbers_are_listed_before_anything_is_known(backend: Backend, command: Command) -> None:
    backend.order("crm-1", criteria=None, quantity=None, numbers=list(NUMBERS[:5]))

    result = command("show", "crm-1").stdout

    assert f"to buy 5 numbers: {', '.join(NUMBERS[:3])} and 2 more" in result
    assert "0 of 5 there (5 requested)" in result
    assert f"{NUMBERS[4]}  requested" in result


def test_receipts_are_printed_on_demand_and_steer_no_terminal(backend: Backend, command: Command) -> None:
    order_id = backend.order("crm-1", SubmissionBegun(), Refused("no\x1b[2J sir", "5023"))
    asyncio.run(_keep(backend, order_id))

    result = command("show", "crm-1", "--receipts").stdout

    assert "1 request to the carrier" in result
    assert "POST /orders  HTTP 400  12 ms" in result
    assert "> <Order/>" in result
    assert "\x1b" not in result
    assert "<Order/>" not in command("show", "crm-1").stdout
    assert json.loads(command("show", "crm-1", "--receipts", "--json").stdout)["receipts"][0]["status"] == 400


async def _keep(backend: Backend, order_id: OrderId) -> None:
    async with open_services(backend.settings) as services:
        await services.ledger.history.keep_receipts(
            [Receipt(order_id, "POST /orders", 12, status=400, sent="<Order/>", answer="<No>\x1b[2J</No>")]
        )


def test_an_unknown_order_is_an_error(backend: Backend, command: Command) -> None:
    for verb in ("show", "explain", "cancel", "wait"):
        for name in ("crm-2", "01a200ff-5849-7019-8b02-d36a8282df6c", "\x1b[31m"):
            result = command(verb, name)

            assert result.exit_code == 3
            assert result.stdout == ""
            assert "in the ledger" in result.stderr
            assert "\x1b" not in result.stderr


def test_a_key_that_looks_like_an_id_finds_its_order(backend: Backend, command: Command) -> None:
    key = "01a200ff-5849-7019-8b02-d36a8282df6c"
    order_id = backend.order(key)

    assert str(order_id) in command("show", key).stdout
