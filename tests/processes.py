"""Real worker and beat processes for tests: started, watched, stopped, and killed without a word."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from number_orders.cli.stack import processes as shipped

REPOSITORY = Path(__file__).parent.parent
OURS = "workers.celery_app"
CELERY = (sys.executable, "-m", "celery", "-A")


@dataclass
class Process:
    """One process with children of its own, in a group of its own, its words in a file."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    def kill(self) -> None:
        """SIGKILL, for it and its children at once: the power is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()

    def kill_leader(self) -> None:
        """SIGKILL for the main process alone."""
        self.popen.kill()
        self.popen.wait()

    def stop(self, within_s: float = 180) -> int:
        """SIGTERM: finish what you have and go."""
        self.popen.terminate()
        return self.popen.wait(within_s)

    def said(self) -> str:
        """Everything it has logged so far."""
        return self.log.read_text(errors="replace")

    def await_words(self, words: str, within_s: float = 120) -> None:
        """Wait until it has said `words`."""
        until = time.monotonic() + within_s
        while words not in self.said():
            if time.monotonic() > until or self.popen.poll() is not None:
                raise AssertionError(f"{self.name} did not say {words!r}:\n{self.said()[-3000:]}")
            time.sleep(0.05)


_REAP = """
import os, signal, sys
groups = [int(line) for line in sys.stdin]  # until the test run is gone
for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        continue
"""


class Reaper:
    """Kills process groups when this process is gone, even if it was killed itself."""

    def __init__(self) -> None:
        self._popen = subprocess.Popen([sys.executable, "-c", _REAP], stdin=subprocess.PIPE, start_new_session=True)

    def watch(self, group: int) -> None:
        """Kill this process group when we are gone."""
        assert self._popen.stdin is not None
        self._popen.stdin.write(f"{group}\n".encode())
        self._popen.stdin.flush()

    def close(self) -> None:
        """Kill what is left now."""
        assert self._popen.stdin is not None
        self._popen.stdin.close()
        self._popen.wait()


@dataclass
class Processes:
    """The processes of one test. They end with it, and with the test run, however that ends."""

    folder: Path
    env: Mapping[str, str]
    all: list[Process] = field(default_factory=list)
    home: Path = REPOSITORY
    """Where the code is that they run."""
    _reaper: Reaper = field(default_factory=Reaper)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.all:
            process.kill()
        self._reaper.close()

    @property
    def whole_env(self) -> dict[str, str]:
        """The environment of every process here, for commands that are to see the same backend."""
        return {**os.environ, **self.env}

    def worker(
        self, *, children: int = 3, wait: bool = True, env: Mapping[str, str] | None = None, app: str = OURS
    ) -> Process:
        """Start a worker by the command that we ship; with `wait`, return when it takes messages.

        Another application, and a release before that command, are started by Celery's.
        """
        name = f"worker{len(self.all)}"
        if app == OURS and self.home == REPOSITORY:
            started = self.run(name, *shipped.worker(name, children=children), env=env)
        else:
            flags = ("--without-gossip", "--without-mingle", "-c", str(children), "-n", f"{name}@%h", "-l", "INFO")
            started = self.run(name, *CELERY, app, "worker", *flags, env=env)
        if wait:
            started.await_words("ready.")
        return started

    def beat(self, *, env: Mapping[str, str] | None = None) -> Process:
        """Start a beat, as `worker` does."""
        command = shipped.beat() if self.home == REPOSITORY else [*CELERY, OURS, "beat"]
        return self.run(f"beat{len(self.all)}", *command, env=env)

    def receiver(self, port: int, *, env: Mapping[str, str] | None = None) -> Process:
        """Start a receiver that knows the tokens of `tests.receiver_tokens`; return when it serves."""
        own = {"NUMBER_ORDERS_RECEIVER__PORT": str(port), **(env or {})}
        started = self.run(f"receiver{len(self.all)}", sys.executable, "-m", "tests.receiver_tokens", env=own)
        started.await_words("Application startup complete")
        return started

    def serve(self, port: int) -> Process:
        """Start a receiver with the tokens of its ledger; return when it serves."""
        own = {"NUMBER_ORDERS_RECEIVER__PORT": str(port)}
        started = self.run(f"receiver{len(self.all)}", sys.executable, "-m", "number_orders.cli", "receiver", env=own)
        started.await_words("Application startup complete")
        return started

    def module(self, module: str, *arguments: str, env: Mapping[str, str] | None = None) -> Process:
        """Start a Python module."""
        return self.run(
            f"{module.rpartition('.')[2]}{len(self.all)}", sys.executable, "-m", module, *arguments, env=env
        )

    def run(self, name: str, *argv: str, env: Mapping[str, str] | None = None) -> Process:
        """Start any process."""
        self.folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / f"{name}.log"
        with log.open("wb") as output:
            popen = subprocess.Popen(
                argv,
                cwd=self.home,
                env={**self.whole_env, **(env or {})},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._reaper.watch(popen.pid)
        process = Process(name, popen, log)
        self.all.append(process)
        return process


def eventually(within_s: float = 90, every_s: float = 0.1) -> Iterator[None]:
    """Give turns, to look again in each, until the time is over: `for _ in eventually(): if …: break`."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        yield
        time.sleep(every_s)
    raise AssertionError(f"not within {within_s} s")
