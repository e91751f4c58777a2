"""A pool child ends on SIGTERM only if its worker sent it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from tests.processes import REPOSITORY

WORKER = """
import os, signal, sys, time
from workers.termination import heed_only_the_worker

child = os.fork()
if child == 0:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))  # as billiard's handler, which unwinds the child
    heed_only_the_worker()
    print("ready", os.getpid(), flush=True)
    until = time.monotonic() + 60
    while time.monotonic() < until:
        {work}
    sys.exit(1)
sys.stdin.readline()
os.kill(child, signal.SIGTERM)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@contextmanager
def a_child(work: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run a worker with one child; yield the worker and the child's process id."""
    command = [sys.executable, "-c", WORKER.replace("{work}", work)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY, env=os.environ
    ) as worker:
        assert worker.stdout is not None
        line = next(line for line in worker.stdout if line.startswith("ready"))
        child = int(line.split()[1])
        try:
            yield worker, child
        finally:
            worker.kill()
            if psutil.pid_exists(child):
                os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize(
    ("work", "exit_code"),
    [
        ("time.sleep(0.01)", 7),  # it unwinds
        ("time.sleep(60)", 128 + signal.SIGTERM),  # it hangs in a system call
    ],
)
def test_child_survives_the_sigterm_of_others(work: str, exit_code: int) -> None:
    with a_child(work) as (worker, child):
        for _ in range(3):
            os.kill(child, signal.SIGTERM)
            time.sleep(0.2)
        assert psutil.Process(child).status() != psutil.STATUS_ZOMBIE

        said, _ = worker.communicate("now\n", timeout=30)

    assert said.split()[-1] == str(exit_code)
