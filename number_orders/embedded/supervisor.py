"""Keeps named child processes running, passes on what they say, and ends them all with us.

Knows commands, backoff and lines of output. Knows nothing of what the processes do. Each stands behind a
guard of its own (see `guard.py`), in its own process group: Ctrl-C in a terminal reaches only us, and a
supervisor that is killed leaves nothing running.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, Final, Self, TextIO

import structlog

from number_orders.embedded.errors import CouldNotStart
from number_orders.embedded.guarded import Command, GuardedProcess

BACKOFF_FIRST_S: Final = 0.2
BACKOFF_MAX_S: Final = 5.0
STABLE_AFTER_S: Final = 10.0  # who ran this long begins with the first backoff again
LINE_BYTES_MAX: Final = 65_536
OUTPUT_DRAIN_S: Final = 1.0  # what the last words of a process are given to arrive
STOP_MARGIN_S: Final = 5.0
NOT_FOUND: Final = 127  # as shells say it

log = structlog.get_logger()

Sink = Callable[[str, str], None]
"""Takes a process's name and one line of its output, from several threads."""


class ProcessEventKind(StrEnum):
    """What a process did."""

    STARTED = "started"
    EXITED = "exited"
    RESTARTED = "restarted"


@dataclass(frozen=True, slots=True)
class ProcessEvent:
    """One thing that happened to one process.

    `returncode` comes with EXITED, negative for a signal. `pid` is None only when a restart found nothing to run.
    """

    name: str
    pid: int | None
    kind: ProcessEventKind
    returncode: int | None = None


Listener = Callable[[ProcessEvent], None]


def prefixed(stream: TextIO, *, width: int = 10) -> Sink:
    """Return a sink that writes `name | line` to a stream."""
    lock = threading.Lock()

    def write(name: str, line: str) -> None:
        with lock:
            stream.write(f"{name:<{width}} | {line}\n")
            stream.flush()

    return write


class Supervisor:
    """A set of processes, each restarted when it exits before it was asked to. It never gives up on one."""

    def __init__(self, *, output: Sink | Path, on_event: Listener | None = None, grace_s: float = 10.0) -> None:
        """Describe how processes are kept; none runs yet.

        Args:
            output: A sink for their lines, or a directory for one `NAME.log` each.
            on_event: Told of every start, exit and restart, from the threads that see them. It may not stop us.
            grace_s: How long after SIGTERM a process group is killed.
        """
        if isinstance(output, Path):
            output.mkdir(parents=True, exist_ok=True)
        self._output = output
        self._on_event = on_event
        self._grace_s = grace_s
        self._processes: dict[str, _SupervisedProcess] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(
        self, name: str, argv: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> int:
        """Start a process, keep it running from now on, and return its pid.

        Its whole environment is `env`, or ours. A Python child wants PYTHONUNBUFFERED in it, for its
        lines to come at once.

        Raises:
            CouldNotStart: there is nothing to run; a later restart that finds nothing tries again instead.
        """
        if name in self._processes:
            raise ValueError(f"a process named {name} is supervised already")
        command = Command(argv=argv, stop_signals=(("TERM", self._grace_s),), env=env, cwd=cwd)
        process = _SupervisedProcess(name, command, self._output, self._on_event)
        self._processes[name] = process
        try:
            return process.start()
        except CouldNotStart:
            del self._processes[name]
            raise

    def pid(self, name: str) -> int | None:
        """Return the pid of the named process, or None while it waits to be restarted."""
        return self._processes[name].pid

    def stop(self) -> None:
        """End all processes, the last started first; nothing happens when none runs.

        Each gets SIGTERM now. Whoever lives `grace_s` later is killed with its process group.
        """
        processes = list(reversed(self._processes.values()))
        for process in processes:
            process.ask_to_stop()
        for process in processes:
            process.await_end(self._grace_s + STOP_MARGIN_S)
        self._processes.clear()


class _SupervisedProcess:
    """One process through all its restarts, and the thread that watches it."""

    def __init__(self, name: str, command: Command, output: Sink | Path, on_event: Listener | None) -> None:
        self._name, self._command, self._output, self._on_event = name, command, output, on_event
        self._lock = threading.Lock()  # between a restart and a stop
        self._stopping = threading.Event()
        self._process: GuardedProcess | None = None
        self._pump: threading.Thread | None = None
        self._thread = threading.Thread(target=self._run, name=f"keep-{name}", daemon=True)

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process else None

    def start(self) -> int:
        process = self._spawn()
        self._report(ProcessEventKind.STARTED, process.pid)
        self._thread.start()
        return process.pid

    def ask_to_stop(self) -> None:
        with self._lock:
            self._stopping.set()
            if self._process:
                self._process.ask_to_stop()

    def await_end(self, timeout_s: float) -> None:
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            log.error("process_does_not_end", name=self._name, pid=self.pid)

    def _run(self) -> None:
        pause_s = BACKOFF_FIRST_S
        while process := self._process:
            began = time.monotonic()
            self._await_exit(process)
            if time.monotonic() - began > STABLE_AFTER_S:
                pause_s = BACKOFF_FIRST_S
            pause_s = self._restart(pause_s)

    def _await_exit(self, process: GuardedProcess) -> None:
        code = process.wait()
        if self._pump:
            self._pump.join(OUTPUT_DRAIN_S)
        self._process = None
        self._report(ProcessEventKind.EXITED, process.pid, code)

    def _restart(self, pause_s: float) -> float:
        """Start again after a pause, however often it takes, unless asked to stop; return the next pause."""
        while not self._stopping.wait(pause_s):
            pause_s = min(pause_s * 2, BACKOFF_MAX_S)
            try:
                process = self._spawn_unless_stopping()
            except CouldNotStart:
                self._report(ProcessEventKind.EXITED, None, NOT_FOUND)
                continue
            if process:
                self._report(ProcessEventKind.RESTARTED, process.pid)
            break
        return pause_s

    def _spawn_unless_stopping(self) -> GuardedProcess | None:
        with self._lock:
            return None if self._stopping.is_set() else self._spawn()

    def _spawn(self) -> GuardedProcess:
        with self._opened_output() as output:
            self._process = GuardedProcess(self._command, output=output)
        return self._process

    @contextmanager
    def _opened_output(self) -> Iterator[int | IO[bytes]]:
        if isinstance(self._output, Path):
            with (self._output / f"{self._name}.log").open("ab") as file:
                yield file
            return
        reading, writing = os.pipe()
        self._pump = threading.Thread(target=self._forward_lines, args=(reading, self._output), daemon=True)
        self._pump.start()
        try:
            yield writing
        finally:
            os.close(writing)  # the process holds it now, and alone

    def _forward_lines(self, reading: int, sink: Sink) -> None:
        with os.fdopen(reading, "rb") as pipe:
            while line := pipe.readline(LINE_BYTES_MAX):
                self._call_safely(sink, self._name, line.decode(errors="replace").rstrip("\r\n"))

    def _report(self, kind: ProcessEventKind, pid: int | None, returncode: int | None = None) -> None:
        if self._on_event:
            self._call_safely(self._on_event, ProcessEvent(self._name, pid, kind, returncode))

    def _call_safely(self, call: Callable[..., None], *arguments: object) -> None:
        """Call what was given to us; its faults are its own and must not end the watch or block a pipe."""
        try:
            call(*arguments)
        except Exception:
            log.exception("listener_failed", name=self._name)
