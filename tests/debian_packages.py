"""Debian's packages, installed by root where a test needs them; one test run at a time, since apt has one lock."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.processes import REPOSITORY

_LOCK: Final = REPOSITORY / ".venv" / "apt.lock"


def may_install() -> bool:
    """Whether this process is root on a machine with apt-get."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(package: str, *, program: str) -> None:
    """Install a package without those it recommends, unless its program is there."""
    with _apt():
        if shutil.which(program) is None:
            run("apt-get", "update")
            run("apt-get", "install", "--yes", "--no-install-recommends", package)


def unpack(package: str, folder: Path) -> None:
    """Put a package's files under a folder, without installing it: none of its services starts."""
    with _apt():
        if folder.exists():
            return
        draft = folder.with_name(f"{folder.name}.{os.getpid()}")
        draft.mkdir(parents=True)
        run("apt-get", "update")
        run("apt-get", "download", package, cwd=draft)
        (archive,) = draft.glob("*.deb")
        run("dpkg-deb", "--extract", str(archive), str(draft))
        draft.rename(folder)


def run(*command: str, cwd: Path | None = None) -> None:
    """Run a command to its end.

    Raises:
        AssertionError: it failed; with the end of what it printed.
    """
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)} failed:\n{done.stdout[-3000:]}"


@contextmanager
def _apt() -> Iterator[None]:
    with _LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
