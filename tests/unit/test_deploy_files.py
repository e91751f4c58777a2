"""What runs the service elsewhere starts the Procfile's processes, and stops a worker as it wants to be stopped."""

import re
import shlex
from configparser import ConfigParser
from typing import Any

import pytest
import yaml

from config.queues import TASK_LIMIT_S
from number_orders.cli.doctor.checks import known_variables
from number_orders.receiver.server import STOP_WITHIN_S
from tests.processes import REPOSITORY

PROCFILE = dict(line.split(": ", 1) for line in (REPOSITORY / "Procfile").read_text().splitlines())


def unit(name: str) -> ConfigParser:
    parsed = ConfigParser(interpolation=None)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]  # as the library's own documents do
    parsed.read(REPOSITORY / "deploy" / "systemd" / f"number-orders-{name}.service")
    return parsed


def pods() -> dict[str, dict[str, Any]]:
    documents = yaml.safe_load_all((REPOSITORY / "deploy" / "kubernetes.yaml").read_text())
    specs = (document["spec"]["template"]["spec"] for document in documents)
    return {spec["containers"][0]["name"]: spec for spec in specs}


@pytest.mark.parametrize("name", ["worker", "beat", "flower", "receiver"])
def test_systemd_starts_what_the_procfile_has(name: str) -> None:
    command = unit(name)["Service"]["ExecStart"].removeprefix("/opt/number-orders/bin/")
    assert command.startswith(PROCFILE[name])


@pytest.mark.parametrize("name", ["worker", "beat", "receiver"])
def test_kubernetes_starts_what_the_procfile_has(name: str) -> None:
    assert pods()[name]["containers"][0]["command"] == shlex.split(PROCFILE[name])


def test_a_worker_has_time_to_finish() -> None:
    """And SIGTERM reaches its main process; systemd's default would reach the children too."""
    compose = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]["worker"]
    worker = unit("worker")["Service"]
    patience = [
        int(re.fullmatch(r"(\d+)s", compose["stop_grace_period"])[1]),  # type: ignore[index]  # it matches or fails
        int(worker["TimeoutStopSec"]),
        pods()["worker"]["terminationGracePeriodSeconds"],
    ]
    assert min(patience) > TASK_LIMIT_S
    assert worker["KillMode"] == "mixed"
    assert isinstance(compose["command"], list)  # a shell in between would swallow the signal


def test_example_and_compose_name_settings_and_the_same_ones() -> None:
    """With the address and the secrets that notices, signed messages and budgets need."""
    listed = re.findall(
        r"^(NUMBER_ORDERS_\w+)=$", (REPOSITORY / "deploy" / "environment.example").read_text(), re.MULTILINE
    )
    services = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]
    composed = {*services["worker"]["environment"], *services["receiver"]["environment"]}

    assert set(listed) <= known_variables()
    assert composed <= known_variables()
    assert composed - set(listed) == {
        "NUMBER_ORDERS_RECEIVER__HOST"
    }  # systemd's receiver is behind a proxy of its host
    assert set(listed) <= composed
    assert {"NUMBER_ORDERS_PUBLIC_URL", "NUMBER_ORDERS_NOTICE_SECRET", "NUMBER_ORDERS_SIGNED_MESSAGES"} <= composed


def test_compose_takes_every_variable_of_its_example_and_no_other() -> None:
    compose = (REPOSITORY / "docker-compose.yml").read_text()
    taken = set(re.findall(r"\$\{(\w+)", compose)) - {"NUMBER_ORDERS_VERSION"}

    assert taken == set(re.findall(r"^(\w+)=", (REPOSITORY / ".env.example").read_text(), re.MULTILINE))


def test_a_receiver_has_time_to_finish() -> None:
    compose = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]["receiver"]
    patience = [
        int(compose["stop_grace_period"].removesuffix("s")),
        int(unit("receiver")["Service"]["TimeoutStopSec"]),
        pods()["receiver"]["terminationGracePeriodSeconds"],
    ]
    assert min(patience) > STOP_WITHIN_S
