"""The commands that ask carriers, on sandbox carriers, without a ledger and a broker."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from config.settings import PREFIX
from number_orders.cli.stack.environment import spelled
from number_orders.cli.stack.sandbox_accounts import sandbox_settings
from number_orders.sandbox.behaviour import read_behaviour
from number_orders.sandbox.control import SandboxControl
from number_orders.sandbox.inventory import StockPlan
from number_orders.sandbox.server import running_sandbox
from tests.integration.cli.conftest import Command

NO_DELAY = {
    "processing_s": 0,
    "latency_s": dict.fromkeys(
        ("token", "search", "order_create", "order_read", "order_list", "order_change", "numbers", "other"), 0
    ),
}
SMALL = StockPlan(lines_per_exchange=24, toll_free_per_code=20, foreign_per_range=20)


@pytest.fixture(scope="module")
def served() -> Iterator[SandboxControl]:
    with running_sandbox(behaviour=read_behaviour(NO_DELAY), stock=SMALL) as control:
        yield control


@pytest.fixture
def sandbox(served: SandboxControl, environment: pytest.MonkeyPatch) -> SandboxControl:
    """Return sandbox carriers that the environment names."""
    served.reset()
    for name, own in sandbox_settings(served.url).items():
        for setting, value in own.items():
            environment.setenv(f"{PREFIX}{name}__{setting}".upper(), spelled(value))
    return served


def lines(stdout: str) -> list[list[str]]:
    """Return the cells of a table in a pipe, whose columns are two blanks apart."""
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in stdout.splitlines()]


def json_of(command: Command, *words: str) -> dict[str, Any]:
    answer = command(*words, "--json")
    document: dict[str, Any] = json.loads(answer.stdout)
    return document


def arrived(sandbox: SandboxControl) -> int:
    """Return how many requests the carriers received."""
    return int(sandbox.report()["requests"]["total"])


def test_a_search_is_a_table(sandbox: SandboxControl, command: Command) -> None:
    answer = command(
        "search", "--city", "Raleigh", "--state", "NC", "--country", "USA", "--quantity", "2", columns=None
    )

    assert answer.exit_code == 0
    assert lines(answer.stdout) == [
        ["NUMBER", "CARRIER", "COUNTRY", "TYPE", "STATE", "CITY", "RATE CENTER", "LATA", "TIER"],
        ["+19842471432", "bandwidth", "USA", "GEOGRAPHIC", "NC", "RALEIGH", "RALEIGH", "426", "0"],
        ["+19842471793", "bandwidth", "USA", "GEOGRAPHIC", "NC", "RALEIGH", "RALEIGH", "426", "0"],
    ]
    assert answer.stderr == ""


def test_a_search_fits_a_terminal_without_breaking_numbers(sandbox: SandboxControl, command: Command) -> None:
    answer = command("search", "--npa", "919", "--quantity", "1", columns=60)

    assert all(len(line) <= 60 for line in answer.stdout.splitlines())
    assert "+1919" in answer.stdout


def test_a_search_has_json(sandbox: SandboxControl, command: Command) -> None:
    document = json_of(command, "search", "--country", "DEU", "--npa", "30", "--quantity", "1")

    (offer,) = document["offers"]
    assert offer["e164"].startswith("+4930")
    assert (offer["carrier"], offer["city"], offer["area_code"], offer["lata"]) == ("bandwidth", "BERLIN", "30", None)
    assert document["failures"] == []


def test_nothing_found_is_said(sandbox: SandboxControl, command: Command) -> None:
    answer = command("search", "--npa", "919", "--option", "protected=ONLY")

    assert (answer.exit_code, answer.stdout) == (0, "no such numbers\n")


def test_a_broken_rule_names_the_option_and_nothing_is_sent(sandbox: SandboxControl, command: Command) -> None:
    answer = command("search", "--rate-center", "RALEIGH", "--zip", "2760", "--option", "order_by=price")

    assert answer.exit_code == 2
    assert answer.stdout == ""
    assert answer.stderr.splitlines() == [
        "number-orders: bandwidth: --option order_by: must be one of fullNumber, npaNxxx, npaNxx, areaCode",
        "number-orders: bandwidth: --zip: must be a ZIP code: 27601 or 27601-1234",
        "number-orders: bandwidth: --rate-center: needs --state beside it",
    ]
    assert arrived(sandbox) == 0


def test_json_has_broken_rules_by_field(sandbox: SandboxControl, command: Command) -> None:
    document = json_of(command, "search", "--vanity", "CALL", "--zip", "27601")

    (failure,) = document["failures"]
    assert (failure["carrier"], failure["exit_code"]) == ("bandwidth", 2)
    assert [fault["field"] for fault in failure["faults"]] == ["criteria.zip"]
    assert document["offers"] == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("search", "--carrier", "telco", "--npa", "919"),
            "--carrier: telco is not set up here; these are: bandwidth, cm, swift",
        ),
        (("search", "--npa", "919", "--option", "protected"), "--option: protected is not NAME=VALUE"),
        (("number", "19195550123"), "19195550123 must be E.164"),
        (("search", "--carrier", "cm", "--npa", "020"), "cm does not answer search; it answers restrictions"),
        (("restrictions",), "Missing option '--country'"),
    ],
)
def test_usage_is_corrected(sandbox: SandboxControl, command: Command, words: tuple[str, ...], message: str) -> None:
    answer = command(*words)

    assert answer.exit_code == 2
    assert message in answer.stderr
    assert arrived(sandbox) == 0


def test_a_topic_that_nobody_answers_is_said(
    sandbox: SandboxControl, command: Command, environment: pytest.MonkeyPatch
) -> None:
    environment.delenv(f"{PREFIX}SWIFT__API_KEY")

    answer = command("coverage", "--group-by", "npa")

    assert answer.exit_code == 1
    assert "none of the carriers that are set up answers coverage: bandwidth, cm" in answer.stderr


def test_coverage_is_a_table_of_groups(sandbox: SandboxControl, command: Command) -> None:
    answer = command("coverage", "--group-by", "state", "--group-by", "npa", "--state", "ON", columns=None)

    assert answer.exit_code == 0
    table = lines(answer.stdout)
    assert table[0] == ["STATE", "NPA", "CARRIER", "QUANTITY"]
    assert [line[:3] for line in table[1:]] == [["ON", "416", "swift"], ["ON", "705", "swift"]]
    total = sum(int(line[3]) for line in table[1:])
    assert answer.stderr == f"swift: {total} in all\n"
    document = json_of(command, "coverage", "--state", "ON")
    assert document == {
        "entries": [{"carrier": "swift", "group": {}, "quantity": total}],
        "totals": {"swift": total},
        "failures": [],
    }


def test_coverage_by_an_unknown_field_is_refused(sandbox: SandboxControl, command: Command) -> None:
    answer = command("coverage", "--group-by", "city")

    assert answer.exit_code == 2
    assert "swift: --group-by: city is none of npa, nxx, lata, state, rate_center, country_code" in answer.stderr
    assert arrived(sandbox) == 0


def test_restrictions_of_several_carriers_are_one_table(sandbox: SandboxControl, command: Command) -> None:
    answer = command("restrictions", "--country", "NLD", "--number-type", "local", columns=None)

    assert answer.exit_code == 0
    assert lines(answer.stdout) == [
        ["COUNTRY", "CARRIER", "TYPE", "SUBJECT", "RULE"],
        ["NLD", "cm", "local", "quantity", "at most 1000 in one order"],
        ["NLD", "cm", "local", "range_size", "one of 10, 100"],
    ]


def test_one_carriers_failure_leaves_the_others_answer(sandbox: SandboxControl, command: Command) -> None:
    answer = command("restrictions", "--country", "ITA", columns=None)

    assert answer.exit_code == 0
    assert command("restrictions", "--country", "ITA", "--carrier", "cm").exit_code == 2
    assert [line[:4] for line in lines(answer.stdout)[1:]] == [
        ["ITA", "bandwidth", "all", kind] for kind in ("LEGAL", "LEGAL", "SERVICE", "SERVICE")
    ]
    assert answer.stderr.startswith("number-orders: cm: --country: no company profile is set up for it")
    document = json_of(command, "restrictions", "--country", "ITA")
    assert len(document["restrictions"]) == 4
    assert [failure["carrier"] for failure in document["failures"]] == ["cm"]


def test_one_number_is_shown_with_its_order(sandbox: SandboxControl, command: Command) -> None:
    buy(sandbox, "+19195550123")

    answer = command("number", "+19195550123", columns=None)

    assert answer.exit_code == 0
    assert "+19195550123" in answer.stdout
    assert "Inservice" in answer.stdout
    (held,) = json_of(command, "number", "+19195550123")["numbers"]
    (order,) = sandbox.report()["orders"]
    assert (held["status"], held["carrier_order_id"], held["account"]) == ("Inservice", order["order_id"], "9900000")


def test_a_number_of_somebody_else_is_declined_in_the_carriers_words(sandbox: SandboxControl, command: Command) -> None:
    answer = command("number", "+19195550123")

    assert answer.exit_code == 1
    assert answer.stderr == ("number-orders: bandwidth: 15610: The telephone number does not belong to this account.\n")


def test_numbers_in_service_are_listed_up_to_the_limit(sandbox: SandboxControl, command: Command) -> None:
    buy(sandbox, "+19195550123", "+19195550124", "+13035550125")

    answer = command("numbers", "--npa", "919", "--limit", "1", columns=None)

    assert answer.exit_code == 0
    assert lines(answer.stdout) == [["NUMBER", "CARRIER"], ["+19195550123", "bandwidth"]]
    assert answer.stderr == "bandwidth: 1 of 2; --limit reads more\n"
    document = json_of(command, "numbers")
    assert {held["e164"] for held in document["numbers"]} == {"+19195550123", "+19195550124", "+13035550125"}
    assert document["totals"] == {"bandwidth": 3, "swift": None}


def test_no_answer_is_one_line_and_a_code(sandbox: SandboxControl, command: Command) -> None:
    for fault, message in (("error_before", "no answer: HTTP 503"), ("garbage", "its answer cannot be read")):
        sandbox.fault(fault, method="GET", path="/availableNumbers", times=1)

        answer = command("search", "--npa", "919")

        assert answer.exit_code == 4, fault
        assert answer.stdout == ""
        (line,) = answer.stderr.splitlines()
        assert line.startswith("number-orders: bandwidth: ")
        assert message in line


def test_credentials_that_do_not_fit_are_said(
    sandbox: SandboxControl, command: Command, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv(f"{PREFIX}BANDWIDTH__CLIENT_SECRET", "s3cret")

    answer = command("search", "--npa", "919")

    assert answer.exit_code == 4
    assert "client id and secret" in answer.stderr
    assert "s3cret" not in answer.output


def test_without_a_carrier_the_error_says_what_to_do(environment: pytest.MonkeyPatch, command: Command) -> None:
    for words in (("search", "--npa", "919"), ("carriers",), ("number", "+19195550123")):
        answer = command(*words)

        assert answer.exit_code == 4
        assert "no carrier is set up" in answer.stderr
        assert "number-orders sandbox" in answer.stderr


def test_carriers_show_what_they_declare(sandbox: SandboxControl, command: Command) -> None:
    answer = command("carriers", columns=None)

    table = {line[0]: line[1:] for line in lines(answer.stdout)}
    assert table["BANDWIDTH"] == ["CM", "SWIFT"]
    assert table["quantity max"] == ["5000", "1000", "1000"]
    assert table["search"] == ["yes", "no", "no"]
    assert table["coverage"] == ["no", "no", "yes"]
    assert table["restrictions"] == ["yes", "yes", "no"]
    assert table["numbers"] == ["yes", "no", "yes"]
    assert table["reconcile"] == ["yes", "no", "yes"]
    assert table["backorder"] == ["yes", "no", "no"]
    assert table["taint window"] == ["none", "none", "30 min"]
    document = json_of(command, "carriers")
    assert document["bandwidth"]["kinds"] == ["new_numbers", "remove_numbers"]
    assert (document["cm"]["taint_window_s"], document["swift"]["taint_window_s"]) == (None, 1800)
    assert document["cm"]["called_back"] == ["new_numbers"]


def buy(sandbox: SandboxControl, *numbers: str) -> None:
    """Buy numbers as another client of the same account."""
    listed = "".join(f"<TelephoneNumber>{number}</TelephoneNumber>" for number in numbers)
    order = (
        "<Order><SiteId>743</SiteId><ExistingTelephoneNumberOrderType>"
        f"<TelephoneNumberList>{listed}</TelephoneNumberList></ExistingTelephoneNumberOrderType></Order>"
    )
    answer = httpx.post(
        f"{sandbox.url}/api/v2/accounts/9900000/orders",
        content=order,
        headers={"Authorization": "Bearer sandbox-token", "Content-Type": "application/xml"},
        trust_env=False,
    )
    assert answer.status_code == 201
