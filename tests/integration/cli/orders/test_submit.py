"""`submit` reads a file as a whole, and accepts or refuses each order by itself."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli.conftest import Backend, Command


def order(key: str, **changes: Any) -> dict[str, Any]:
    return {
        "key": key,
        "carrier": "bandwidth",
        "kind": "new_numbers",
        "criteria": {"npa": "919"},
        "quantity": 1,
        **changes,
    }


def listed(command: Command) -> list[str]:
    return [row["key"] for row in json.loads(command("list", "--json", "--limit", "10000").stdout)]


def test_a_file_of_orders_becomes_tickets(backend: Backend, command: Command, tmp_path: Path) -> None:
    file = tmp_path / "orders.json"
    file.write_text(json.dumps([order("a"), order("b")]))

    result = command("submit", str(file))

    assert result.exit_code == 0
    assert [line.split()[1:] for line in result.stdout.splitlines()[1:]] == [["a", "ACCEPTED"], ["b", "ACCEPTED"]]
    assert result.stderr.splitlines()[-1] == "2 accepted"
    assert sorted(listed(command)) == ["a", "b"]


def test_one_object_comes_by_standard_input(backend: Backend, command: Command) -> None:
    result = command("submit", "-", "--json", stdin=json.dumps(order("a")))

    (ticket,) = json.loads(result.stdout)["tickets"]
    assert (ticket["key"], ticket["state"], ticket["new"]) == ("a", "ACCEPTED", True)
    assert command("show", ticket["order_id"]).exit_code == 0


def test_bad_orders_are_refused_by_line_field_and_rule_and_good_ones_are_taken(
    backend: Backend, command: Command
) -> None:
    lines = [order("a"), order("b", quantity=0), order("c", carrier="telco"), order("d", options={"x": True}), 42]

    result = command("submit", "-", columns=200, stdin="\n".join(json.dumps(line) for line in lines))

    assert result.exit_code == 1
    refused = result.stdout.split("REFUSED", 1)[1].splitlines()[1:]
    assert [line.split()[:4] for line in refused] == [
        ["line", "2", "b", "quantity"],
        ["line", "3", "c", "carrier"],
        ["line", "4", "d", "options.x"],
        ["line", "5", "order", "must"],
    ]
    assert result.stderr.splitlines()[-1] == "1 accepted, 4 refused"
    assert listed(command) == ["a"]


def test_json_has_refusals_with_their_index(backend: Backend, command: Command) -> None:
    result = command("submit", "-", "--json", stdin=json.dumps([order("a"), order("b", quantity=0)]))

    assert result.exit_code == 1
    (refused,) = json.loads(result.stdout)["refused"]
    assert (refused["at"], refused["key"], refused["faults"][0]["field"]) == (1, "b", "quantity")


def test_an_unreadable_file_submits_nothing(backend: Backend, command: Command) -> None:
    for text in (f"{json.dumps(order('a'))}\n{{nope}}", json.dumps([order("a")])[:-1], "", "[]", "\xff"):
        result = command("submit", "-", stdin=text.encode("latin-1"))

        assert result.exit_code == 2
        assert result.stdout == ""
        assert "standard input: " in result.stderr
        assert "nothing was submitted" in result.stderr
    assert listed(command) == []


def test_a_file_that_is_not_there_is_a_usage_error(backend: Backend, command: Command) -> None:
    result = command("submit", "nowhere.json")

    assert result.exit_code == 2
    assert "nowhere.json: No such file" in result.stderr


def test_the_same_file_twice_is_the_same_orders(backend: Backend, command: Command) -> None:
    text = json.dumps([order("a"), order("b")])
    first = json.loads(command("submit", "-", "--json", stdin=text).stdout)["tickets"]

    again = command("submit", "-", "--json", stdin=text)

    assert again.exit_code == 0
    assert json.loads(again.stdout)["tickets"] == [{**ticket, "new": False} for ticket in first]
    assert "known already" in command("submit", "-", stdin=text).stdout


def test_a_key_of_another_order_is_refused(backend: Backend, command: Command) -> None:
    command("submit", "-", stdin=json.dumps(order("a")))

    result = command("submit", "-", "--json", stdin=json.dumps(order("a", quantity=2)))

    assert result.exit_code == 1
    assert json.loads(result.stdout)["refused"][0]["faults"][0]["field"] == "key"


def test_keys_are_unique_per_producer(backend: Backend, command: Command) -> None:
    for producer in ("crm", "shop"):
        assert command("submit", "-", "--producer", producer, stdin=json.dumps(order("a"))).exit_code == 0

    result = command("show", "a")

    assert result.exit_code == 2
    assert "stands for several orders" in result.stderr


def test_more_orders_than_one_group_are_all_submitted(
    backend: Backend, command: Command, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("NUMBER_ORDERS_NUMBERS_PER_HOUR", "off")
    result = command("submit", "-", "--json", stdin="\n".join(json.dumps(order(f"k{i}")) for i in range(1203)))

    tickets = json.loads(result.stdout)["tickets"]
    assert [ticket["at"] for ticket in tickets] == list(range(1, 1204))
    assert len({ticket["order_id"] for ticket in tickets}) == 1203
    assert len(listed(command)) == 1203


def test_orders_are_accepted_while_the_broker_is_away(
    backend: Backend, command: Command, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("NUMBER_ORDERS_BROKER_URL", "redis://:s3cret@127.0.0.1:1/0")

    result = command("submit", "-", stdin=json.dumps(order("a")))

    assert result.exit_code == 0
    assert "ACCEPTED" in result.stdout
    assert "bell_silent" in result.stderr
    assert "s3cret" not in result.output


def test_without_a_ledger_the_error_says_what_to_do(environment: pytest.MonkeyPatch, command: Command) -> None:
    result = command("submit", "-", stdin=json.dumps(order("a")))

    assert result.exit_code == 4
    assert "nothing runs here" in result.stderr
    assert "number-orders up" in result.stderr


def test_an_unreachable_ledger_is_named_without_its_password(environment: pytest.MonkeyPatch, command: Command) -> None:
    environment.setenv("NUMBER_ORDERS_DATABASE_URL", "postgresql://app:s3cret@127.0.0.1:1/orders")

    for words in (("submit", "-"), ("list",), ("show", "a"), ("cancel", "a"), ("migrate",)):
        result = command(*words, stdin=json.dumps(order("a")))

        assert result.exit_code == 4, words
        assert "postgresql://app:***@127.0.0.1:1/orders" in result.stderr
        assert "s3cret" not in result.output


def test_a_table_of_orders_is_submitted_listed_and_shown_as_tables(
    backend: Backend, command: Command, tmp_path: Path
) -> None:
    """A cell that does not fit is refused by its line and column; the other orders are taken."""
    file = tmp_path / "orders.csv"
    file.write_text(
        "key,carrier,kind,criteria.npa,quantity,numbers,name\n"
        "a,bandwidth,new_numbers,919,2,,=1+1\n"
        "b,bandwidth,new_numbers,919,five,,\n"
        "c,bandwidth,remove_numbers,,,+19195550100 +19195550101,\n"
    )
    result = command("submit", str(file), columns=200)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == "2 accepted, 1 refused"
    refused = result.stdout.split("REFUSED", 1)[1].splitlines()[1]
    assert refused.split()[:4] == ["line", "3", "b", "quantity"]

    table = list(csv.DictReader(io.StringIO(command("list", "--csv").stdout)))
    assert sorted((row["key"], row["state"], row["quantity"]) for row in table) == [
        ("a", "ACCEPTED", "2"),
        ("c", "ACCEPTED", "2"),
    ]
    numbers = list(csv.DictReader(io.StringIO(command("show", "c", "--csv").stdout)))
    assert [(row["key"], row["e164"], row["state"]) for row in numbers] == [
        ("c", "+19195550100", "requested"),
        ("c", "+19195550101", "requested"),
    ]


def test_check_says_what_would_become_of_each_and_stores_nothing(backend: Backend, command: Command) -> None:
    command("submit", "-", stdin=json.dumps(order("known")))
    lines = "\n".join(json.dumps(each) for each in (order("a"), order("known"), order("b", quantity=0)))

    result = command("submit", "-", "--check", columns=200, stdin=lines)

    assert result.exit_code == 1
    assert [line.split()[2:4] for line in result.stdout.splitlines()[1:]] == [
        ["a", "accept"],
        ["known", "find"],
        ["b", "refuse"],
    ]
    assert "1 to accept, 1 to find, 1 to refuse; nothing was stored" in result.stderr
    found = json.loads(command("submit", "-", "--check", "--json", stdin=lines).stdout)["orders"]
    assert [each["would"] for each in found] == ["accept", "find", "refuse"]
    assert listed(command) == ["known"]
