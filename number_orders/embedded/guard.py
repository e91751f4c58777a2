"""Stands between a process and its starter, so that the one never outlives the other.

    python -I -S guard.py LINE_FD LADDER ACCOUNT COMMAND...

LINE_FD is one end of a socket pair whose other end the starter holds. When the starter dies, by whatever
signal, the kernel closes its end: the guard reads end-of-file and stops the command. The starter may also
ask, with one byte: `s` climbs the ladder, `k` kills at once. LADDER is such as `INT:30,QUIT:5`: signals
to the command and the seconds each is given; SIGKILL to the whole process group is always the last rung.
ACCOUNT is `UID:GID`, or `-` for our own. The guard answers in lines: `started PID`, `failed WHY`, `exited CODE`.

A pipe and a small process, rather than PR_SET_PDEATHSIG alone: that signal is Linux's only, follows the
death of the starting *thread*, is lost by changing the user, and reaches no grandchild. Here it is the
second rope: should the guard itself be killed, the kernel passes the first signal of the ladder on.

A script of the standard library, run by path, so it starts in hundredths of a second wherever we are.
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
CHECK_EVERY_S: Final = 1.0  # how often we look whether our parent is still the one who started us
PR_SET_PDEATHSIG: Final = 1
EXEC_FAILED: Final = 127

StopSignal = tuple[signal.Signals, float]


def main(arguments: Sequence[str]) -> int:
    """Start the command, watch over it, and report."""
    channel, stop_signals, user = int(arguments[0]), parse_stop_signals(arguments[1]), arguments[2]
    starter = os.getppid()
    os.set_inheritable(channel, False)  # the command must not hold the line open
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
    """Waits for the command to exit, and makes it exit once nobody wants it any more."""

    def __init__(self, child: int, channel: int, wake: int, stop_signals: Sequence[StopSignal], starter: int) -> None:
        self._child, self._channel, self._wake, self._starter = child, channel, wake, starter
        self._stop_signals = iter(stop_signals)
        self._stopping = False
        self._next_at = float("inf")  # when patience with the last rung ends
        self._poll = select.poll()
        self._poll.register(channel, select.POLLIN)
        self._poll.register(wake, select.POLLIN)

    def until_exit(self) -> int:
        """Return the command's exit code, negative for a signal, when its process group is empty."""
        while True:
            pid, status = os.waitpid(self._child, os.WNOHANG)
            if pid:
                self._kill_group()  # what it left behind
                return os.waitstatus_to_exitcode(status)
            self._listen()
            if not self._stopping and os.getppid() != self._starter:  # a fork of the starter may hold the line
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
        os.kill(self._child, stop_signal[0])  # not yet reaped, so the pid is still its own
        self._next_at = time.monotonic() + stop_signal[1]

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for the dead
            os.killpg(self._child, signal.SIGKILL)


def _read_commands(channel: int) -> bytes:
    try:
        return os.read(channel, 64)
    except ConnectionResetError:  # closed with our words unread: the same end
        return b""


def _report_line(channel: int, text: str) -> None:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # nobody is left to hear it
        os.write(channel, f"{text}\n".encode())


def _wake_on(*signals: signal.Signals) -> int:
    """Turn signals into bytes on a descriptor, and return it."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    for number in signals:
        signal.signal(number, lambda _number, _frame: None)  # a handler, not SIG_IGN: exec resets it
    return reading


def _start(command: Sequence[str], user: str, *, first: signal.Signals) -> tuple[int, str]:
    """Start the command in a session of its own; return its pid, and why it failed or nothing."""
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
    """Ask the kernel to pass `number` to us when the guard dies; only Linux can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(number), 0, 0, 0)
        if os.getppid() != guard:  # it died before we asked
            os._exit(EXEC_FAILED)


def _release_output() -> None:
    """Keep only the command at the other end of its pipes, so that they close when it does."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
