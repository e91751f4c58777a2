"""What runs the service elsewhere starts the Procfile's processes, closed in, and is valid by each format's schema."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from config.queues import TASK_LIMIT_S
from config.settings import Settings
from number_orders.cli.doctor.checks import known_variables
from number_orders.receiver.metrics import FIGURES, PREFIX
from number_orders.receiver.server import STOP_WITHIN_S
from tests.processes import REPOSITORY
from workers.carriers import CARRIERS, configured_carriers

PROCFILE = dict(line.split(": ", 1) for line in (REPOSITORY / "Procfile").read_text().splitlines())
COMPOSE: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OBJECTS: list[dict[str, Any]] = list(yaml.safe_load_all((REPOSITORY / "deploy" / "kubernetes.yaml").read_text()))
UNITS = sorted((REPOSITORY / "deploy" / "systemd").glob("*.service"))
OURS = ("migrate", *PROCFILE)
GUID = "11111111-2222-4333-8444-555555555555"
ACCOUNTS: dict[str, dict[str, str]] = {
    "bandwidth": {
        "NUMBER_ORDERS_BANDWIDTH__ACCOUNT_ID": "9900000",
        "NUMBER_ORDERS_BANDWIDTH__SITE_ID": "743",
        "NUMBER_ORDERS_BANDWIDTH__CLIENT_ID": "client",
        "NUMBER_ORDERS_BANDWIDTH__CLIENT_SECRET": "hush-hush-hush",
        "NUMBER_ORDERS_BANDWIDTH__LIMITS": '{"ORDER": 1.6, "HISTORY": 20}',
    },
    "cm": {
        "NUMBER_ORDERS_CM__ACCOUNT_GUID": GUID,
        "NUMBER_ORDERS_CM__PRODUCT_TOKEN": "hush-hush-hush",
        "NUMBER_ORDERS_CM__COMPANY_PROFILES": f'{{"NLD:local": "{GUID}"}}',
        "NUMBER_ORDERS_CM__LIMITS": '{"ALL": 5}',
    },
    "swift": {
        "NUMBER_ORDERS_SWIFT__API_KEY": "apik_hush-hush-hush",
        "NUMBER_ORDERS_SWIFT__LIMITS": '{"ALL": 5}',
    },
}
"""What an operator fills in to order from each carrier."""


def unit(name: str) -> ConfigParser:
    parsed = ConfigParser(interpolation=None, strict=False)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]  # as the library's own documents do
    parsed.read(REPOSITORY / "deploy" / "systemd" / f"number-orders-{name}.service")
    return parsed


def pods() -> dict[str, dict[str, Any]]:
    specs = (one["spec"]["template"]["spec"] for one in OBJECTS if "template" in one["spec"])
    return {spec["containers"][0]["name"]: spec for spec in specs}


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    return {one["metadata"]["name"].removeprefix("number-orders-"): one for one in OBJECTS if one["kind"] == kind}


@pytest.mark.parametrize("name", PROCFILE)
def test_systemd_starts_what_the_procfile_has(name: str) -> None:
    command = unit(name)["Service"]["ExecStart"].removeprefix("/opt/number-orders/bin/")
    assert command.startswith(PROCFILE[name])


@pytest.mark.parametrize("name", PROCFILE)
def test_kubernetes_and_compose_start_what_the_procfile_has(name: str) -> None:
    """And nothing stands between: a shell would swallow the signal."""
    for command in (pods()[name]["containers"][0]["command"], SERVICES[name]["command"]):
        assert isinstance(command, list)
        assert command[: len(shlex.split(PROCFILE[name]))] == shlex.split(PROCFILE[name])


def test_a_worker_has_time_to_finish() -> None:
    """And SIGTERM reaches its main process; systemd's default would reach the children too."""
    worker = unit("worker")["Service"]
    patience = [
        int(re.fullmatch(r"(\d+)s", SERVICES["worker"]["stop_grace_period"])[1]),  # type: ignore[index]  # it matches or fails
        int(worker["TimeoutStopSec"]),
        pods()["worker"]["terminationGracePeriodSeconds"],
    ]
    assert min(patience) > TASK_LIMIT_S
    assert worker["KillMode"] == "mixed"


def test_example_and_compose_name_settings_and_the_same_ones() -> None:
    """With the address and the secrets that notices, signed messages and budgets need."""
    listed = re.findall(
        r"^(NUMBER_ORDERS_\w+)=$", (REPOSITORY / "deploy" / "environment.example").read_text(), re.MULTILINE
    )
    composed = {
        name
        for process in ("worker", "receiver")
        for part in ("environment", "secrets")
        for name in SERVICES[process][part]
    }

    assert set(listed) <= known_variables()
    assert composed <= known_variables()
    # systemd's receiver is behind a proxy of its host, and its units name the directory of secrets.
    assert composed - set(listed) == {"NUMBER_ORDERS_RECEIVER__HOST", "NUMBER_ORDERS_SECRETS_DIR"}
    assert set(listed) <= composed
    assert {"NUMBER_ORDERS_PUBLIC_URL", "NUMBER_ORDERS_NOTICE_SECRET", "NUMBER_ORDERS_SIGNED_MESSAGES"} <= composed


def test_compose_takes_every_variable_of_its_example_and_no_other() -> None:
    compose = (REPOSITORY / "docker-compose.yml").read_text()
    taken = set(re.findall(r"\$\{(\w+)", compose)) - {"NUMBER_ORDERS_VERSION"}

    assert taken == set(re.findall(r"^(\w+)=", (REPOSITORY / ".env.example").read_text(), re.MULTILINE))


@pytest.mark.parametrize("process", OURS)
@pytest.mark.parametrize("carrier", [None, *ACCOUNTS])
def test_compose_sets_up_the_carriers_that_are_filled_in_and_needs_none(
    process: str, carrier: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What nobody fills in reaches the processes as empty variables and empty files."""
    account = ACCOUNTS[carrier] if carrier else {}
    for name, value in SERVICES[process]["environment"].items():
        monkeypatch.setenv(name, account.get(name, re.sub(r"^\$\{\w+:-\}$", "", value)))
    for name in SERVICES[process]["secrets"]:
        (tmp_path / name).write_text(account.get(name, ""))
    monkeypatch.setenv("NUMBER_ORDERS_SECRETS_DIR", str(tmp_path))

    settings = Settings()

    if process in {"worker", "beat", "receiver"}:
        assert [*configured_carriers(settings)] == ([carrier] if carrier else [])
        assert carrier is None or getattr(settings, carrier).limits


def test_there_is_an_account_for_each_carrier_and_the_files_name_all_of_it() -> None:
    assert ACCOUNTS.keys() == {entry.name for entry in CARRIERS}
    filled_in = {name for account in ACCOUNTS.values() for name in account}
    assert filled_in <= {*SERVICES["worker"]["environment"], *SERVICES["worker"]["secrets"]}


def test_a_receiver_has_time_to_finish() -> None:
    patience = [
        int(SERVICES["receiver"]["stop_grace_period"].removesuffix("s")),
        int(unit("receiver")["Service"]["TimeoutStopSec"]),
        pods()["receiver"]["terminationGracePeriodSeconds"],
    ]
    assert min(patience) > STOP_WITHIN_S


# docker-compose.yml


def test_compose_file_is_valid_by_the_compose_specification() -> None:
    checked = subprocess.run(
        ["check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(REPOSITORY / "docker-compose.yml")],
        capture_output=True,
        text=True,
        env=venv_path(),
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_compose_specification_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    """The check above can fail."""
    wrong = tmp_path / "docker-compose.yml"
    wrong.write_text(yaml.safe_dump({"services": {"worker": {"image": "x", "read_onyl": True}}}))
    command = ["check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(wrong)]
    assert subprocess.run(command, capture_output=True, env=venv_path(), check=False).returncode != 0


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_closed_in(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert int(str(service["user"]).split(":", 1)[0]) > 0
    assert any(str(mount).startswith("/tmp") for mount in service["tmpfs"])  # noqa: S108  in the container
    assert {"cpus", "memory", "pids"} <= service["deploy"]["resources"]["limits"].keys()
    assert "healthcheck" in service
    assert service["restart"] in {"unless-stopped", "on-failure"}


def test_ports_are_published_on_loopback_only() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published
    assert [port for port in published if not port.startswith("127.0.0.1:")] == []


def test_no_secret_is_a_variable_and_none_has_a_default() -> None:
    """Variables are shown by `docker inspect`, to every process of a container, and in crash reports."""
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            is_secret = re.search(r"PASSWORD|SECRET(?!S_DIR)|TOKEN|API_KEY|_URL$", variable) and not variable.endswith(
                "_FILE"
            )
            known = {"NUMBER_ORDERS_PUBLIC_URL", "NUMBER_ORDERS_TRACES_URL"}  # no user name may be in either
            assert not is_secret or variable in known, (name, variable)
            assert not re.search(r":-[^}]", str(value)), f"{name}: {variable} has a default"


def test_every_secret_is_a_file_that_the_script_makes() -> None:
    made = (REPOSITORY / "deploy" / "secrets.sh").read_text()
    assert COMPOSE["secrets"].keys() == {
        secret for service in SERVICES.values() for secret in service.get("secrets", [])
    }
    for name, secret in COMPOSE["secrets"].items():
        assert secret == {"file": f"./secrets/{name}"}
        assert re.search(rf"^(new|put|empty) {name}\b", made, re.MULTILINE), name


def test_only_migrate_has_the_owner_of_the_tables() -> None:
    have = {name for name, service in SERVICES.items() if "NUMBER_ORDERS_MIGRATION_URL" in service.get("secrets", [])}
    assert have == {"migrate"}
    assert pods()["migrate"]["containers"][0]["envFrom"] != pods()["worker"]["containers"][0]["envFrom"]
    assert unit("migrate")["Service"]["User"] != unit("worker")["Service"]["User"]


def test_the_script_makes_secrets_once_and_closed_to_others(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    script = tmp_path / "deploy" / "secrets.sh"
    shutil.copy(REPOSITORY / "deploy" / "secrets.sh", script)

    def made() -> dict[str, str]:
        subprocess.run(["sh", str(script)], capture_output=True, check=True)
        return {file.name: file.read_text() for file in (tmp_path / "secrets").iterdir()}

    first = made()
    assert made() == first  # what is there stays
    assert first.keys() == COMPOSE["secrets"].keys()
    assert len(first["postgres_owner_password"]) == 48
    assert first["postgres_service_password"] in first["NUMBER_ORDERS_DATABASE_URL"]
    assert first["postgres_owner_password"] in first["NUMBER_ORDERS_MIGRATION_URL"]
    assert [file.name for file in (tmp_path / "secrets").iterdir() if file.stat().st_mode & 0o077] == []


# deploy/kubernetes.yaml


@pytest.mark.parametrize("manifest", OBJECTS, ids=lambda one: f"{one['kind']}-{one['metadata']['name']}")
def test_kubernetes_objects_are_valid(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, "1.29", strict=True)


def test_a_deployment_for_each_process_with_probes_and_limits() -> None:
    assert of_kind("Deployment").keys() == PROCFILE.keys()
    for name, pod in pods().items():
        container = pod["containers"][0]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert {"requests", "limits"} <= container["resources"].keys()
        assert name == "migrate" or "livenessProbe" in container


def test_disruptions_and_scaling_name_what_there_is() -> None:
    deployments = of_kind("Deployment")
    for name, budget in of_kind("PodDisruptionBudget").items():
        assert budget["spec"]["selector"] == deployments[name]["spec"]["selector"]
    scaler = of_kind("HorizontalPodAutoscaler")["worker"]["spec"]
    assert scaler["scaleTargetRef"]["name"] == deployments["worker"]["metadata"]["name"]
    assert "replicas" not in deployments["worker"]["spec"]  # it would fight with the scaler at each rollout
    assert scaler["minReplicas"] > of_kind("PodDisruptionBudget")["worker"]["spec"]["minAvailable"]


def test_scaler_takes_one_series_that_the_adapter_makes_of_ours() -> None:
    """It would add up the series of all receivers and lanes."""
    (metric,) = of_kind("HorizontalPodAutoscaler")["worker"]["spec"]["metrics"]
    (rule,) = yaml.safe_load((REPOSITORY / "deploy" / "prometheus-adapter.yaml").read_text())["rules"]["external"]
    assert metric["external"]["metric"]["name"] == rule["name"]["as"]
    assert rule["seriesQuery"].removeprefix(PREFIX) in FIGURES
    assert rule["metricsQuery"].startswith("max(<<.Series>>")


# deploy/systemd


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
@pytest.mark.parametrize("file", UNITS, ids=lambda file: file.stem)
def test_systemd_knows_every_line(file: Path, tmp_path: Path) -> None:
    """Of a line that it does not know, systemd only warns, and goes on without it."""
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    copy = tmp_path / file.name
    copy.write_text(re.sub(r"(?<=ExecStart=)\S+", str(program), file.read_text()))
    checked = subprocess.run(["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, check=False)
    assert file.name not in checked.stderr, checked.stderr


@pytest.mark.parametrize("file", UNITS, ids=lambda file: file.stem)
def test_systemd_units_are_closed_in(file: Path) -> None:
    service = unit(file.stem.removeprefix("number-orders-"))["Service"]
    for name in ("NoNewPrivileges", "PrivateTmp", "ProtectHome"):
        assert service[name] == "true"
    assert service["ProtectSystem"] == "strict"
    assert service["User"] != "root"


def venv_path() -> dict[str, str]:
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
