"""`resolve`: what a person decides about a parked order."""

import json

import pytest

from number_orders.cli.services import whoami
from number_orders.orders.events import Acknowledged, Parked, SubmissionBegun
from number_orders.orders.model import CarrierOrderId
from tests.integration.console.conftest import CREDENTIALS, Command, House

THEIRS = CarrierOrderId("6a1bde32-55a0-4b39-9b4e-0d4a7c19a2f0")
PARKED = (SubmissionBegun(), Parked("the answer was lost three times"))


@pytest.mark.parametrize(
    ("words", "state", "told"),
    [
        (
            ("--as", f"adopted:{THEIRS}"),
            "OPEN",
            [f"bandwidth has it as order {THEIRS}", f"{whoami()} found it at bandwidth"],
        ),
        (("--as", "send-again"), "ACCEPTED", ["made sure that nothing was bought"]),
        (("--as", "failed"), "FAILED", ["wrote it off"]),
    ],
)
def test_a_parked_order_becomes_what_a_person_decides(
    house: House, command: Command, words: tuple[str, ...], state: str, told: list[str]
) -> None:
    order_id = house.order("crm-1", *PARKED)
    assert f"  number-orders resolve {order_id} --as " in command("explain", "crm-1", columns=80).stdout

    done = command("resolve", "crm-1", *words, "--why", "seen in\x1b the dashboard", "--json")

    assert done.exit_code == 0, done.stderr
    reason = f"{whoami()}: seen in  the dashboard"
    assert json.loads(done.stdout) == {"order_id": str(order_id), "state": state, "reason": reason}
    explained = command("explain", "crm-1", columns=None).stdout
    assert [said for said in [*told, "seen in  the dashboard"] if said not in explained] == []


def test_the_same_decision_again_is_the_same_decision(house: House, command: Command) -> None:
    order_id = house.order("crm-1", *PARKED)

    for _ in range(2):
        told = command("resolve", str(order_id), "--as", "failed", "--why", "it is over", columns=None)
        assert (told.exit_code, told.stdout) == (0, f"FAILED {order_id} {whoami()}: it is over\n")


def test_an_order_that_is_not_parked_says_no(house: House, command: Command) -> None:
    house.order("crm-1", SubmissionBegun())

    told = command("resolve", "crm-1", "--as", "send-again", "--why", "impatient")

    assert (told.exit_code, told.stdout) == (1, "")
    assert "is SUBMITTING: only a parked order waits for a person to decide" in told.stderr


def test_what_belongs_to_another_order_is_not_adopted(house: House, command: Command) -> None:
    owner = house.order("crm-1", SubmissionBegun(), Acknowledged(THEIRS))
    house.order("crm-2", *PARKED)

    told = command("resolve", "crm-2", "--as", f"adopted:{THEIRS}", "--why", "seen")

    assert (told.exit_code, told.stdout) == (1, "")
    assert f"belongs to order {owner} of ours" in told.stderr
    assert "the answer was lost three times" in command("explain", "crm-2", columns=None).stdout
    assert command("alarms").stdout == "no alarms\n"


def test_a_decision_that_cannot_be_read_decides_nothing(house: House, command: Command) -> None:
    house.order("crm-1", *PARKED)
    because = ("--why", "seen")

    for words in (
        because,
        ("--as", "send-again"),
        ("--as", "send-again", "--why", " "),
        ("--as", "send-again", "--by", "\x1b", *because),
        ("--as", "sent", *because),
        ("--as", THEIRS, *because),
        ("--as", "adopted:", *because),
        ("--as", "failed:", *because),
    ):
        assert command("resolve", "crm-1", *words).exit_code == 2, words
    assert command("resolve", "crm-2", "--as", "failed", *because).exit_code == 3
    assert json.loads(command("show", "crm-1", "--json").stdout)["state"] == "PARKED"


def test_a_carrier_that_is_not_set_up_here_is_named(
    house: House, command: Command, environment: pytest.MonkeyPatch
) -> None:
    house.order("crm-1", *PARKED)
    house.order("crm-2")
    for name in CREDENTIALS:
        environment.delenv(f"NUMBER_ORDERS_BANDWIDTH__{name}")

    for told in (command("resolve", "crm-1", "--as", "failed", "--why", "over"), command("cancel", "crm-2")):
        assert told.exit_code == 1
        assert "is with bandwidth, which is not set up here" in told.stderr
