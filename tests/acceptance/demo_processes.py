"""`number-orders up` and `demo` as a person starts them: processes of their own, with settings of their own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

UP_WITHIN_S = 180.0
NUMBER_ORDERS = (str(Path(sys.executable).with_name("number-orders")),)


def environment(var_dir: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """Return an environment with these settings, and nobody else's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NUMBER_ORDERS_")}
    named = {f"NUMBER_ORDERS_{name}": value for name, value in settings.items()}
    return {**kept, "NUMBER_ORDERS_VAR_DIR": str(var_dir), "NUMBER_ORDERS_FLOWER_PORT": "0", **named}


@dataclass
class Up:
    """A running `number-orders up`."""

    popen: subprocess.Popen[bytes]
    var_dir: Path
    log: Path

    @property
    def note(self) -> dict[str, Any]:
        """What it says of itself to other commands."""
        read: dict[str, Any] = json.loads((self.var_dir / "stack.json").read_text())
        return read

    @property
    def broker_url(self) -> str:
        return str(self.note["env"]["NUMBER_ORDERS_BROKER_URL"])

    def said(self) -> str:
        """Everything on its screen."""
        return self.log.read_text(errors="replace")

    def stopped(self) -> list[str]:
        """The processes that it stopped, in their order."""
        return [line.split()[1] for line in self.said().splitlines() if line.endswith("has stopped")]

    def family(self) -> list[psutil.Process]:
        """Itself and every process below it."""
        itself = psutil.Process(self.popen.pid)
        return [itself, *itself.children(recursive=True)]

    def process(self, words: str) -> psutil.Process:
        """Return the uppermost process below it that runs a command with these words, its guard aside."""
        lines = ((process, _command_line(process)) for process in self.family())
        return next(process for process, line in lines if words in " ".join(line) and not _is_guard(line))

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> int:
        """Ask it to stop, as Ctrl-C does, and return its exit code."""
        self.popen.send_signal(number)
        return self.popen.wait(180)

    def power_off(self) -> list[psutil.Process]:
        """SIGKILL for all of it at once; return what there was."""
        family = self.family()
        for process in family:
            with suppress(psutil.NoSuchProcess):  # whoever stood below one that was killed goes by itself
                process.kill()
        psutil.wait_procs(family, timeout=60)
        return family

    def await_words(self, words: str, within_s: float = UP_WITHIN_S) -> None:
        """Wait until it has said `words`."""
        self.await_that(lambda: words in self.said(), within_s)

    def await_that(self, true: Callable[[], bool], within_s: float = UP_WITHIN_S) -> None:
        """Wait until something is true, while it runs."""
        until = time.monotonic() + within_s
        while not true():
            assert self.popen.poll() is None, self.said()[-4000:]
            assert time.monotonic() < until, self.said()[-4000:]
            time.sleep(0.05)


@contextmanager
def up(var_dir: Path, **settings: str) -> Iterator[Up]:
    """Start the system and wait until it is up; what the test leaves of it is killed."""
    log = var_dir.with_name(f"up-{time.monotonic_ns()}.log")
    with log.open("wb") as output:
        popen = subprocess.Popen(
            [*NUMBER_ORDERS, "up"],
            env=environment(var_dir, {"CHILDREN": "2", **settings}),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    running = Up(popen, var_dir, log)
    try:
        running.await_words("number-orders runs")
        yield running
    finally:
        if popen.poll() is None:
            running.power_off()
            popen.wait()


def _command_line(process: psutil.Process) -> list[str]:
    """Return what a process was started with; nothing of one that is gone by now."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def _is_guard(command_line: list[str]) -> bool:
    return any(word.endswith("guard.py") for word in command_line)
