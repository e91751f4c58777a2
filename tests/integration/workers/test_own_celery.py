"""Variables that Celery reads for other applications change nothing for us, however a process is started."""

import os
import subprocess
import sys
from collections.abc import Mapping
from uuid import uuid4

import pytest
from celery import Celery
from pydantic import SecretStr

from config.settings import Settings
from tests.integration.workers.messages import ORDER
from tests.processes import REPOSITORY, Processes, eventually
from workers.apps import make_app
from workers.own_celery import forget_environment
from workers.senders import make_sender

ELSEWHERE = "redis://127.0.0.1:1/0"
VARIABLES = {
    **dict.fromkeys(
        (
            "BROKER_URL",
            "RESULT_BACKEND",
            "CELERY_BROKER",
            "CELERY_BROKER_URL",
            "CELERY_BROKER_READ_URL",
            "CELERY_BROKER_WRITE_URL",
            "CELERY_RESULT_BACKEND",
        ),
        ELSEWHERE,
    ),
    "CELERY_CONFIG_MODULE": "a_module_that_is_not_there",
    "CELERY_WORKER_QUEUES": "crm",
    "CELERY_WORKER_CONCURRENCY": "1",
    "DJANGO_SETTINGS_MODULE": "a_site.settings",
}
"""What another application's environment may set."""


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    return VARIABLES


def test_no_application_of_ours_takes_an_address_from_the_environment(variables: Mapping[str, str]) -> None:
    """Commands ring bells and ask workers by the same applications."""
    settings = Settings(broker_url=SecretStr("redis://ours:6379/0"))
    for app in (make_app(settings), make_sender(settings)):
        addresses = {
            app.connection_for_read().as_uri(),
            app.connection_for_write().as_uri(),
            app.connection().as_uri(),
        }
        assert addresses == {"redis://:**@ours:6379/0"}
        assert "ours" in str(app.conf.result_backend or "redis://ours")
        app.close()


def test_a_worker_and_beat_of_another_applications_shell_serve_us(processes: Processes, app: Celery) -> None:
    """The producer's task runs here, on our queues, although every variable names something else."""
    processes.beat(env=VARIABLES)
    worker = processes.worker(env=VARIABLES)
    sent = app.send_task("orders.submit", [ORDER], queue="orders", task_id=str(uuid4()))
    assert sent.get(timeout=60)["new"]
    assert "variable_ignored" in worker.said()
    for _ in eventually():  # until beat's ticks come here
        stats = app.control.inspect(timeout=5, limit=1).stats() or {}
        if any(answer["total"].get("orders.sweep") for answer in stats.values()):
            break


@pytest.mark.parametrize("option", ["-b", "--broker", "--result-backend", "--config"])
def test_an_address_on_the_command_line_ends_the_process_and_says_what_to_set(option: str, env: dict[str, str]) -> None:
    """To ignore it silently would serve a broker that nobody named."""
    done = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "workers.celery_app", option, ELSEWHERE, "worker"],
        cwd=REPOSITORY,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "NUMBER_ORDERS_BROKER_URL" in done.stderr
    assert "Traceback" not in done.stderr


def test_our_own_variables_stay() -> None:
    environment = {"CELERY_BROKER_URL": "x", "NUMBER_ORDERS_BROKER_URL": "y", "FLOWER_BASIC_AUTH": "z", "PATH": "p"}
    forget_environment(environment)
    assert environment == {"NUMBER_ORDERS_BROKER_URL": "y", "FLOWER_BASIC_AUTH": "z", "PATH": "p"}
