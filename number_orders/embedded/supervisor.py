"""Keeps named child processes running, forwards their output, and ends them all when we end.

Knows commands, backoff and lines of output. Knows nothing of what the processes do. Each has its own guard (`guard.py`)
and process group: Ctrl-C in a terminal reaches only us, and a killed supervisor leaves nothing running.
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
from number_orders.embedded.files import open_private
from number_orders.embedded.guarded import Command, GuardedProcess

BACKOFF_FIRST_S: Final = 0.2
BACKOFF_MAX_S: Final = 5.0
STABLE_AFTER_S: Final = 10.0  # after running this long, the backoff starts again from the first
LINE_BYTES_MAX: Final = 65_536
OUTPUT_DRAIN_S: Final = 1.0  # how long to wait for the last output of a process
STOP_MARGIN_S: Final = 5.0
NOT_FOUND: Final = 127  # as in shells

log = structlog.get_logger()

Sink = Callable[[str, str], None]
"""Receives a process's name and one line of its output, from several threads."""


class ProcessEventKind(StrEnum):
    """What happened to a process."""

    STARTED = "started"
    EXITED = "exited"
    RESTARTED = "restarted"


@dataclass(frozen=True, slots=True)
class ProcessEvent:
    """One event of one process.

    `returncode` is set for EXITED; it is negative for a signal. `pid` is None only if a restart found no program.
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
    """A set of processes. Each is restarted whenever it exits without being stopped, without limit."""

    def __init__(self, *, output: Sink | Path, on_event: Listener | None = None, grace_s: float = 10.0) -> None:
        """Configure the supervision; no process runs yet.

        Args:
            output: A sink for their lines, or a directory for one `NAME.log` each.
            on_event: Called for every start, exit and restart, from the threads that notice them. It must not stop us.
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

        `env` is its whole environment; None is ours. Set PYTHONUNBUFFERED for a Python process, so that its lines come
        at once.

        Raises:
            CouldNotStart: there is no such program. A later restart that finds no program tries again instead.
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
        """End all processes, the last started first; do nothing if none runs.

        Each gets SIGTERM now. A process that still runs after `grace_s` is killed with its process group.
        """
        processes = list(reversed(self._processes.values()))
        for process in processes:
            process.ask_to_stop()
        for process in processes:
            process.await_end(self._grace_s + STOP_MARGIN_S)
        self._processes.clear()


class _SupervisedProcess:
    """One process with all its restarts, and the thread that watches it."""

    def __init__(self, name: str, command: Command, output: Sink | Path, on_event: Listener | None) -> None:
        self._name, self._command, self._output, self._on_event = name, command, output, on_event
        self._lock = threading.Lock()  # against a restart during a stop
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
        """Restart after a pause, as often as needed, unless stopped; return the next pause."""
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
            with open_private(self._output / f"{self._name}.log") as file:
                yield file
            return
        reading, writing = os.pipe()
        self._pump = threading.Thread(target=self._forward_lines, args=(reading, self._output), daemon=True)
        self._pump.start()
        try:
            yield writing
        finally:
            os.close(writing)  # now only the process has it open

    def _forward_lines(self, reading: int, sink: Sink) -> None:
        with os.fdopen(reading, "rb") as pipe:
            while line := pipe.readline(LINE_BYTES_MAX):
                self._call_safely(sink, self._name, line.decode(errors="replace").rstrip("\r\n"))

    def _report(self, kind: ProcessEventKind, pid: int | None, returncode: int | None = None) -> None:
        if self._on_event:
            self._call_safely(self._on_event, ProcessEvent(self._name, pid, kind, returncode))

    def _call_safely(self, call: Callable[..., None], *arguments: object) -> None:
        """Call a listener or sink. Its errors are logged; they must not end the supervision or block a pipe."""
        try:
            call(*arguments)
        except Exception:
            log.exception("listener_failed", name=self._name)
