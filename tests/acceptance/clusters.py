"""PostgreSQL clusters for tests that fail over: started, copied, frozen, killed and promoted."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import SystemRandom
from typing import Any, Final

import psutil
import psycopg

from number_orders.embedded.ports import LOOPBACK, PORTS, is_free
from number_orders.embedded.postgres import WHEEL
from tests.processes import eventually

_SETTINGS: Final = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "100",
    "fsync": "off",
    "jit": "off",
    "wal_level": "replica",
    "log_min_messages": "warning",
}
_USER: Final = "number_orders"
_DICE: Final = SystemRandom()


@dataclass
class Cluster:
    """One server with its data, on a port of its own that it keeps."""

    folder: Path
    port: int = field(default_factory=lambda: next(port for port in _DICE.sample(PORTS, 50) if is_free(port)))
    _server: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{_USER}@{LOOPBACK}:{self.port}/{database}"

    def init(self) -> None:
        """Make the data of an empty cluster."""
        self.folder.mkdir(mode=0o755)
        _give_away(self.folder)
        _run_as_server("initdb", "-D", str(self.data), f"--username={_USER}", "--auth=trust", "--no-sync", "-E", "UTF8")

    def start(self, **settings: str) -> None:
        """Start the server, and wait until it takes connections."""
        options = [f"--{name}={value}" for name, value in {**_SETTINGS, "port": str(self.port), **settings}.items()]
        with (self.folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [str(WHEEL.program_for_others("postgres")), "-D", str(self.data), *options],
                stdout=log,
                stderr=log,
                env={"LC_ALL": "C"},
                **_as_server(),
            )
        for _ in eventually(within_s=60):
            with contextlib.suppress(psycopg.OperationalError), psycopg.connect(self.url(), connect_timeout=2):
                return

    def copy_to(self, standby: "Cluster", name: str) -> None:
        """Make a standby of this server, which follows it once it is started."""
        standby.folder.mkdir(mode=0o755)
        _run("pg_basebackup", "-D", str(standby.data), "-R", "-X", "stream", "-c", "fast", "-d", self.url())
        with (standby.data / "postgresql.auto.conf").open("a") as conf:
            conf.write(f"primary_conninfo = 'host={LOOPBACK} port={self.port} user={_USER} application_name={name}'\n")
        _give_away(standby.folder)

    def freeze(self) -> None:
        """Stop every process of the server where it stands: nothing is received any more."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL for every process of the server."""
        self._signal(signal.SIGKILL)
        if self._server is not None:
            self._server.wait()
            self._server = None

    def promote(self) -> None:
        """Make the standby the primary."""
        with psycopg.connect(self.url(), autocommit=True) as db:
            db.execute("SELECT pg_promote(true, 60)")

    def dump(self, database: str) -> Path:
        """Dump a database as it is now."""
        file = self.folder / f"{database}.dump"
        _run("pg_dump", "--format=custom", f"--file={file}", self.url(database))
        return file

    def restore(self, dump: Path, database: str) -> None:
        """Make a database from a dump."""
        with psycopg.connect(self.url(), autocommit=True) as db:
            db.execute(f"CREATE DATABASE {database}".encode())
        _run("pg_restore", "--exit-on-error", "--no-owner", f"--dbname={self.url(database)}", str(dump))

    def _signal(self, number: signal.Signals) -> None:
        if self._server is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            leader = psutil.Process(self._server.pid)
            for process in (*leader.children(recursive=True), leader):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(number)


@contextmanager
def clusters() -> Iterator[Path]:
    """Yield a folder for clusters, open to the user that runs them. They are killed and removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="number-orders-clusters-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _as_server() -> dict[str, Any]:
    """Return how to run a server: PostgreSQL refuses to run as root."""
    return {"user": "nobody", "group": "nogroup", "cwd": "/"} if os.geteuid() == 0 else {}


def _give_away(folder: Path) -> None:
    if os.geteuid() != 0:
        return
    nobody = pwd.getpwnam("nobody")
    for place, _, names in os.walk(folder):
        for path in (place, *(str(Path(place) / name) for name in names)):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)


def _run(program: str, *arguments: str) -> None:
    _checked([str(WHEEL.program(program)), *arguments])


def _run_as_server(program: str, *arguments: str) -> None:
    _checked([str(WHEEL.program_for_others(program)), *arguments], **_as_server())


def _checked(command: Sequence[str], **how: Any) -> None:
    done = subprocess.run(command, capture_output=True, text=True, env={"LC_ALL": "C"}, check=False, **how)
    assert done.returncode == 0, f"{command[0]}: {done.stderr}"


def wait_until_followed(primary: Cluster, *, synchronously: bool = False) -> None:
    """Wait until a standby receives what the primary writes."""
    state = "sync" if synchronously else "async"
    for _ in eventually(within_s=60):
        with psycopg.connect(primary.url()) as db:
            found = db.execute("SELECT sync_state FROM pg_stat_replication WHERE state = 'streaming'").fetchall()
        if (state,) in found:
            return
