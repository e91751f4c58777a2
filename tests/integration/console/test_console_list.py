"""`list`, `alarms` and `letters`: rows for people and for machines."""

import asyncio
import json

import pytest

from number_orders.cli.services import open_services
from number_orders.ledger.dead_letters import DeadLetter
from number_orders.ledger.ledger import Ledger
from number_orders.orders.events import CancelAsked, Refused, SubmissionBegun
from number_orders.orders.model import OrderId
from tests.integration.console.conftest import Command, House


def keys(command: Command, *words: str) -> list[str]:
    told = command("list", "--json", *words)
    assert told.exit_code == 0, told.stderr
    return [row["key"] for row in json.loads(told.stdout)]


def test_orders_are_listed_newest_first_and_filtered(house: House, command: Command) -> None:
    house.order("waiting")
    house.order("called-back", CancelAsked("kim"))
    house.order("refused", SubmissionBegun(), Refused("no"))

    assert keys(command) == ["refused", "called-back", "waiting"]
    assert keys(command, "--state", "failed", "--state", "CANCELLED") == ["refused", "called-back"]
    assert keys(command, "--carrier", "bandwidth", "--kind", "new_numbers", "--limit", "2") == [
        "refused",
        "called-back",
    ]
    assert keys(command, "--carrier", "telco") == []
    assert keys(command, "--older-than", "2h") == []
    assert len(keys(command, "--younger-than", "2h")) == 3


def test_a_list_has_as_many_columns_as_there_is_room_for(house: House, command: Command) -> None:
    order_id = house.order("a" * 60, SubmissionBegun(), Refused("no numbers left in this area code"))

    narrow, wide, piped = (command("list", columns=columns).stdout for columns in (80, 140, None))

    assert all(str(order_id) in told for told in (narrow, wide, piped))
    assert max(map(len, narrow.splitlines())) <= 80
    assert "WANTS" not in narrow
    assert "bandwidth" in wide
    (_, row) = piped.splitlines()
    assert row.split() == [
        *(str(order_id), "a" * 60, "FAILED", *row.split()[3:5], "bandwidth", "new_numbers", "3"),
        *("no", "numbers", "left", "in", "this", "area", "code"),
    ]


def test_an_empty_list_says_so_and_a_full_one_that_there_may_be_more(house: House, command: Command) -> None:
    assert command("list").stdout == "no such orders\n"
    assert json.loads(command("list", "--json").stdout) == []
    house.order("a")
    house.order("b")
    assert "the newest 1; --limit shows more" in command("list", "--limit", "1").stdout
    assert "--limit" not in command("list", "--limit", "3").stdout


@pytest.mark.parametrize(
    "words", [("--state", "LOST"), ("--older-than", "soon"), ("--limit", "0"), ("--kind", "port_in"), ("--what",)]
)
def test_a_filter_that_cannot_be_read_is_a_usage_error(command: Command, words: tuple[str, ...]) -> None:
    assert command("list", *words).exit_code == 2


async def _trouble(house: House, order_id: OrderId) -> None:
    async with open_services(house.settings) as services:
        ledger: Ledger = services.ledger
        for _ in range(3):
            await ledger.alarms.raise_alarm(
                "overdue", str(order_id), carrier="bandwidth", order_id=order_id, detail="still\x1b[2J OPEN"
            )
        letter = DeadLetter.of(
            queue="orders",
            why="cannot be read: JSONDecodeError",
            task_id="t-1",
            headers={"lang": "py"},
            body=b"{\xff\x1b[2Jrest!",
        )
        await ledger.dead_letters.store(letter)


def test_alarms_and_dead_letters_are_shown_and_steer_no_terminal(house: House, command: Command) -> None:
    assert command("alarms").stdout == "no alarms\n"
    assert command("letters").stdout == "no dead letters\n"
    order_id = house.order("a")
    asyncio.run(_trouble(house, order_id))

    alarms, letters = command("alarms", columns=None).stdout, command("letters", columns=None).stdout

    assert alarms.startswith(f"alarm 1  overdue  {order_id}  ")
    assert "3 times since" in alarms
    assert "still [2J OPEN" in alarms
    assert "letter 1  queue orders, task t-1, 11 bytes" in letters
    assert "it cannot be read: JSONDecodeError" in letters
    assert "{\ufffd [2Jrest" in letters
    assert "\x1b" not in alarms + letters


def test_alarms_and_dead_letters_are_told_to_machines(house: House, command: Command) -> None:
    order_id = house.order("a")
    asyncio.run(_trouble(house, order_id))

    (alarm,) = json.loads(command("alarms", "--json").stdout)
    (letter,) = json.loads(command("letters", "--json").stdout)

    assert (alarm["what"], alarm["order_id"], alarm["times"]) == ("overdue", str(order_id), 3)
    assert (letter["task_id"], letter["headers"], letter["size"]) == ("t-1", {"lang": "py"}, 11)


def test_an_alarm_is_put_away_until_it_happens_again(house: House, command: Command) -> None:
    order_id = house.order("a")
    asyncio.run(_trouble(house, order_id))

    cleared = command("alarms", "--clear", "1", columns=None)

    assert cleared.exit_code == 0
    assert cleared.stdout.startswith(f"alarm 1  overdue  {order_id}  ")
    assert command("alarms").stdout == "no alarms\n"
    asyncio.run(_trouble(house, order_id))
    (alarm,) = json.loads(command("alarms", "--json").stdout)
    assert (alarm["alarm_id"], alarm["times"]) == (1, 6)


def test_all_alarms_are_put_away_at_once_and_shown_as_they_go(house: House, command: Command) -> None:
    order_id = house.order("a")
    asyncio.run(_trouble(house, order_id))

    assert [alarm["what"] for alarm in json.loads(command("alarms", "--clear-all", "--json").stdout)] == ["overdue"]
    assert command("alarms", "--clear-all").stdout == "no alarms\n"


def test_dead_letters_are_deleted_one_by_one(house: House, command: Command) -> None:
    order_id = house.order("a")
    for _ in range(3):
        asyncio.run(_trouble(house, order_id))

    deleted = command("letters", "--clear", "1", "3", columns=None)

    assert deleted.exit_code == 0
    assert "letter 1  queue orders" in deleted.stdout
    assert [letter["letter_id"] for letter in json.loads(command("letters", "--json").stdout)] == [2]


@pytest.mark.parametrize("verb", ["alarms", "letters"])
def test_what_is_not_there_cannot_be_put_away(house: House, command: Command, verb: str) -> None:
    asyncio.run(_trouble(house, house.order("a")))

    told = command(verb, "--clear", "1", "7", "9", columns=None)

    assert told.exit_code == 1
    assert f"not there: {verb.removesuffix('s')} 7, 9" in told.stderr
    assert command(verb).stdout in {"no alarms\n", "no dead letters\n"}


@pytest.mark.parametrize(
    "words",
    [
        ("alarms", "1"),
        ("alarms", "--clear"),
        ("alarms", "--clear", "one"),
        ("alarms", "--clear", "0"),
        ("alarms", "--clear", "99999999999999999999"),
        ("alarms", "--clear-all", "1"),
        ("alarms", "--clear", "--clear-all"),
        ("letters", "1"),
        ("letters", "--clear"),
        ("letters", "--clear-all"),
    ],
)
def test_nothing_is_put_away_that_was_not_named(command: Command, words: tuple[str, ...]) -> None:
    assert command(*words).exit_code == 2
