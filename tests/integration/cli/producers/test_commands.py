"""Producers are added, get tokens and keys that are shown once, and limits; `doctor` and `list` show them."""

import asyncio
import json
from typing import Any

import pytest

from number_orders.cli.services import open_ledger
from number_orders.ledger.producers import token_digest
from tests.integration.cli.conftest import Backend, Command


def holder_of(backend: Backend, token: str) -> tuple[str, str] | None:
    """Return whose a token is, and its role."""

    async def find() -> tuple[str, str] | None:
        async with open_ledger(backend.settings) as ledger:
            found = await ledger.producers.find_token(token_digest(token))
            return (found.producer, found.role) if found else None

    return asyncio.run(find())


def listed(command: Command) -> dict[str, Any]:
    return {one["producer"]: one for one in json.loads(command("producers", "list", "--json").stdout)}


def test_token_is_shown_once_and_opens_until_it_is_revoked(backend: Backend, command: Command) -> None:
    assert command("producers", "add", "crm").exit_code == 0
    assert command("producers", "add", "ann", "--operator").exit_code == 0
    again = command("producers", "add", "crm")
    assert (again.exit_code, "crm already" in again.stderr) == (1, True)

    made = command("producers", "token", "crm", "--label", "laptop", "--expires", "90d", "--by", "bob", columns=None)
    token = made.stdout.strip()
    assert "it is not shown again" in made.stderr
    operators = json.loads(command("producers", "token", "ann", "--json").stdout)
    assert holder_of(backend, token) == ("crm", "producer")
    assert holder_of(backend, operators["token"]) == ("ann", "operator")

    everything = command("producers", "list", columns=None).stdout
    assert token not in everything
    assert "laptop, made " in everything
    (row,) = listed(command)["crm"]["tokens"]
    assert (row["label"], row["made_by"], row["last_used_at"] is not None) == ("laptop", "bob", True)
    assert row["expires_at"] is not None
    assert command("producers", "revoke", row["token_id"]).exit_code == 0
    assert command("producers", "revoke", row["token_id"]).exit_code == 1
    assert holder_of(backend, token) is None
    assert "revoked " in command("producers", "list", columns=None).stdout


def test_what_a_producer_may_remove_is_set_and_listed(backend: Backend, command: Command) -> None:
    command("producers", "add", "crm")
    assert listed(command)["crm"]["removals"] == "own"
    assert "may remove the numbers that its own orders brought" in command("producers", "list", columns=None).stdout
    widened = command("producers", "removals", "crm", "unknown")
    assert (widened.exit_code, widened.stdout) == (0, "crm may remove its own numbers and those of no producer\n")
    assert listed(command)["crm"]["removals"] == "unknown"
    assert command("producers", "removals", "web", "any").exit_code == 1
    assert command("producers", "removals", "crm", "all").exit_code == 2
    reserved = command("producers", "add", "reconcile")
    assert (reserved.exit_code, "nobody's" in reserved.stderr) == (2, True)


def test_signing_keys_are_rotated(backend: Backend, command: Command) -> None:
    command("producers", "add", "crm")
    first = command("producers", "signing-key", "crm", columns=None)
    assert first.stdout.startswith("whsec_")
    second = json.loads(command("producers", "signing-key", "crm", "--json").stdout)["signing_key"]
    assert second != first.stdout.strip()
    assert listed(command)["crm"]["signing_keys"] == 2
    retired = command("producers", "signing-key", "crm", "--retire")
    assert retired.stdout == "retired 1 of the signing keys of crm\n"
    assert listed(command)["crm"]["signing_keys"] == 1


@pytest.mark.parametrize("words", [("token",), ("signing-key",), ("signing-key", "--retire")])
def test_who_is_not_added_gets_no_token_and_no_key(backend: Backend, command: Command, words: tuple[str, ...]) -> None:
    refused = command("producers", words[0], "nobody", *words[1:])
    assert refused.exit_code == 1
    assert "there is no producer or operator nobody" in refused.stderr


def test_limits_are_set_listed_and_kept(backend: Backend, command: Command) -> None:
    """A limit that is not named stays; `off` ends one."""
    backend.order("a")
    assert listed(command)["default"]["role"] is None
    before = command("producers", "list", columns=None).stdout
    assert "1000 numbers an hour, 3 taken until " in before
    assert "the default, since nobody has set a limit" in before
    assert "nobody has set a limit: default" in command("doctor", columns=None).stdout

    assert (
        command("producers", "limit", "default", "--per-hour", "5000", "--per-order", "4", "--above", "park").exit_code
        == 0
    )
    shown = command("producers", "limit", "default", "--per-order", "off", "--per-day", "3", columns=None).stdout
    assert "5000 numbers an hour, 3 taken until " in shown
    assert "; above it parked" in shown
    budget = {row["span"]: row for row in listed(command)["default"]["budget"]}
    assert {span: (row["numbers_max"], row["above"], row["is_default"]) for span, row in budget.items()} == {
        "hour": (5000, "park", False),
        "day": (3, "refuse", False),
        "order": (None, "refuse", False),
    }
    assert "nobody has set a limit" not in command("doctor", columns=None).stdout


@pytest.mark.parametrize(
    ("words", "exit_code", "said"),
    [
        (("crm",), 2, "no limit is given"),
        (("crm", "--per-hour", "many"), 2, "'many' is no limit"),
        (("crm", "--per-hour", "-1"), 2, "'-1' is no limit"),
        (("crm", "--per-hour", "3000000000"), 2, "is no limit"),
        ((" ", "--per-hour", "1"), 2, "a name has 1 to 100"),
        (("crm", "--per-hour", "1", "--carrier", "nobody"), 1, "no worker here has ever worked for a carrier 'nobody'"),
    ],
)
def test_what_is_no_limit_is_refused(
    backend: Backend, command: Command, words: tuple[str, ...], exit_code: int, said: str
) -> None:
    refused = command("producers", "limit", *words)
    assert refused.exit_code == exit_code
    assert said in refused.stderr
    assert listed(command) == {}
