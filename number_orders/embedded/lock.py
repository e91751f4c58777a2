"""The lock that allows one engine per data directory, even if starters are killed.

It is a file lock (flock) that guard and server inherit: it is free exactly when no process uses the data any more,
whichever died first. The file names the holders, for error messages and for stopping a server whose starter and guard
are both gone.
"""

import contextlib
import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from number_orders.embedded.errors import AlreadyRunning

POLL_INTERVAL_S: Final = 0.02
ORPHAN_GRACE_S: Final = 5.0  # how long a server without starter and guard has to shut down
LOCK_TIMEOUT_S: Final = 60.0  # longer than any guard needs to stop its command


@dataclass(frozen=True, slots=True)
class Holders:
    """The processes of one running engine; None for an unknown one."""

    starter: int | None = None
    guard: int | None = None
    server: int | None = None

    def are_active(self) -> bool:
        """Return whether a living starter runs the server, or is about to."""
        return is_alive(self.starter) and (self.server is None or is_alive(self.server))

    def orphan(self, lock: int) -> int | None:
        """Return the server's pid if no starter or guard is left to stop it and it certainly holds our lock."""
        if is_alive(self.starter) or is_alive(self.guard) or not is_alive(self.server):
            return None
        return self.server if self.server and _has_open(self.server, lock) else None


class DataLock:
    """The lock, held by us. Guard and server inherit `fd`."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.record(Holders(starter=os.getpid()))

    def record(self, holders: Holders) -> None:
        """Write who holds the lock."""
        text = json.dumps(asdict(holders)).encode()
        os.ftruncate(self.fd, 0)
        os.pwrite(self.fd, text, 0)


@contextmanager
def data_lock(name: str, path: Path, *, orphan_grace_s: float = ORPHAN_GRACE_S) -> Iterator[DataLock]:
    """Hold the lock at `path` while starting the engine `name`; processes that inherit it hold it as long as they live.

    If the engine's starter has died, wait until its guard has stopped the server; if the guard was killed too, stop the
    server here.

    Raises:
        AlreadyRunning: a living process runs an engine on this data.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _take(fd, name, path, orphan_grace_s)
        yield DataLock(fd)
    finally:
        os.close(fd)  # ours only: an inherited lock stays


def _take(fd: int, name: str, path: Path, orphan_grace_s: float) -> None:
    started_at, interrupted = time.monotonic(), False
    while not _lock(fd):
        holders, waited_s = _read(fd), time.monotonic() - started_at
        if holders.are_active() or waited_s > LOCK_TIMEOUT_S:
            raise AlreadyRunning(name, path.parent, holders.starter)
        if orphan := holders.orphan(fd):
            if waited_s > orphan_grace_s:
                _signal(orphan, signal.SIGKILL)
            elif not interrupted:
                _signal(orphan, signal.SIGINT)  # both engines shut down in order on SIGINT
                interrupted = True
        time.sleep(POLL_INTERVAL_S)


def _lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(fd: int) -> Holders:
    try:
        return Holders(**json.loads(os.pread(fd, 4096, 0)))
    except (ValueError, TypeError):  # it is being written
        return Holders()


def is_alive(pid: int | None) -> bool:
    """Return whether the process runs; an unreaped process that has exited does not."""
    if pid is None:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # it belongs to another user
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:  # no /proc on this system
        return True
    return state != "Z"


def _has_open(pid: int, fd: int) -> bool:
    """Return whether the process has our lock file open; trust the file where the system cannot tell."""
    open_files = Path(f"/proc/{pid}/fd")
    if not open_files.is_dir():
        return True
    ours = os.fstat(fd)
    for entry in open_files.iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            if os.path.samestat(entry.stat(), ours):
                return True
    return False


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
