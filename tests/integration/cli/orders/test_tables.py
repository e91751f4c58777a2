"""`list`, `alarms` and `letters` print rows for people and for machines."""

import asyncio
import json
from typing import Any

import pytest

from number_orders.cli.services import open_services
from number_orders.orders.alarms import Alarm
from number_orders.orders.events import Acknowledged, CancelAsked, Filled, Refused, SubmissionBegun
from number_orders.orders.model import CarrierOrderId, NumberResult, NumberState
from number_orders.orders.numbers import E164
from tests.integration.cli.conftest import Backend, Command


def keys(command: Command, *words: str) -> list[str]:
    result = command("list", "--json", *words)
    assert result.exit_code == 0, result.stderr
    return [row["key"] for row in json.loads(result.stdout)]


def test_orders_are_listed_newest_first_and_filtered(backend: Backend, command: Command) -> None:
    backend.order("waiting")
    backend.order("called-back", CancelAsked("kim"))
    backend.order("refused", SubmissionBegun(), Refused("no"))

    assert keys(command) == ["refused", "called-back", "waiting"]
    assert keys(command, "--state", "failed", "--state", "CANCELLED") == ["refused", "called-back"]
    assert keys(command, "--carrier", "bandwidth", "--kind", "new_numbers", "--limit", "2") == [
        "refused",
        "called-back",
    ]
    assert keys(command, "--carrier", "telco") == []
    assert keys(command, "--older-than", "2h") == []
    assert len(keys(command, "--younger-than", "2h")) == 3
    assert keys(command, "--key", "waiting") == ["waiting"]
    assert keys(command, "--producer", "default", "--state", "ACCEPTED") == ["waiting"]
    assert keys(command, "--producer", "shop") == []


def test_orders_are_found_by_a_number(backend: Backend, command: Command) -> None:
    """By one that an order has brought, and by one that an unfinished order names."""
    number = E164("+19195550100")
    got = (NumberResult(number, NumberState.ACQUIRED),)
    backend.order(
        "brought",
        SubmissionBegun(),
        Acknowledged(CarrierOrderId("77"), "RECEIVED"),
        Filled("COMPLETED", got),
        quantity=1,
    )
    backend.order("names", kind="remove_numbers", criteria=None, quantity=None, numbers=[number])
    backend.order("other")

    assert keys(command, "--number", number) == ["names", "brought"]
    assert keys(command, "--number", number, "--key", "names") == ["names"]
    wrong = command("list", "--number", "919")
    assert (wrong.exit_code, "--number: 919" in wrong.stderr) == (2, True)


def test_a_list_has_as_many_columns_as_fit(backend: Backend, command: Command) -> None:
    order_id = backend.order("a" * 60, SubmissionBegun(), Refused("no numbers left in this area code"))

    narrow, wide, piped = (command("list", columns=columns).stdout for columns in (80, 140, None))

    assert all(str(order_id) in result for result in (narrow, wide, piped))
    assert max(map(len, narrow.splitlines())) <= 80
    assert "WANTS" not in narrow
    assert "bandwidth" in wide
    (_, row) = piped.splitlines()
    assert row.split() == [
        *(str(order_id), "a" * 60, "FAILED", *row.split()[3:5], "default", "bandwidth", "new_numbers", "3"),
        *("no", "numbers", "left", "in", "this", "area", "code"),
    ]


def test_an_empty_list_says_so_and_a_full_one_that_there_may_be_more(backend: Backend, command: Command) -> None:
    assert command("list").stdout == "no such orders\n"
    assert json.loads(command("list", "--json").stdout) == []
    backend.order("a")
    backend.order("b")
    assert "the newest 1; --limit shows more" in command("list", "--limit", "1").stdout
    assert "--limit" not in command("list", "--limit", "3").stdout


@pytest.mark.parametrize(
    "words", [("--state", "LOST"), ("--older-than", "soon"), ("--limit", "0"), ("--kind", "port_in"), ("--what",)]
)
def test_a_filter_that_cannot_be_read_is_a_usage_error(command: Command, words: tuple[str, ...]) -> None:
    assert command("list", *words).exit_code == 2


def test_alarms_and_dead_letters_are_printed_and_steer_no_terminal(backend: Backend, command: Command) -> None:
    assert command("alarms").stdout == "no alarms\n"
    assert command("letters").stdout == "no dead letters\n"
    order_id = backend.order("a")
    backend.raise_trouble(order_id)

    alarms, letters = command("alarms", columns=None).stdout, command("letters", columns=None).stdout

    assert alarms.startswith(f"alarm 1  overdue  {order_id}  ")
    assert "3 times since" in alarms
    assert "still [2J OPEN" in alarms
    assert "letter 1  queue orders, task t-1, 11 bytes" in letters
    assert "it cannot be read: JSONDecodeError" in letters
    assert "{\ufffd [2Jrest" in letters
    assert "\x1b" not in alarms + letters


def test_alarms_and_dead_letters_have_json(backend: Backend, command: Command) -> None:
    order_id = backend.order("a")
    backend.raise_trouble(order_id)

    (alarm,) = json.loads(command("alarms", "--json").stdout)
    (letter,) = json.loads(command("letters", "--json").stdout)

    assert (alarm["what"], alarm["order_id"], alarm["times"]) == ("overdue", str(order_id), 3)
    assert (letter["task_id"], letter["headers"], letter["size"]) == ("t-1", {"lang": "py"}, 11)


@pytest.mark.parametrize("subject", ["order", "carrier"])
def test_an_alarm_says_where_to_look(backend: Backend, command: Command, subject: str) -> None:
    order_id = backend.order("crm-1")
    about: dict[str, Any] = {"order_id": order_id} if subject == "order" else {}

    async def raised() -> None:
        async with open_services(backend.settings) as services:
            await services.ledger.alarms.raise_alarm(Alarm.OVERDUE, "x", carrier="bandwidth", **about)

    asyncio.run(raised())
    result = command("alarms", columns=None).stdout
    assert (f"→ number-orders show {order_id}" if about else "→ number-orders doctor") in result
    assert "docs/runbook.md" in result
