"""`pause` and `resume` hold work back and let it go on, and every command shows it."""

import json

from number_orders.cli.services import whoami
from tests.integration.cli.conftest import Backend, Command


def test_a_pause_is_shown_everywhere_until_it_is_resumed(backend: Backend, command: Command) -> None:
    backend.order("crm-1")

    paused = command("pause", "bandwidth", "submit", "--why", "stock-taking", columns=None)

    assert paused.exit_code == 0, paused.stderr
    assert paused.stdout == f"paused bandwidth submit, paused by {whoami()}: stock-taking\n"
    assert f"{whoami()} paused bandwidth's lane submit" in command("explain", "crm-1", columns=None).stdout
    assert "until it is resumed: stock-taking" in command("show", "crm-1", columns=None).stdout
    assert command("list", columns=None).stdout.startswith(f"bandwidth submit: paused by {whoami()}")

    resumed = command("resume", "bandwidth", "--why", "all there", "--json")

    (row,) = json.loads(resumed.stdout)
    assert (row["lane"], row["why"], row["resumed_by"], row["resumed_why"]) == (
        "submit",
        "stock-taking",
        whoami(),
        "all there",
    )
    assert "paused" not in command("explain", "crm-1", columns=None).stdout


def test_a_carrier_is_paused_on_every_lane_that_leads_to_it(backend: Backend, command: Command) -> None:
    backend.order("crm-1")

    rows = json.loads(command("pause", "bandwidth", "--why", "their maintenance", "--json").stdout)

    assert {row["lane"] for row in rows} == {"submit", "ask"}


def test_the_first_pause_stands(backend: Backend, command: Command) -> None:
    backend.order("crm-1")
    command("pause", "bandwidth", "--why", "the first")

    again = command("pause", "bandwidth", "--why", "the second")

    assert (again.exit_code, again.stdout) == (1, "")
    assert "it is paused already" in again.stderr
    assert "the first" in command("explain", "crm-1", columns=None).stdout


def test_what_cannot_be_paused_or_resumed_says_why(backend: Backend, command: Command) -> None:
    backend.order("crm-1")

    assert "nobody had paused it" in command("resume", "bandwidth").stderr
    assert "one of: bandwidth" in command("pause", "bandwith", "--why", "typo").stderr
    assert command("pause", "bandwidth", "--why", " ").exit_code == 2
