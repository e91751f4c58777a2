"""A guarded process ends when it is stopped, when it is killed, and when its starter is gone."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from number_orders.embedded.errors import CouldNotStart
from number_orders.embedded.guarded import Command, GuardedProcess

PATIENT = (("TERM", 30.0),)
HASTY = (("TERM", 0.3),)
STUBBORN = "trap '' TERM; sleep 60 & echo $!; while :; do sleep 0.05; done"


def guarded(*argv: str, stop_signals: tuple[tuple[str, float], ...] = PATIENT, **options: Any) -> GuardedProcess:
    return GuardedProcess(Command(argv, stop_signals), **({"output": subprocess.DEVNULL} | options))


def test_exit_code_is_that_of_the_command() -> None:
    """It exits by itself or by a signal."""
    assert guarded("sh", "-c", "exit 3").wait(60) == 3
    process = guarded("sleep", "60")
    assert process.wait(0) is None
    os.kill(process.pid, signal.SIGUSR1)
    assert process.wait(60) == -signal.SIGUSR1


def test_stop_sends_the_first_signal_and_waits(tmp_path: Path) -> None:
    """A command can clean up on SIGTERM."""
    done = tmp_path / "done"
    process = guarded("sh", "-c", f"trap 'sleep 0.2; touch {done}; exit 0' TERM; touch {done}.up; sleep 60 & wait")
    while not (tmp_path / "done.up").exists():
        time.sleep(0.01)
    process.ask_to_stop()
    assert process.wait(60) == 0
    assert done.exists()


def test_command_that_ignores_signals_is_killed_with_its_group(all_gone: Callable[..., bool]) -> None:
    """Its children are killed too, without an earlier signal."""
    reading, writing = os.pipe()
    process = guarded("sh", "-c", STUBBORN, stop_signals=HASTY, output=writing)
    os.close(writing)
    with os.fdopen(reading) as output:
        grandchild = int(output.readline())

    process.ask_to_stop()

    assert process.wait(60) == -signal.SIGKILL
    assert all_gone(process.pid, grandchild)


def test_kill_sends_no_other_signal() -> None:
    """The stop signals are skipped."""
    process = guarded("sh", "-c", STUBBORN)
    process.kill()
    assert process.wait(60) == -signal.SIGKILL


def test_background_child_of_an_exited_command_is_killed(all_gone: Callable[..., bool]) -> None:
    """A command exits while its background child still runs."""
    reading, writing = os.pipe()
    process = guarded("sh", "-c", "sleep 60 & echo $!", output=writing)
    os.close(writing)
    with os.fdopen(reading) as output:
        grandchild = int(output.readline())
        assert output.readline() == ""  # the guard holds no end of the pipe
    assert process.wait(60) == 0
    assert all_gone(grandchild)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_command_of_a_killed_guard_is_killed(all_gone: Callable[..., bool]) -> None:
    """The starter is notified."""
    process = guarded("sleep", "60")
    os.kill(process.guard_pid, signal.SIGKILL)
    assert process.wait(60) == -signal.SIGKILL
    assert all_gone(process.pid, process.guard_pid)


def test_sigterm_to_the_guard_stops_its_command() -> None:
    """A person can end a guard, and thereby its command, in order."""
    process = guarded("sleep", "60")
    os.kill(process.guard_pid, signal.SIGTERM)
    assert process.wait(60) == -signal.SIGTERM


def test_fork_of_the_starter_does_not_keep_the_command_alive(
    starter: Callable[..., Any], all_gone: Callable[..., bool]
) -> None:
    """A forked child holds the socket open, yet the starter's death is noticed."""
    killed = starter(
        "import os, subprocess\nfrom number_orders.embedded.guarded import *\n"
        "process = GuardedProcess(Command(['sleep', '60'], (('TERM', 1.0),)), output=subprocess.DEVNULL)\n"
        "fork = os.fork()\n"
        "if fork: print(json.dumps([process.pid, fork]), flush=True)"
    )
    pid, fork = killed.output()
    killed.kill()
    try:
        assert all_gone(pid)
    finally:
        os.kill(fork, signal.SIGKILL)


def test_command_has_its_own_group_and_inherits_nothing_else() -> None:
    """Ctrl-C in our terminal does not reach it; only standard streams and inherited descriptors are open."""
    with Path(os.devnull).open(encoding="ascii") as given:
        process = guarded("sleep", "60", inherit=[given.fileno()])
        assert os.getpgid(process.pid) == process.pid
        assert os.getsid(process.pid) not in {os.getsid(0), process.guard_pid}
        if Path("/proc/self/fd").exists():
            # An inherited descriptor keeps its number. While the program is loaded, its libraries are open as well.
            until, wanted = time.monotonic() + 60, {0, 1, 2, given.fileno()}
            while (held := _descriptors(process.pid)) != wanted and time.monotonic() < until:
                time.sleep(0.01)
            assert held == wanted
        process.kill()
        process.wait(60)


def _descriptors(pid: int) -> set[int]:
    return {int(name.name) for name in Path(f"/proc/{pid}/fd").iterdir()}


def test_missing_program_or_directory_is_reported() -> None:
    """The error names the missing file."""
    with pytest.raises(CouldNotStart, match="No such file"):
        guarded("no-such-program")
    with pytest.raises(CouldNotStart, match="No such file"):
        GuardedProcess(Command(["true"], PATIENT, cwd=Path("/no/such/place")), output=subprocess.DEVNULL)
