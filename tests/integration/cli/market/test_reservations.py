"""Reserving at the command line: a practice carrier, and neither ledger nor broker."""

import json
from collections.abc import Iterator

import pytest

from number_orders.sandbox.control import SandboxControl
from number_orders.sandbox.server import running_sandbox
from tests.integration.cli.conftest import CREDENTIALS, Command

NUMBERS = ("+19842471432", "+19842471793")
POST = {"method": "POST", "path": "/tnreservation"}
LOOK = {"method": "GET", "path": "/tnreservation/{reservationId}"}


@pytest.fixture(scope="module")
def practice() -> Iterator[SandboxControl]:
    with running_sandbox() as control:
        yield control


@pytest.fixture
def carrier(practice: SandboxControl, environment: pytest.MonkeyPatch) -> SandboxControl:
    practice.reset()
    for name, value in {**CREDENTIALS, "BASE_URL": practice.url}.items():
        environment.setenv(f"NUMBER_ORDERS_BANDWIDTH__{name}", value)
    return practice


def reserved(command: Command, *numbers: str) -> list[str]:
    told = json.loads(command("reserve", *numbers, "--json").stdout)
    return [one["reservation_id"] for one in told["reservations"]]


def test_reserved_numbers_are_shown_with_their_four_hours(carrier: SandboxControl, command: Command) -> None:
    told = command("reserve", *NUMBERS)

    assert told.exit_code == 0, told.stderr
    head, *rows = told.stdout.splitlines()
    assert head.split() == ["NUMBER", "RESERVATION", "EXPIRES", "IN"]
    assert [row.split()[0] for row in rows] == list(NUMBERS)
    assert all("3 h 59 min" in row or "4 h" in row for row in rows)
    assert carrier.report()["totals"]["stock"]["bandwidth"]["reserved"] == 2


def test_they_are_looked_up_by_id_or_number_as_time_passes(carrier: SandboxControl, command: Command) -> None:
    first, second = reserved(command, *NUMBERS)
    carrier.advance(3600)

    told = json.loads(command("reservations", first, NUMBERS[1], "--json").stdout)

    assert [(one["number"], one["reservation_id"]) for one in told["reservations"]] == [
        (NUMBERS[0], first),
        (NUMBERS[1], second),
    ]
    assert all(10_700 < one["expires_in_s"] <= 10_800 for one in told["reservations"])
    assert told["failures"] == []


def test_one_that_is_taken_leaves_the_others_alone(carrier: SandboxControl, command: Command) -> None:
    reserved(command, NUMBERS[0])

    told = command("reserve", *NUMBERS)

    assert told.exit_code == 1
    assert NUMBERS[1] in told.stdout
    assert NUMBERS[0] not in told.stdout
    assert f"{NUMBERS[0]}: 5041: Reservation failed" in told.stderr


def test_they_are_let_go_once(carrier: SandboxControl, command: Command) -> None:
    (reservation_id,) = reserved(command, NUMBERS[0])

    gone, again = command("unreserve", reservation_id), command("unreserve", reservation_id, "--json")

    assert (gone.exit_code, gone.stdout.split()[-1]) == (0, reservation_id)
    assert again.exit_code == 1
    (failure,) = json.loads(again.stdout)["failures"]
    assert "5043" in failure["words"]
    assert command("reservations", NUMBERS[0]).exit_code == 1


def test_when_the_answer_is_lost_it_says_that_it_may_be_reserved(carrier: SandboxControl, command: Command) -> None:
    carrier.fault("drop_after", times=1, **POST)

    told = command("reserve", NUMBERS[0])

    assert told.exit_code == 4
    assert f"`number-orders reservations {NUMBERS[0]}` tells" in told.stderr
    assert NUMBERS[0] in command("reservations", NUMBERS[0]).stdout


def test_the_page_s_four_hours_stand_in_for_an_unknown_time(carrier: SandboxControl, command: Command) -> None:
    carrier.fault("error_before", times=1, **LOOK)

    told = json.loads(command("reserve", NUMBERS[0], "--json").stdout)

    assert told["reservations"][0]["expires_in_s"] == 14_400


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("reserve", "984"), 2, "984"),
        (("reserve", "+441224003845"), 2, "North American"),
        (("reserve", NUMBERS[0], "--carrier", "acme"), 2, "none of ours: bandwidth"),
        (("reservations", "no-such-id"), 1, "5043"),
    ],
)
def test_what_cannot_be_is_said(
    carrier: SandboxControl, command: Command, words: tuple[str, ...], code: int, says: str
) -> None:
    told = command(*words)

    assert told.exit_code == code
    assert says in told.stderr
    assert carrier.report()["totals"]["stock"]["bandwidth"]["reserved"] == 0


def test_a_carrier_without_reservations_says_so(
    carrier: SandboxControl, environment: pytest.MonkeyPatch, command: Command
) -> None:
    guid, token = "0c0ffee0-0000-4000-8000-00000000acc0", "0c0ffee0-0000-4000-8000-00000000c0de"
    for name, value in {"BASE_URL": carrier.url, "ACCOUNT_GUID": guid, "PRODUCT_TOKEN": token}.items():
        environment.setenv(f"NUMBER_ORDERS_CM__{name}", value)
    environment.setenv("NUMBER_ORDERS_CM__COMPANY_PROFILES", json.dumps({"NLD:local": guid}))

    told = command("reserve", NUMBERS[0], "--carrier", "cm")

    assert (told.exit_code, "takes no reservations" in told.stderr) == (1, True)
