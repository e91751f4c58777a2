"""The command `subscriptions`, on a sandbox carrier."""

import json
from collections.abc import Iterator

import pytest

from config.settings import Settings
from number_orders.cli.doctor.checks import Verdict
from number_orders.cli.doctor.notice_checks import check_notices
from number_orders.sandbox.control import SandboxControl
from number_orders.sandbox.server import running_sandbox
from tests.integration.cli.conftest import Backend, Command

PASSWORD = "a password of thirty-two characters"


@pytest.fixture(scope="module")
def served() -> Iterator[SandboxControl]:
    with running_sandbox() as control:
        yield control


@pytest.fixture
def carrier(served: SandboxControl, backend: Backend, environment: pytest.MonkeyPatch) -> SandboxControl:
    served.reset()
    environment.setenv("NUMBER_ORDERS_BANDWIDTH__BASE_URL", served.url)
    environment.setenv("NUMBER_ORDERS_BANDWIDTH__NOTICE_PASSWORD", PASSWORD)
    environment.setenv("NUMBER_ORDERS_PUBLIC_URL", "https://numbers.example/hooks")
    return served


def listed(command: Command) -> list[tuple[str, str]]:
    found = json.loads(command("subscriptions", "--json").stdout)["subscriptions"]
    return [(one["topic"], one["url"]) for one in found]


def test_subscriptions_are_made_shown_and_removed(carrier: SandboxControl, command: Command) -> None:
    assert listed(command) == []
    made = command("subscriptions", "renew")
    assert made.exit_code == 0, made.stderr
    assert [line.split()[:2] for line in made.stdout.splitlines()[1:]] == [
        ["bandwidth", "orders"],
        ["bandwidth", "disconnects"],
    ]
    address = "https://numbers.example/hooks/notices/bandwidth"
    assert listed(command) == [("orders", address), ("disconnects", address)]
    shown = command("subscriptions", columns=200).stdout
    assert shown.count("6 days 23 h") + shown.count("7 days") == 2
    assert PASSWORD not in shown
    assert command("subscriptions", "remove").stdout.count("removed") == 2
    assert listed(command) == []


def test_a_second_renewal_renews(carrier: SandboxControl, command: Command) -> None:
    command("subscriptions", "renew")
    carrier.advance(3 * 86_400)

    assert command("subscriptions", "renew").stdout.count("renewed") == 2
    left = [one["expires_in_s"] for one in json.loads(command("subscriptions", "--json").stdout)["subscriptions"]]
    assert all(6.9 * 86_400 < each <= 7 * 86_400 for each in left)


def test_a_carrier_that_does_not_answer_is_named(carrier: SandboxControl, command: Command) -> None:
    carrier.fault("error_before", path="/subscriptions", method="POST", times=1)

    failed = command("subscriptions", "renew")

    assert failed.exit_code == 4
    assert "bandwidth: no answer" in failed.stderr
    assert "subscription failed" in command("alarms").stdout


def test_without_an_address_it_says_what_to_set(
    carrier: SandboxControl, command: Command, environment: pytest.MonkeyPatch
) -> None:
    environment.delenv("NUMBER_ORDERS_PUBLIC_URL")

    refused = command("subscriptions")

    assert refused.exit_code == 2
    assert "NUMBER_ORDERS_PUBLIC_URL" in refused.stderr


def test_a_carrier_without_subscriptions_is_refused(
    carrier: SandboxControl, command: Command, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("NUMBER_ORDERS_SWIFT__API_KEY", "apik_sandbox")

    assert command("subscriptions", "--carrier", "swift").exit_code == 1
    assert command("subscriptions", "--carrier", "nobody").exit_code == 2


def test_doctor_shows_them(carrier: SandboxControl, command: Command, environment: pytest.MonkeyPatch) -> None:
    (missing,) = check_notices(Settings())
    assert missing.verdict is Verdict.WRONG
    assert "NOT subscribed to orders, NOT subscribed to disconnects" in missing.says
    command("subscriptions", "renew")
    (there,) = check_notices(Settings())
    assert there.verdict is Verdict.GOOD
    assert "bandwidth: none came for a day; subscribed to orders for " in there.says
    environment.delenv("NUMBER_ORDERS_BANDWIDTH__NOTICE_PASSWORD")
    (off,) = check_notices(Settings())
    assert (off.verdict, "NOTICE_PASSWORD" in str(off.remedy)) == (Verdict.LOOK, True)
    environment.delenv("NUMBER_ORDERS_PUBLIC_URL")
    (unwanted,) = check_notices(Settings())
    assert unwanted.verdict is Verdict.GOOD
