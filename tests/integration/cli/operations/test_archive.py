"""`archive` shows, runs, undoes and purges; `coverage --history` shows the snapshots."""

import asyncio
import json
from datetime import timedelta

import psycopg

from number_orders.cli.services import open_services
from number_orders.orders.events import Refused, SubmissionBegun
from tests.integration.cli.conftest import BANDWIDTH, Backend, Command


def age(backend: Backend, *tables: str, days: int) -> None:
    """Let time pass for the ends of orders, or for what was archived."""
    assert backend.settings.database_url
    statements = {
        "orders": "UPDATE orders SET ended_at = ended_at - %s",
        "archived_orders": "UPDATE archived_orders SET archived_at = archived_at - %s",
    }
    with psycopg.connect(backend.settings.database_url.get_secret_value()) as db:
        for table in tables:
            db.execute(statements[table].encode(), [timedelta(days=days)])


def test_an_order_goes_into_the_archive_and_comes_back(backend: Backend, command: Command) -> None:
    order_id = backend.order("crm-1", SubmissionBegun(), Refused("no numbers"))
    age(backend, "orders", days=500)

    assert command("archive", "run", "--older-than", "400d").stdout == "1 copied, 0 removed from the orders\n"
    age(backend, "archived_orders", days=1)
    assert command("archive", "run", "--older-than", "400d").stdout == "0 copied, 1 removed from the orders\n"

    found = json.loads(command("archive", "--json").stdout)
    assert (found["removed"], found["copied"], found["purged"]) == (1, 0, 0)
    assert "archived" in command("archive").stdout
    assert json.loads(command("list", "--json").stdout) == []
    assert str(order_id) in command("list", "--key", "crm-1", columns=None).stdout
    explained = command("explain", "crm-1", columns=None).stdout
    assert "no numbers" in explained
    assert "It has been in the archive since" in explained
    assert f"number-orders archive undo {order_id}" in " ".join(command("show", "crm-1", columns=None).stdout.split())
    again = command("submit", "-", stdin=json.dumps([_order("crm-1")]))
    assert "known already" in again.stdout

    assert command("archive", "undo", "crm-1").stdout == "1 brought back\n"
    assert command("archive", "undo", "crm-1").exit_code == 1
    assert "archive" not in command("explain", "crm-1", columns=None).stdout
    assert len(json.loads(command("list", "--json").stdout)) == 1


def test_a_purged_order_stays_in_the_archive(backend: Backend, command: Command) -> None:
    backend.order("crm-1", SubmissionBegun(), Refused("no numbers"), name="Spring")
    age(backend, "orders", days=500)
    command("archive", "run", "--older-than", "400d")
    age(backend, "archived_orders", days=1)
    command("archive", "run", "--older-than", "400d")

    assert command("archive", "purge", "--older-than", "600d", "--yes").stdout == "0 purged\n"
    asked = command("archive", "purge", "--older-than", "400d", stdin="n\n")
    assert (asked.exit_code, "purged" in asked.stdout) == (1, False)
    assert "ended more than 400 days ago will be deleted for good" in asked.stderr
    assert command("archive", "purge", "--older-than", "400d", stdin="y\n").stdout.endswith("1 purged\n")
    assert command("archive", "undo", "--since", "10d").exit_code == 1
    assert "stays in the archive: it was purged" in command("archive", "undo", "crm-1").stderr
    shown = json.loads(command("show", "crm-1", "--json").stdout)
    assert (shown["state"], shown["events"], shown["request"].get("name")) == ("FAILED", [], None)
    assert any("deleted its story" in sentence for sentence in shown["explanation"])


def test_what_is_not_said_is_asked_for(backend: Backend, command: Command) -> None:
    for words in (("run",), ("undo",), ("purge",)):
        result = command("archive", *words)
        assert result.exit_code == 2, words
        assert "--older-than" in result.stderr or "--since" in result.stderr
    for action in ("run", "purge"):
        result = command("archive", action, "--older-than", "23h")
        assert (result.exit_code, "--older-than: must be at least 1d" in result.stderr) == (2, True)


def test_the_history_of_the_stock_has_the_scarcest_groups_first(backend: Backend, command: Command) -> None:
    assert "no snapshots yet" in command("coverage", "--history").stdout

    async def keep() -> None:
        async with open_services(backend.settings) as services:
            await services.ledger.coverage.keep(BANDWIDTH, "all", {"": 12, "npa=919": 9, "npa=252": 3})
            assert backend.settings.database_url
            with psycopg.connect(backend.settings.database_url.get_secret_value(), autocommit=True) as db:
                db.execute("UPDATE coverage_snapshots SET taken_at = taken_at - '8 days'::interval")
            await services.ledger.coverage.keep(BANDWIDTH, "all", {"": 5, "npa=919": 5})

    asyncio.run(keep())
    lines = [line.split() for line in command("coverage", "--history", columns=None).stdout.splitlines()]
    assert [(line[1], line[-5:]) for line in lines[2:]] == [
        ("npa=252", ["0", "3", "3", "0", "1"]),  # sold out
        ("npa=919", ["5", "9", "9", "5", "2"]),
    ]
    assert lines[1][1:3] == ["all", "together"]
    assert len(json.loads(command("coverage", "--history", "--days", "1", "--json").stdout)["snapshots"]) == 2


def _order(key: str) -> dict[str, object]:
    return {"key": key, "carrier": "bandwidth", "kind": "new_numbers", "criteria": {"npa": "919"}, "quantity": 3}
