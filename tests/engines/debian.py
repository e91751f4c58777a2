"""Servers as Debian ships them: a directory tree for each release, made by mmdebstrap, in which the servers run.

Nothing of the machine changes but for the package `mmdebstrap`, which has no service: the packages of the servers are
installed in the tree, where none of them is started, and the tree is kept for the next run (`make clean` removes it).
"""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Final

import psutil
import pytest

from number_orders.embedded.guarded import Command, GuardedProcess
from tests.debian_packages import install, may_install, run
from tests.processes import REPOSITORY

POSTGRES_OF: Final = {"bookworm": 15, "trixie": 17}
"""The releases, and the PostgreSQL that each has."""
TREES: Final = REPOSITORY / ".venv" / "engines"

_OF_ALL: Final = ("openssl", "pgbouncer", "rabbitmq-server", "redis-server", "redis-sentinel")
_NUMBERS: Final = count(1)
_PATH: Final = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}


def debian(release: str) -> "Debian":
    """Return the tree of a release, which is made on first use; skip the test where we may not install packages."""
    if not may_install():
        pytest.skip("installs Debian's packages: needs root, and a machine with apt-get")
    return Debian(tree_with(release, f"postgresql-{POSTGRES_OF[release]}", *_OF_ALL), POSTGRES_OF[release])


def tree_with(release: str, *packages: str, apt: Sequence[str] = ()) -> Path:
    """Return the tree of a release with these packages, and make it on first use; `apt` are more options of apt's."""
    tree = TREES / release
    if not tree.exists():
        install("mmdebstrap", program="mmdebstrap")
        draft = tree.with_name(f"{release}.{os.getpid()}")
        shutil.rmtree(draft, ignore_errors=True)
        draft.parent.mkdir(parents=True, exist_ok=True)
        options = [f"--aptopt={option}" for option in ("APT::Install-Recommends false", *apt)]
        run("mmdebstrap", "--quiet", "--variant=apt", *options, f"--include={','.join(packages)}", release, str(draft))
        draft.rename(tree)
    return tree


def _remove_left_folders(servers: Path) -> None:
    """Remove what test runs left that were killed."""
    for folder in servers.iterdir():
        pid = folder.name.partition("-")[0]
        if not (pid.isdigit() and psutil.pid_exists(int(pid))):
            shutil.rmtree(folder, ignore_errors=True)


class Debian:
    """One release of Debian, and the directories of one test run in it."""

    def __init__(self, tree: Path, postgres: int) -> None:
        self.tree = tree
        self.postgres = postgres

    def folder(self, name: str, user: str) -> Path:
        """Make an empty directory that a system user of the tree owns; several runs may share a tree."""
        _remove_left_folders(self.tree / "srv")
        folder = self.tree / "srv" / f"{os.getpid()}-{next(_NUMBERS)}-{name}"
        folder.mkdir(parents=True)
        subprocess.run(["chroot", str(self.tree), "chown", f"{user}:", self.inside(folder)], check=True)
        return folder

    def inside(self, path: Path) -> str:
        """Return a path as the servers see it."""
        return f"/{path.relative_to(self.tree)}"

    def write(self, path: Path, text: str, user: str, *, private: bool = False) -> str:
        """Write a file that a system user of the tree owns; return its path as the servers see it."""
        path.write_text(text)
        path.chmod(0o600 if private else 0o644)
        subprocess.run(["chroot", str(self.tree), "chown", f"{user}:", self.inside(path)], check=True)
        return self.inside(path)

    def certificate(self, folder: Path, user: str) -> tuple[Path, Path]:
        """Make a certificate for loopback, which signs itself, and its key; return their paths."""
        certificate, key = folder / "certificate.pem", folder / "key.pem"
        files = ("-keyout", self.inside(key), "-out", self.inside(certificate), "-nodes", "-days", "2")
        name = ("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost")
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
        self.run(user, "/usr/bin/openssl", "req", "-x509", *curve, *files, *name)
        certificate.chmod(0o644)
        return certificate, key

    def command(self, user: str, argv: Sequence[str], env: Mapping[str, str] | None = None) -> Command:
        """Return a command that runs in the tree as one of its system users."""
        chroot = ["chroot", f"--userspec={user}:{user}", str(self.tree)]
        return Command([*chroot, *argv], (("INT", 20.0), ("QUIT", 5.0)), env={**_PATH, **(env or {})})

    def run(self, user: str, *argv: str) -> None:
        """Run a command in the tree to its end."""
        command = self.command(user, argv)
        done = subprocess.run(
            command.argv, env=command.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        assert done.returncode == 0, f"{' '.join(argv)} failed:\n{done.stdout[-3000:]}"

    def start(self, command: Command, log: Path) -> GuardedProcess:
        """Start a server in the tree; it ends with us."""
        with log.open("ab") as output:
            return GuardedProcess(command, output=output)
