"""The lock on a data directory: one engine at a time, and a server without starter and guard is stopped."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from number_orders.embedded.errors import AlreadyRunning
from number_orders.embedded.lock import Holders, data_lock


def dead_pid() -> int:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


@pytest.mark.parametrize("obedient", [True, False])
def test_orphan_holding_the_lock_is_stopped(tmp_path: Path, obedient: bool) -> None:
    """Starter and guard are gone, the server is not: it gets SIGINT, and SIGKILL if it does not exit."""
    # Set in both cases, because tests run in the background inherit an ignored SIGINT.
    handler = "DFL" if obedient else "IGN"
    code = f"import signal, time; signal.signal(signal.SIGINT, signal.SIG_{handler}); print(flush=True); time.sleep(60)"
    with data_lock("Engine", tmp_path / "lock") as lock:
        orphan = subprocess.Popen(
            [sys.executable, "-c", code], pass_fds=[lock.fd], start_new_session=True, stdout=subprocess.PIPE
        )
        lock.record(Holders(dead_pid(), dead_pid(), orphan.pid))
        assert orphan.stdout
        assert orphan.stdout.readline() == b"\n"  # it runs

    with data_lock("Engine", tmp_path / "lock", orphan_grace_s=30 if obedient else 0.3):
        assert orphan.wait(60) == -(signal.SIGINT if obedient else signal.SIGKILL)
    orphan.stdout.close()


def test_process_that_does_not_hold_the_lock_is_left_alone(tmp_path: Path) -> None:
    """The lock file names a process that does not hold the lock: it gets no signal."""
    if not Path("/proc/self/fd").exists():
        pytest.skip("this system does not tell who holds a file")
    with data_lock("Engine", tmp_path / "lock") as lock:
        holder = subprocess.Popen(["sleep", "0.6"], pass_fds=[lock.fd])
        bystander = subprocess.Popen(["sleep", "60"])
        lock.record(Holders(dead_pid(), dead_pid(), bystander.pid))

    with data_lock("Engine", tmp_path / "lock", orphan_grace_s=0.1):
        assert psutil.Process(bystander.pid).is_running()
        assert bystander.poll() is None
    holder.wait()
    bystander.kill()
    bystander.wait()


def test_lock_of_a_living_starter_is_respected(tmp_path: Path) -> None:
    """The error comes at once and has the starter's pid."""
    with (
        data_lock("Engine", tmp_path / "lock"),
        pytest.raises(AlreadyRunning) as refused,
        data_lock("Engine", tmp_path / "lock"),
    ):
        pass
    assert refused.value.pid == os.getpid()
