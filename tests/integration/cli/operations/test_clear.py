"""`alarms --clear` and `letters --clear` remove exactly what was named."""

import json

import pytest

from tests.integration.cli.conftest import Backend, Command


def test_an_alarm_is_cleared_until_it_happens_again(backend: Backend, command: Command) -> None:
    order_id = backend.order("a")
    backend.raise_trouble(order_id)

    cleared = command("alarms", "--clear", "1", "--by", "ana", columns=None)

    assert cleared.exit_code == 0
    assert cleared.stdout.startswith(f"alarm 1  overdue  {order_id}  ")
    assert command("alarms").stdout == "no alarms\n"
    backend.raise_trouble(order_id)
    (alarm,) = json.loads(command("alarms", "--json").stdout)
    assert (alarm["alarm_id"], alarm["times"], alarm["cleared_by"]) == (1, 6, "ana")
    assert "put away before by ana" in command("alarms", columns=None).stdout


def test_all_alarms_are_cleared_at_once_and_printed(backend: Backend, command: Command) -> None:
    order_id = backend.order("a")
    backend.raise_trouble(order_id)

    assert [alarm["what"] for alarm in json.loads(command("alarms", "--clear-all", "--json").stdout)] == ["overdue"]
    assert command("alarms", "--clear-all").stdout == "no alarms\n"


def test_dead_letters_are_deleted_one_by_one(backend: Backend, command: Command) -> None:
    order_id = backend.order("a")
    for _ in range(3):
        backend.raise_trouble(order_id)

    deleted = command("letters", "--clear", "1", "3", columns=None)

    assert deleted.exit_code == 0
    assert "letter 1  queue orders" in deleted.stdout
    assert [letter["letter_id"] for letter in json.loads(command("letters", "--json").stdout)] == [2]


@pytest.mark.parametrize("verb", ["alarms", "letters"])
def test_unknown_ids_are_an_error(backend: Backend, command: Command, verb: str) -> None:
    backend.raise_trouble(backend.order("a"))

    result = command(verb, "--clear", "1", "7", "9", columns=None)

    assert result.exit_code == 1
    assert f"not there: {verb.removesuffix('s')} 7, 9" in result.stderr
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
def test_wrong_combinations_of_ids_and_options_are_refused(command: Command, words: tuple[str, ...]) -> None:
    assert command(*words).exit_code == 2
