"""A process that cannot outlive us: the starter's side of `guard.py`.

Starts a command behind a guard, asks it to stop, and waits for its exit code. Knows nothing of what the command does.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from number_orders.embedded import guard
from number_orders.embedded.errors import CouldNotStart

StopSignals = Sequence[tuple[str, float]]  # signals that stop a command, each with the seconds to wait for its exit

GUARD: Final = Path(guard.__file__).resolve()


@dataclass(frozen=True, slots=True)
class SystemUser:
    """The system user that a command runs as."""

    uid: int
    gid: int

    def __str__(self) -> str:
        return f"{self.uid}:{self.gid}"


@dataclass(frozen=True, slots=True)
class Command:
    """What to run and how to stop it; SIGKILL follows the last of the stop signals."""

    argv: Sequence[str]
    stop_signals: StopSignals
    env: Mapping[str, str] | None = None  # None: ours
    cwd: Path | None = None
    user: SystemUser | None = None  # None: ours

    @property
    def stop_timeout_s(self) -> float:
        """How long a stop may take before SIGKILL."""
        return sum(seconds for _, seconds in self.stop_signals)

    def guard_command(self, channel: int) -> list[str]:
        """Return the command line of the guard."""
        stop_signals = ",".join(f"{name}:{seconds}" for name, seconds in self.stop_signals)
        user = str(self.user or "-")
        return [sys.executable, "-I", "-S", str(GUARD), str(channel), stop_signals, user, *self.argv]


class GuardedProcess:
    """A running command in its own session and process group.

    Methods may be called from any thread. `pid` is the command's, `guard_pid` its guard's.
    """

    def __init__(
        self,
        command: Command,
        *,
        output: int | IO[bytes],
        stdin: int | IO[bytes] = subprocess.DEVNULL,
        inherit: Iterable[int] = (),
    ) -> None:
        """Start the command and return once it runs.

        Args:
            command: What to run.
            output: Where its standard output and error go.
            stdin: What it reads.
            inherit: Descriptors that guard and command keep open while they live.

        Raises:
            CouldNotStart: there is no such program, or we may not run it.
        """
        self._channel, guard_end = socket.socketpair()
        with guard_end:
            self._guard = self._start_guard(command, guard_end.fileno(), output, stdin, inherit)
        self._reports = self._channel.makefile("r", encoding="utf-8", errors="replace")
        self._ended = threading.Event()
        self._returncode: int | None = None
        self.guard_pid = self._guard.pid
        self.pid = self._first_report(command.argv[0])
        threading.Thread(target=self._watch_for_end, name=f"guarded-{self.pid}", daemon=True).start()

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Return the exit code (negative for a signal), or None if it still runs after `timeout_s`."""
        self._ended.wait(timeout_s)
        return self._returncode

    def ask_to_stop(self) -> None:
        """Begin to send the stop signals, without waiting."""
        self._send(guard.STOP)

    def kill(self) -> None:
        """Send SIGKILL to the whole process group, without waiting."""
        self._send(guard.KILL)

    def _send(self, first_word: bytes) -> None:
        with contextlib.suppress(OSError):  # it has exited already
            self._channel.send(first_word)

    def _start_guard(
        self,
        command: Command,
        channel: int,
        output: int | IO[bytes],
        stdin: int | IO[bytes],
        inherit: Iterable[int],
    ) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                command.guard_command(channel),
                stdin=stdin,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=command.env,
                cwd=command.cwd,
                pass_fds=[channel, *inherit],
                umask=0o077,  # what they write may hold orders and keys
                start_new_session=True,  # Ctrl-C in a terminal reaches only us; we stop the others in order
            )
        except OSError as fault:
            self._channel.close()
            raise CouldNotStart(command.argv[0], str(fault)) from fault

    def _report(self) -> tuple[str, str]:
        """Return the guard's next report as its first word and the rest; empty if the guard is gone."""
        try:
            first_word, _, rest = self._reports.readline().strip().partition(" ")
        except ConnectionResetError:  # killed before our bytes were read
            return "", ""
        return first_word, rest

    def _first_report(self, program: str) -> int:
        first_word, rest = self._report()
        if first_word == "started":
            return int(rest)
        self._close()
        raise CouldNotStart(program, rest or f"its guard exited with {self._guard.returncode}.")

    def _watch_for_end(self) -> None:
        first_word, rest = self._report()
        self._close()
        if first_word == "exited":
            self._returncode = int(rest)
        else:  # the guard was killed; its command must not run without one
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            self._returncode = -signal.SIGKILL
        self._ended.set()

    def _close(self) -> None:
        self._guard.wait()
        self._reports.close()
        self._channel.close()
