"""The guard: a small process between a command and its starter that ends the command when the starter ends.

    python -I -S guard.py SOCKET_FD STOP_SIGNALS USER COMMAND...

SOCKET_FD is one end of a socket pair; the starter holds the other end. When the starter dies, by any signal, the kernel
closes its end: the guard reads end-of-file and stops the command. The starter can also send one byte: `s` stops the
command, `k` kills it at once. STOP_SIGNALS is a list such as `INT:30,QUIT:5`: signals to the command, each with the
seconds to wait for its exit. The last step is always SIGKILL to the whole process group. USER is `UID:GID`, or `-` for
our own. The guard reports lines: `started PID`, `failed WHY`, `exited CODE`.

PR_SET_PDEATHSIG alone is not enough: that signal exists only on Linux, follows the death of the starting *thread*, is
cleared by a change of user, and does not reach grandchildren. It is used as well, in case the guard itself is killed:
then the kernel sends the first of the stop signals.

This is a script of the standard library, run by its path, so that it starts in hundredths of a second.
"""

import contextlib
import ctypes
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final, NoReturn

STOP: Final = b"s"
KILL: Final = b"k"
CHECK_EVERY_S: Final = 1.0  # how often to check that the parent is still the starter
PR_SET_PDEATHSIG: Final = 1
EXEC_FAILED: Final = 127

StopSignal = tuple[signal.Signals, float]


def main(arguments: Sequence[str]) -> int:
    """Start the command, watch it, and report."""
    channel, stop_signals, user = int(arguments[0]), parse_stop_signals(arguments[1]), arguments[2]
    starter = os.getppid()
    os.set_inheritable(channel, False)  # the command must not keep the socket open
    wake = _wake_on(signal.SIGCHLD, signal.SIGTERM)
    child, failure = _start(arguments[3:], user, first=stop_signals[0][0])
    if failure:
        os.waitpid(child, 0)
        _report_line(channel, f"failed {failure}")
        return EXEC_FAILED
    _report_line(channel, f"started {child}")
    _release_output()
    code = _CommandWatcher(child, channel, wake, stop_signals, starter).until_exit()
    _report_line(channel, f"exited {code}")
    return 0


def parse_stop_signals(text: str) -> list[StopSignal]:
    """Read `INT:30,QUIT:5`."""
    stop_signals = (stop_signal.split(":") for stop_signal in text.split(","))
    return [(signal.Signals[f"SIG{name}"], float(seconds)) for name, seconds in stop_signals]


class _CommandWatcher:
    """Waits for the command to exit, and stops it when the starter is gone or asks for it."""

    def __init__(self, child: int, channel: int, wake: int, stop_signals: Sequence[StopSignal], starter: int) -> None:
        self._child, self._channel, self._wake, self._starter = child, channel, wake, starter
        self._stop_signals = iter(stop_signals)
        self._stopping = False
        self._next_at = float("inf")  # when to send the next signal
        self._poll = select.poll()
        self._poll.register(channel, select.POLLIN)
        self._poll.register(wake, select.POLLIN)

    def until_exit(self) -> int:
        """Return the command's exit code (negative for a signal) once its process group is empty."""
        while True:
            pid, status = os.waitpid(self._child, os.WNOHANG)
            if pid:
                self._kill_group()  # the command's children
                return os.waitstatus_to_exitcode(status)
            self._listen()
            if not self._stopping and os.getppid() != self._starter:  # a fork of the starter may hold the socket open
                self._stop()
            if time.monotonic() >= self._next_at:
                self._send_next_signal()

    def _listen(self) -> None:
        pause_s = max(0.0, min(CHECK_EVERY_S, self._next_at - time.monotonic()))
        for descriptor, _ in self._poll.poll(pause_s * 1000):
            if descriptor == self._channel:
                self._handle(_read_commands(self._channel))
            elif signal.SIGTERM in os.read(self._wake, 64):
                self._stop()

    def _handle(self, commands: bytes) -> None:
        if not commands:
            self._poll.unregister(self._channel)
        if KILL in commands:
            self._stop_signals = iter(())
            self._next_at = time.monotonic()
        else:
            self._stop()

    def _stop(self) -> None:
        if not self._stopping:
            self._next_at = time.monotonic()
        self._stopping = True

    def _send_next_signal(self) -> None:
        stop_signal = next(self._stop_signals, None)
        if stop_signal is None:
            self._kill_group()
            self._next_at = float("inf")
            return
        os.kill(self._child, stop_signal[0])  # not yet reaped, so the pid is still the command's
        self._next_at = time.monotonic() + stop_signal[1]

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for dead processes
            os.killpg(self._child, signal.SIGKILL)


def _read_commands(channel: int) -> bytes:
    try:
        return os.read(channel, 64)
    except ConnectionResetError:  # closed before our lines were read; also an end
        return b""


def _report_line(channel: int, text: str) -> None:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the starter is gone
        os.write(channel, f"{text}\n".encode())


def _wake_on(*signals: signal.Signals) -> int:
    """Return a descriptor that receives a byte for each of these signals."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    for number in signals:
        signal.signal(number, lambda _number, _frame: None)  # a handler, not SIG_IGN: exec resets it
    return reading


def _start(command: Sequence[str], user: str, *, first: signal.Signals) -> tuple[int, str]:
    """Start the command in its own session; return its pid, and why it failed or an empty string."""
    guard = os.getpid()
    error_reader, error_writer = os.pipe()  # closed by a successful exec
    child = os.fork()
    if child == 0:
        _exec(command, user, lambda: _kill_with_guard(guard, first), error_writer)
    os.close(error_writer)
    with open(error_reader, encoding="utf-8") as errors:  # noqa: PTH123 - a descriptor has no path
        return child, errors.read()


def _exec(command: Sequence[str], user: str, kill_with_guard: Callable[[], None], error_writer: int) -> NoReturn:
    try:
        os.setsid()
        _change_to(user)
        kill_with_guard()  # after the change of user, which clears it
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and exec would pass that on
        os.execvp(command[0], list(command))  # noqa: S606 - this is the point
    except OSError as fault:
        os.write(error_writer, f"{fault.strerror} ({command[0]})".encode())
    finally:
        os._exit(EXEC_FAILED)


def _change_to(user: str) -> None:
    if user == "-":
        return
    uid, gid = map(int, user.split(":"))
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def _kill_with_guard(guard: int, number: signal.Signals) -> None:
    """Ask the kernel to send `number` to us when the guard dies; only Linux can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(number), 0, 0, 0)
        if os.getppid() != guard:  # the guard died before the request
            os._exit(EXEC_FAILED)


def _release_output() -> None:
    """Close our ends of the command's pipes, so that they close when the command exits."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
