"""`make test` on the newest Python: that of Debian's next release, in a tree as the engines' are."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.debian_packages import may_install
from tests.engines.debian import tree_with
from tests.processes import REPOSITORY

pytestmark = [pytest.mark.engines, pytest.mark.timeout(3600)]

RELEASE: Final = "forky"
PYTHON: Final = "python3.15"
_OF_THE_MACHINE: Final = ("etc/resolv.conf", "etc/hosts", "etc/ssl/certs/ca-certificates.crt")
"""How the package index is reached; a copy."""


def test_all_tests_pass_on_the_newest_python() -> None:
    if not may_install():
        pytest.skip("installs Debian's packages: needs root, and a machine with apt-get")
    tools = ("ca-certificates", "curl", "gcc", "git", "make", "mount", "procps")
    packages = (f"{PYTHON}-venv", f"{PYTHON}-dev", *tools)
    # The lists of a release that is still changing are valid for a week, and a mirror may be older.
    tree = tree_with(RELEASE, *packages, apt=["Acquire::Check-Valid-Until false"])
    for name in _OF_THE_MACHINE:
        shutil.copyfile(f"/{name}", tree / name)
    with clone_in(tree) as here:
        run_in(tree, here, f"mount -t tmpfs tmpfs /dev/shm && make setup PYTHON={PYTHON} && make test")


@contextmanager
def clone_in(tree: Path) -> Iterator[Path]:
    """Clone the repository into a tree, as it was committed; yield the path as the tree has it."""
    clone = tree / "srv" / f"{os.getpid()}-number-orders"
    subprocess.run(["git", "clone", "--quiet", str(REPOSITORY), str(clone)], check=True)
    try:
        yield Path("/") / clone.relative_to(tree)
    finally:
        shutil.rmtree(clone)


def run_in(tree: Path, folder: Path, command: str) -> None:
    """Run a command of a shell in a folder of a tree, with a process table of its own."""
    inside = ["unshare", "--mount", "--pid", "--fork", "--kill-child", f"--mount-proc={tree}/proc", "chroot", str(tree)]
    index = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_"))}
    done = subprocess.run(
        [*inside, "sh", "-c", f"cd {folder} && {command}"],
        env={**index, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]
