"""`park` and `resolve`: a person takes an order over, and decides about it."""

import json

import pytest

from number_orders.cli.services import whoami
from number_orders.orders.events import Acknowledged, Parked, StillOpen, SubmissionBegun
from number_orders.orders.model import CarrierOrderId, NumberResult, NumberState
from number_orders.orders.numbers import E164
from tests.integration.cli.conftest import CREDENTIALS, Backend, Command

THEIRS = CarrierOrderId("6a1bde32-55a0-4b39-9b4e-0d4a7c19a2f0")
PARKED = (SubmissionBegun(), Parked("the answer was lost three times"))
GOT = (NumberResult(E164("+19195550100"), NumberState.ACQUIRED),)
OPEN = (SubmissionBegun(), Acknowledged(THEIRS, "RECEIVED"), StillOpen("BACKORDERED", GOT))


@pytest.mark.parametrize(
    ("words", "state", "explained"),
    [
        (
            ("--as", f"adopted:{THEIRS}"),
            "OPEN",
            [f"bandwidth has it as order {THEIRS}", f"{whoami()} found it at bandwidth"],
        ),
        (("--as", "send-again"), "ACCEPTED", ["made sure that nothing was bought"]),
        (("--as", "failed"), "FAILED", ["closed it as failed"]),
    ],
)
def test_a_parked_order_becomes_what_a_person_decides(
    backend: Backend, command: Command, words: tuple[str, ...], state: str, explained: list[str]
) -> None:
    never_sent = "send-again" in words  # the carrier would be asked about any other
    order_id = backend.order("crm-1", *(PARKED[1:] if never_sent else PARKED))
    assert f"  number-orders resolve {order_id} --as " in command("explain", "crm-1", columns=80).stdout

    done = command("resolve", "crm-1", *words, "--why", "seen in\x1b the dashboard", "--json")

    assert done.exit_code == 0, done.stderr
    reason = f"{whoami()}: seen in  the dashboard"
    assert json.loads(done.stdout) == {"order_id": str(order_id), "state": state, "reason": reason}
    shown = command("explain", "crm-1", columns=None).stdout
    assert [text for text in [*explained, "seen in  the dashboard"] if text not in shown] == []


def test_the_same_decision_again_is_the_same_decision(backend: Backend, command: Command) -> None:
    order_id = backend.order("crm-1", *PARKED)

    for _ in range(2):
        result = command("resolve", str(order_id), "--as", "failed", "--why", "it is over", columns=None)
        assert (result.exit_code, result.stdout) == (0, f"FAILED {order_id} {whoami()}: it is over\n")


def test_an_order_is_not_sent_again_while_its_carrier_gives_no_answer(backend: Backend, command: Command) -> None:
    order_id = backend.order("crm-1", *PARKED)

    result = command("resolve", "crm-1", "--as", "send-again", "--why", "not in the dashboard")

    assert (result.exit_code, result.stdout) == (1, "")
    assert (
        f"order {order_id} cannot be sent again: bandwidth was asked about it first, without an answer" in result.stderr
    )


def test_an_order_that_is_not_parked_is_not_resolved(backend: Backend, command: Command) -> None:
    backend.order("crm-1", SubmissionBegun())

    result = command("resolve", "crm-1", "--as", "send-again", "--why", "impatient")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "is SUBMITTING: only a parked order waits for a person to decide" in result.stderr


def test_another_orders_id_is_not_adopted(backend: Backend, command: Command) -> None:
    owner = backend.order("crm-1", SubmissionBegun(), Acknowledged(THEIRS))
    backend.order("crm-2", *PARKED)

    result = command("resolve", "crm-2", "--as", f"adopted:{THEIRS}", "--why", "seen")

    assert (result.exit_code, result.stdout) == (1, "")
    assert f"belongs to order {owner} of ours" in result.stderr
    assert "the answer was lost three times" in command("explain", "crm-2", columns=None).stdout
    assert command("alarms").stdout == "no alarms\n"


def test_a_decision_that_cannot_be_read_decides_nothing(backend: Backend, command: Command) -> None:
    backend.order("crm-1", *PARKED)
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
    backend: Backend, command: Command, environment: pytest.MonkeyPatch
) -> None:
    backend.order("crm-1", *PARKED)
    backend.order("crm-2")
    for name in CREDENTIALS:
        environment.delenv(f"NUMBER_ORDERS_BANDWIDTH__{name}")

    for result in (command("resolve", "crm-1", "--as", "failed", "--why", "over"), command("cancel", "crm-2")):
        assert result.exit_code == 1
        assert "is with bandwidth, which is not set up here" in result.stderr


def test_an_order_that_is_parked_and_closed_keeps_what_it_has(backend: Backend, command: Command) -> None:
    """The story has who did each and why; sending bought numbers again is neither offered nor allowed."""
    order_id = backend.order("crm-1", *OPEN)

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
    assert "parked by ana: ticket 4711" in story
    assert "closed with what was done by then, by kim: the customer left" in story
    assert command("park", "crm-1", "--why", "again").exit_code == 1
