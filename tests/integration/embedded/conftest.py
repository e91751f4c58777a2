"""Shared by the tests of real engines: starters that can be killed, and checks of what they leave."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from number_orders.embedded.lock import is_alive
from number_orders.embedded.postgres import EmbeddedPostgres

TRIAL = "import subprocess, sys, number_orders.embedded.engines; subprocess.run([sys.executable, '-c', ''], check=True)"
REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _nothing_left_running() -> Iterator[None]:
    """Assert that every test ends without a child process, running or unreaped."""
    before = set(psutil.Process().children(recursive=True))
    yield
    left = set(psutil.Process().children(recursive=True)) - before
    assert [process for process in left if not _is_of(process, before)] == []


def _is_of(process: psutil.Process, others: set[psutil.Process]) -> bool:
    """Tell whether one of the others began this process, as PostgreSQL does to clean up, or it has just ended."""
    try:
        return not others.isdisjoint(process.parents())
    except psutil.NoSuchProcess:
        return True


@pytest.fixture
def open_dir() -> Iterator[Path]:
    """Return a directory that every user may enter, unlike pytest's."""
    path = Path(tempfile.mkdtemp(prefix="number-orders-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def _made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("made") / "postgres"
    with EmbeddedPostgres(home, durable=False):
        return home


@pytest.fixture
def var_dir(_made_once: Path, tmp_path: Path) -> Path:
    """Return a directory with PostgreSQL data in it; copying it is quicker than initdb."""
    subprocess.run(["cp", "-a", str(_made_once), str(tmp_path / "postgres")], check=True)
    return tmp_path


class Starter:
    """Another Python process that starts something, prints one line of JSON, and waits."""

    def __init__(self, code: str, *, before: Sequence[str] = ()) -> None:
        script = f"import json, sys, time\nfrom pathlib import Path\n{code}\ntime.sleep(600)"
        self.process = subprocess.Popen(
            [*before, sys.executable, "-c", script],
            cwd=REPOSITORY,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )

    def output(self) -> Any:
        assert self.process.stdout
        return json.loads(self.process.stdout.readline())

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


@pytest.fixture
def starter() -> Iterator[Callable[..., Starter]]:
    started: list[Starter] = []

    def start(code: str, *, before: Sequence[str] = ()) -> Starter:
        started.append(Starter(code, before=before))
        return started[-1]

    yield start
    for one in started:
        one.close()


def eventually(condition: Callable[[], bool], *, within_s: float = 60.0) -> bool:
    deadline = time.monotonic() + within_s
    while not (met := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return met


@pytest.fixture
def all_gone() -> Callable[..., bool]:
    """Return a function that checks whether all these processes have ended, or end soon."""
    return lambda *pids, within_s=60.0: eventually(lambda: not any(map(is_alive, pids)), within_s=within_s)


@pytest.fixture
def eventually_true() -> Callable[..., bool]:
    return eventually


def listening(pid: int) -> set[str]:
    """Return the addresses a process listens on, including Unix sockets."""
    process = psutil.Process(pid)
    tcp = [str(one.laddr[0]) for one in process.net_connections(kind="inet") if one.status == psutil.CONN_LISTEN]
    files = {str(one.laddr) for one in process.net_connections(kind="unix")} - {""}
    return files.union(tcp)


@pytest.fixture
def listening_on() -> Callable[[int], set[str]]:
    return listening


@pytest.fixture
def occupy_port() -> Iterator[Callable[[int], None]]:
    """Return a function that listens on a port, so that no other process can."""
    with ExitStack() as listeners:

        def take(port: int) -> None:
            listeners.enter_context(socket.create_server(("127.0.0.1", port)))

        yield take


@pytest.fixture
def as_nobody() -> list[str]:
    """Return the command prefix that runs a command as nobody.

    If this interpreter is below a directory closed to nobody, the capability to read it is added.
    """
    base = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    extra = [
        [],
        *([f"--inh-caps=+{right}", f"--ambient-caps=+{right}"] for right in ("dac_read_search", "dac_override")),
    ]
    if shutil.which("setpriv"):
        for words in ([*base, *more] for more in extra):
            trial = [*words, sys.executable, "-c", TRIAL]
            if subprocess.run(trial, cwd=REPOSITORY, capture_output=True, check=False).returncode == 0:
                return words
    pytest.skip("nobody cannot be made to run this interpreter here")
