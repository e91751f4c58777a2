"""`reconcile` shows what only one side has, and takes down what a person decides: exact output, codes, JSON."""

import json
import re
from collections.abc import Iterator
from contextlib import closing

import pytest

from config.settings import PREFIX, Settings
from number_orders.cli.stack.environment import spelled
from number_orders.cli.stack.sandbox_accounts import sandbox_settings
from number_orders.orders.events import Acknowledged, Filled, SubmissionBegun
from number_orders.orders.model import CarrierOrderId, NumberResult, NumberState, OrderId
from number_orders.orders.numbers import E164
from number_orders.sandbox.control import SandboxControl
from number_orders.sandbox.inventory import StockPlan
from number_orders.sandbox.server import running_sandbox
from tests.integration.cli.conftest import Backend, Command
from tests.integration.fulfilment.portal import BandwidthPortal
from tests.integration.fulfilment.practice import QUIET

ONE, TWO, THREE = (E164(f"+1919555012{line}") for line in range(3))
MOMENT = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2} UTC")
SMALL = StockPlan(lines_per_exchange=24, toll_free_per_code=20, foreign_per_range=20)


@pytest.fixture(scope="module")
def served() -> Iterator[SandboxControl]:
    with running_sandbox(behaviour=QUIET, stock=SMALL) as control:
        yield control


@pytest.fixture
def carriers(served: SandboxControl, backend: Backend, environment: pytest.MonkeyPatch) -> Backend:
    """Return the backend with three sandbox carriers, whose lists never lag."""
    served.reset()
    for name, own in sandbox_settings(served.url).items():
        for setting, value in (*own.items(), ("settle_s", 0)):
            environment.setenv(f"{PREFIX}{name}__{setting}".upper(), spelled(value))
    return Backend(Settings())


@pytest.fixture
def portal(served: SandboxControl, carriers: Backend) -> Iterator[BandwidthPortal]:
    with closing(BandwidthPortal(served)) as opened:
        yield opened


def bought(backend: Backend, key: str, *numbers: E164) -> OrderId:
    """Let the ledger hold numbers, by an order that has ended."""
    results = tuple(NumberResult(number, NumberState.ACQUIRED) for number in numbers)
    events = (SubmissionBegun(), Acknowledged(CarrierOrderId(key)), Filled("COMPLETE", results))
    return backend.order(key, *events, quantity=len(numbers))


def undated(stdout: str) -> list[str]:
    """Return the lines, with one blank between cells and a word for each moment."""
    return [" ".join(MOMENT.sub("MOMENT", line).split()) for line in stdout.splitlines()]


def test_both_sides_agree(carriers: Backend, portal: BandwidthPortal, command: Command) -> None:
    portal.buy(ONE)
    bought(carriers, "crm-1", ONE)

    answer = command("reconcile", columns=None)

    assert answer.exit_code == 0
    assert answer.stdout.splitlines() == [
        "bandwidth: 1 at the carrier, 1 in the ledger: 0 orphans, 0 ghosts",
        "swift: 0 at the carrier, 0 in the ledger: 0 orphans, 0 ghosts",
    ]
    assert answer.stderr == "cm has no list of the numbers that we hold: not compared\n"


def test_differences_are_tables_and_an_exit_code(carriers: Backend, portal: BandwidthPortal, command: Command) -> None:
    theirs = portal.buy(ONE, TWO)
    order_id = bought(carriers, "crm-1", THREE)

    answer = command("reconcile", "--carrier", "bandwidth", columns=None)

    assert answer.exit_code == 1
    assert undated(answer.stdout) == [
        "bandwidth: 2 at the carrier, 1 in the ledger: 2 orphans, 1 ghost",
        "",
        "ORPHAN CARRIER SINCE STATUS CARRIER ORDER ORDER",
        f"{ONE} bandwidth MOMENT Inservice {theirs} none",
        f"{TWO} bandwidth MOMENT Inservice {theirs} none",
        "",
        "GHOST CARRIER HELD SINCE ORDER",
        f"{THREE} bandwidth MOMENT {order_id}",
    ]
    assert answer.stderr == ""


def test_orphans_are_adopted_with_a_reason(carriers: Backend, portal: BandwidthPortal, command: Command) -> None:
    portal.buy(ONE)

    refused = command("reconcile", "--adopt")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "--why is missing: give a reason, which is stored with the orders" in refused.stderr

    answer = command(
        "reconcile", "--adopt", "--why", "on the bill", "--by", "ana", "--carrier", "bandwidth", columns=None
    )

    assert answer.exit_code == 0
    adopted = undated(answer.stdout)[-1].split()
    assert adopted[:2] == ["adopted", ONE]
    explained = command("explain", adopted[2], columns=None).stdout.splitlines()
    assert explained[1] == "The number is there. Nothing was ordered: bandwidth had it as ours already."
    assert explained[2].startswith("ana adopted 1 number ")
    assert explained[2].endswith(" ago: on the bill.")
    shown = command("show", adopted[2], columns=None).stdout
    assert "numbers adopted, 1 number, by ana: on the bill" in shown
    again = command("reconcile", "--carrier", "bandwidth", columns=None)
    assert (again.exit_code, again.stdout) == (
        0,
        "bandwidth: 1 at the carrier, 1 in the ledger: 0 orphans, 0 ghosts\n",
    )


def test_some_numbers_are_decided_about_by_name(carriers: Backend, portal: BandwidthPortal, command: Command) -> None:
    portal.buy(ONE, TWO)
    decide = ("reconcile", TWO, "--carrier", "bandwidth", "--why", "on the bill")

    for words, message in (
        (decide, "numbers are named to be decided about: add --adopt or --give-up"),
        (("reconcile", "9195550121", "--adopt", "--why", "x"), "9195550121 must be E.164"),
    ):
        refused = command(*words)
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert message in refused.stderr

    answer = command(*decide, "--adopt", columns=None)

    assert answer.exit_code == 1
    assert [line.split()[:2] for line in undated(answer.stdout)[-2:]] == [["DONE", "NUMBER"], ["adopted", TWO]]


def test_giving_most_of_the_ledger_up_is_refused(carriers: Backend, command: Command) -> None:
    bought(carriers, "crm-1", *(E164(f"+1919555{line}") for line in range(3000, 3021)))

    answer = command("reconcile", "--give-up", "--why", "x", "--carrier", "bandwidth")

    assert (answer.exit_code, answer.stdout) == (2, "")
    assert answer.stderr == (
        "number-orders: bandwidth: --give-up: 21 of 21 numbers would be given up; "
        "if they are really gone, name them one by one\n"
    )


def test_ghosts_are_given_up_with_a_reason(carriers: Backend, command: Command) -> None:
    order_id = bought(carriers, "crm-1", ONE, TWO)

    answer = command(
        "reconcile", "--give-up", "--why", "ported away", "--by", "ana", "--carrier", "bandwidth", columns=None
    )

    assert answer.exit_code == 0
    assert undated(answer.stdout)[-2:] == [f"given up {ONE} {order_id}", f"given up {TWO} {order_id}"]
    explained = command("explain", "crm-1", columns=None).stdout
    assert "0 of 2 numbers are there: bandwidth completed the order " in explained
    assert "ana gave up 2 numbers " in explained


def test_json_has_every_carrier(carriers: Backend, portal: BandwidthPortal, command: Command) -> None:
    theirs = portal.buy(ONE)

    document = json.loads(command("reconcile", "--json").stdout)

    assert document["failures"] == []
    bandwidth = document["carriers"]["bandwidth"]
    (orphan,) = bandwidth["orphans"]
    assert (orphan["e164"], orphan["carrier_order_id"], orphan["order_id"], orphan["checked"]) == (
        ONE,
        theirs,
        None,
        True,
    )
    assert (bandwidth["theirs"], bandwidth["ours"], bandwidth["ghosts"], bandwidth["adopted"]) == (1, 0, [], {})
    assert document["carriers"]["swift"]["orphans"] == []


def test_more_than_twenty_are_folded_and_what_was_not_looked_up_is_said(
    carriers: Backend, portal: BandwidthPortal, command: Command
) -> None:
    portal.buy(*(f"+1919555{line}" for line in range(3000, 3030)))

    answer = command("reconcile", "--carrier", "bandwidth", "--lookups", "21", columns=None)

    assert answer.stdout.splitlines()[-1] == "… and 10 more; --all prints them"
    assert answer.stderr == (
        "bandwidth: 9 were not looked up one by one, and may be right after all; --lookups looks more up\n"
    )
    whole = command("reconcile", "--carrier", "bandwidth", "--lookups", "21", "--all", columns=None)
    assert undated(whole.stdout)[-1] == "+19195553029 bandwidth not looked up"


def test_a_carrier_without_a_list_says_so(carriers: Backend, command: Command) -> None:
    answer = command("reconcile", "--carrier", "cm")

    assert answer.exit_code == 1
    assert answer.stderr == "number-orders: cm has no list of the numbers that we hold\n"
    assert "telco is not set up here" in command("reconcile", "--carrier", "telco").stderr


def test_a_list_that_cannot_be_read_is_code_4_and_the_others_are_compared(
    carriers: Backend, served: SandboxControl, portal: BandwidthPortal, command: Command
) -> None:
    portal.buy(ONE)
    served.fault("garbage", method="GET", path="/dids")

    answer = command("reconcile", columns=None)

    assert answer.exit_code == 4
    assert answer.stdout.startswith("bandwidth: 1 at the carrier, 0 in the ledger: 1 orphan, 0 ghosts\n")
    assert "number-orders: swift: its answer cannot be read: not JSON" in answer.stderr


def test_doctor_shows_what_differs(carriers: Backend, portal: BandwidthPortal, command: Command) -> None:
    portal.buy(ONE)
    command("reconcile", "--carrier", "bandwidth")

    checks = json.loads(command("doctor", "--json").stdout)["checks"]

    (numbers,) = [check for check in checks if check["name"] == "numbers"]
    assert numbers == {
        "name": "numbers",
        "verdict": "look",
        "says": f"1 number that bandwidth has as ours and the ledger does not hold: {ONE}; "
        "`number-orders reconcile --carrier bandwidth` shows them",
        "mend": "`number-orders reconcile --carrier bandwidth`",
    }
