"""What a test has started ends with the test run, even when that is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
TEST_RUN = """
import os, signal, subprocess
from tests.processes import Reaper
started = subprocess.Popen(["sleep", "300"], start_new_session=True)
reaper = Reaper()
reaper.watch(started.pid)
print(started.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_processes_of_a_killed_test_run_are_killed() -> None:
    """A worker that is left over would serve the next run's orders."""
    run = subprocess.run([sys.executable, "-c", TEST_RUN], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert run.returncode == -signal.SIGKILL
    started = int(run.stdout)
    until = time.monotonic() + 90
    while time.monotonic() < until:
        try:
            os.kill(started, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    pytest.fail(f"process {started} is still there")
