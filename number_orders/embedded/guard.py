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
PULSE_S: Final = 1.0  # how often we look whether our parent is still the one who started us
PR_SET_PDEATHSIG: Final = 1
EXEC_FAILED: Final = 127

Rung = tuple[signal.Signals, float]


def main(arguments: Sequence[str]) -> int:
    """Start the command, watch over it, and report."""
    line, ladder, account = int(arguments[0]), parse_ladder(arguments[1]), arguments[2]
    starter = os.getppid()
    os.set_inheritable(line, False)  # the command must not hold the line open
    wake = _wake_on(signal.SIGCHLD, signal.SIGTERM)
    child, failure = _launch(arguments[3:], account, first=ladder[0][0])
    if failure:
        os.waitpid(child, 0)
        _say(line, f"failed {failure}")
        return EXEC_FAILED
    _say(line, f"started {child}")
    _let_go_of_output()
    code = _Watch(child, line, wake, ladder, starter).until_exit()
    _say(line, f"exited {code}")
    return 0


def parse_ladder(text: str) -> list[Rung]:
    """Read `INT:30,QUIT:5`."""
    rungs = (rung.split(":") for rung in text.split(","))
    return [(signal.Signals[f"SIG{name}"], float(seconds)) for name, seconds in rungs]


class _Watch:
    """Waits for the command to exit, and makes it exit once nobody wants it any more."""

    def __init__(self, child: int, line: int, wake: int, ladder: Sequence[Rung], starter: int) -> None:
        self._child, self._line, self._wake, self._starter = child, line, wake, starter
        self._rungs = iter(ladder)
        self._stopping = False
        self._next_at = float("inf")  # when patience with the last rung ends
        self._poll = select.poll()
        self._poll.register(line, select.POLLIN)
        self._poll.register(wake, select.POLLIN)

    def until_exit(self) -> int:
        """Return the command's exit code, negative for a signal, when its process group is empty."""
        while True:
            pid, status = os.waitpid(self._child, os.WNOHANG)
            if pid:
                self._signal_group()  # what it left behind
                return os.waitstatus_to_exitcode(status)
            self._listen()
            if not self._stopping and os.getppid() != self._starter:  # a fork of the starter may hold the line
                self._stop()
            if time.monotonic() >= self._next_at:
                self._climb()

    def _listen(self) -> None:
        pause_s = max(0.0, min(PULSE_S, self._next_at - time.monotonic()))
        for descriptor, _ in self._poll.poll(pause_s * 1000):
            if descriptor == self._line:
                self._obey(_heard(self._line))
            elif signal.SIGTERM in os.read(self._wake, 64):
                self._stop()

    def _obey(self, word: bytes) -> None:
        if not word:
            self._poll.unregister(self._line)
        if KILL in word:
            self._rungs = iter(())
            self._next_at = time.monotonic()
        else:
            self._stop()

    def _stop(self) -> None:
        if not self._stopping:
            self._next_at = time.monotonic()
        self._stopping = True

    def _climb(self) -> None:
        rung = next(self._rungs, None)
        if rung is None:
            self._signal_group()
            self._next_at = float("inf")
            return
        os.kill(self._child, rung[0])  # not yet reaped, so the pid is still its own
        self._next_at = time.monotonic() + rung[1]

    def _signal_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for the dead
            os.killpg(self._child, signal.SIGKILL)


def _heard(line: int) -> bytes:
    try:
        return os.read(line, 64)
    except ConnectionResetError:  # closed with our words unread: the same end
        return b""


def _say(line: int, text: str) -> None:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # nobody is left to hear it
        os.write(line, f"{text}\n".encode())


def _wake_on(*signals: signal.Signals) -> int:
    """Turn signals into bytes on a descriptor, and return it."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    for number in signals:
        signal.signal(number, lambda _number, _frame: None)  # a handler, not SIG_IGN: exec resets it
    return reading


def _launch(command: Sequence[str], account: str, *, first: signal.Signals) -> tuple[int, str]:
    """Start the command in a session of its own; return its pid, and why it failed or nothing."""
    guard = os.getpid()
    hearing, saying = os.pipe()  # closed by a successful exec
    child = os.fork()
    if child == 0:
        _become(command, account, lambda: _tether(guard, first), saying)
    os.close(saying)
    with open(hearing, encoding="utf-8") as words:  # noqa: PTH123 - a descriptor has no path
        return child, words.read()


def _become(command: Sequence[str], account: str, tether: Callable[[], None], saying: int) -> NoReturn:
    try:
        os.setsid()
        _change_to(account)
        tether()  # after the change of user, which clears it
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and exec would pass that on
        os.execvp(command[0], list(command))  # noqa: S606 - this is the point
    except OSError as fault:
        os.write(saying, f"{fault.strerror} ({command[0]})".encode())
    finally:
        os._exit(EXEC_FAILED)


def _change_to(account: str) -> None:
    if account == "-":
        return
    uid, gid = map(int, account.split(":"))
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def _tether(guard: int, number: signal.Signals) -> None:
    """Ask the kernel to pass `number` to us when the guard dies; only Linux can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(number), 0, 0, 0)
        if os.getppid() != guard:  # it died before we asked
            os._exit(EXEC_FAILED)


def _let_go_of_output() -> None:
    """Keep only the command at the other end of its pipes, so that they close when it does."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
