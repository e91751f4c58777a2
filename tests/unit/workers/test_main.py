"""`python -m workers`: what its command line starts."""

import os
import subprocess
import sys
from typing import Any

import pytest

from tests.processes import REPOSITORY
from workers import __main__ as program


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was started, and how."""
    calls: list[Any] = []

    def worker(name: str, **options: Any) -> int:
        calls.append((name, options))
        return 3

    def beat() -> int:
        calls.append("beat")
        return 0

    monkeypatch.setattr(program, "run_worker", worker)
    monkeypatch.setattr(program, "run_beat", beat)
    return calls


def test_a_worker_has_what_is_given_and_returns_its_exit_code(started: list[Any]) -> None:
    assert program.main(["worker", "--name", "worker2", "--children", "4", "--queues", "orders,orders.sweep"]) == 3
    assert program.main(["worker"]) == 3
    assert started == [
        ("worker2", {"children": 4, "queues": ["orders", "orders.sweep"]}),
        ("celery", {"children": None, "queues": None}),
    ]


def test_beat_takes_no_options(started: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["beat"]) == 0
    assert started == ["beat"]
    with pytest.raises(SystemExit, match="2"):
        program.main(["beat", "--name", "beat2"])
    assert "unrecognized arguments: --name beat2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--children", "many"], "argument -c/--children: 'many' is no number of 1 or more"),
        (["--children", "0"], "argument -c/--children: '0' is no number of 1 or more"),
        (["--queues", "orders,nope"], "argument -Q/--queues: there is no queue 'nope'; there are orders, "),
    ],
)
def test_what_makes_no_sense_is_refused(
    started: list[Any], capsys: pytest.CaptureFixture[str], given: list[str], said: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        program.main(["worker", *given])
    assert said in capsys.readouterr().err
    assert started == []


@pytest.mark.parametrize("command", ["worker", "beat"])
def test_wrong_settings_are_named(command: str) -> None:
    env = {"PATH": os.environ["PATH"], "NUMBER_ORDERS_CHILDREN": "zero"}
    done = subprocess.run(
        [sys.executable, "-m", "workers", command], cwd=REPOSITORY, env=env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("number-orders: the settings cannot be used: NUMBER_ORDERS_CHILDREN: Input should be")
