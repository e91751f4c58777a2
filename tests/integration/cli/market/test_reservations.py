"""The commands about reservations, on a sandbox carrier, without a ledger and a broker."""

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
def served() -> Iterator[SandboxControl]:
    with running_sandbox() as control:
        yield control


@pytest.fixture
def carrier(served: SandboxControl, environment: pytest.MonkeyPatch) -> SandboxControl:
    served.reset()
    for name, value in {**CREDENTIALS, "BASE_URL": served.url}.items():
        environment.setenv(f"NUMBER_ORDERS_BANDWIDTH__{name}", value)
    return served


def reserved(command: Command, *numbers: str) -> list[str]:
    result = json.loads(command("reserve", *numbers, "--json").stdout)
    return [one["reservation_id"] for one in result["reservations"]]


def test_reserved_numbers_are_shown_with_their_four_hours(carrier: SandboxControl, command: Command) -> None:
    result = command("reserve", *NUMBERS)

    assert result.exit_code == 0, result.stderr
    head, *rows = result.stdout.splitlines()
    assert head.split() == ["NUMBER", "RESERVATION", "EXPIRES", "IN"]
    assert [row.split()[0] for row in rows] == list(NUMBERS)
    assert all("3 h 59 min" in row or "4 h" in row for row in rows)
    assert carrier.report()["totals"]["stock"]["bandwidth"]["reserved"] == 2


def test_reservations_are_looked_up_by_id_or_number(carrier: SandboxControl, command: Command) -> None:
    first, second = reserved(command, *NUMBERS)
    carrier.advance(3600)

    result = json.loads(command("reservations", first, NUMBERS[1], "--json").stdout)

    assert [(one["number"], one["reservation_id"]) for one in result["reservations"]] == [
        (NUMBERS[0], first),
        (NUMBERS[1], second),
    ]
    assert all(10_700 < one["expires_in_s"] <= 10_800 for one in result["reservations"])
    assert result["failures"] == []


def test_one_that_is_taken_leaves_the_others_alone(carrier: SandboxControl, command: Command) -> None:
    reserved(command, NUMBERS[0])

    result = command("reserve", *NUMBERS)

    assert result.exit_code == 1
    assert NUMBERS[1] in result.stdout
    assert NUMBERS[0] not in result.stdout
    assert f"{NUMBERS[0]}: 5041: Reservation failed" in result.stderr


def test_a_reservation_ends_once(carrier: SandboxControl, command: Command) -> None:
    (reservation_id,) = reserved(command, NUMBERS[0])

    gone, again = command("unreserve", reservation_id), command("unreserve", reservation_id, "--json")

    assert (gone.exit_code, gone.stdout.split()[-1]) == (0, reservation_id)
    assert again.exit_code == 1
    (failure,) = json.loads(again.stdout)["failures"]
    assert "5043" in failure["words"]
    assert command("reservations", NUMBERS[0]).exit_code == 1


def test_a_lost_answer_says_that_the_number_may_be_reserved(carrier: SandboxControl, command: Command) -> None:
    carrier.fault("drop_after", times=1, **POST)

    result = command("reserve", NUMBERS[0])

    assert result.exit_code == 4
    assert f"`number-orders reservations {NUMBERS[0]}` shows it" in result.stderr
    assert NUMBERS[0] in command("reservations", NUMBERS[0]).stdout


def test_an_unknown_time_is_replaced_by_the_documented_four_hours(carrier: SandboxControl, command: Command) -> None:
    carrier.fault("error_before", times=1, **LOOK)

    result = json.loads(command("reserve", NUMBERS[0], "--json").stdout)

    assert result["reservations"][0]["expires_in_s"] == 14_400


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("reserve", "984"), 2, "984"),
        (("reserve", "+441224003845"), 2, "North American"),
        (("reserve", NUMBERS[0], "--carrier", "acme"), 2, "is not set up here; these are: bandwidth"),
        (("reservations", "no-such-id"), 1, "5043"),
    ],
)
def test_impossible_requests_are_refused(
    carrier: SandboxControl, command: Command, words: tuple[str, ...], code: int, says: str
) -> None:
    result = command(*words)

    assert result.exit_code == code
    assert says in result.stderr
    assert carrier.report()["totals"]["stock"]["bandwidth"]["reserved"] == 0


def test_a_carrier_without_reservations_says_so(
    carrier: SandboxControl, environment: pytest.MonkeyPatch, command: Command
) -> None:
    guid, token = "0c0ffee0-0000-4000-8000-00000000acc0", "0c0ffee0-0000-4000-8000-00000000c0de"
    for name, value in {"BASE_URL": carrier.url, "ACCOUNT_GUID": guid, "PRODUCT_TOKEN": token}.items():
        environment.setenv(f"NUMBER_ORDERS_CM__{name}", value)
    environment.setenv("NUMBER_ORDERS_CM__COMPANY_PROFILES", json.dumps({"NLD:local": guid}))

    result = command("reserve", NUMBERS[0], "--carrier", "cm")

    assert (result.exit_code, "takes no reservations" in result.stderr) == (1, True)
