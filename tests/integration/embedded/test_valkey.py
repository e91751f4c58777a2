"""Embedded Valkey: durable queues, and no access for others."""

import os
import signal
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from redis import Redis
from redis.exceptions import AuthenticationError

from number_orders.embedded.errors import AlreadyRunning, CouldNotStart
from number_orders.embedded.valkey import EmbeddedValkey


@contextmanager
def connected(url: str) -> Iterator["Redis"]:
    with Redis.from_url(url, decode_responses=True) as client:
        yield client


def test_data_and_url_survive_stop_crash_and_restart(tmp_path: Path, eventually_true: Callable[..., bool]) -> None:
    """Queued before a shutdown and before a crash: both messages are there, at the same URL."""
    engine = EmbeddedValkey(tmp_path / "valkey")
    first = engine.start()
    assert engine.start() == first  # it runs already
    with connected(first) as client:
        client.rpush("queue", "stopped")
    engine.stop()
    engine.stop()
    assert not engine.running

    assert engine.start() == first
    with connected(first) as client:
        client.rpush("queue", "killed")
        assert eventually_true(lambda: client.info("persistence")["aof_pending_bio_fsync"] == 0)
    engine.kill()

    with engine, connected(engine.url) as client:
        assert engine.url == first
        assert client.lrange("queue", 0, -1) == ["stopped", "killed"]


def test_nobody_else_has_access(tmp_path: Path, listening_on: Callable[[int], set[str]]) -> None:
    """Loopback only, and no access without the password, which is only in private files."""
    home = tmp_path / "valkey"
    with EmbeddedValkey(home) as engine:
        assert listening_on(engine.pid) == {"127.0.0.1"}
        with connected(engine.url.replace("@", "x@")) as client, pytest.raises(AuthenticationError):
            client.ping()
        password = (home / "password").read_text(encoding="ascii").strip()
        assert f":{password}@" in engine.url
        assert password not in " ".join(psutil.Process(engine.pid).cmdline())

    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    modes = {stat.S_IMODE((home / name).stat().st_mode) for name in ("password", "valkey.conf")}
    assert modes == {0o600}
    assert password not in (home / "server.log").read_text(encoding="utf-8")


def test_broker_settings(tmp_path: Path) -> None:
    """Every message is written to disk within a second, and none is evicted."""
    with EmbeddedValkey(tmp_path / "valkey") as engine, connected(engine.url) as client:
        wanted = {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction"}
        assert client.config_get(*wanted) == wanted
        assert client.config_get("dir") == {"dir": str(tmp_path / "valkey" / "data")}


def test_second_starter_fails_and_the_error_names_the_first(tmp_path: Path) -> None:
    """The first keeps running."""
    with EmbeddedValkey(tmp_path / "valkey") as engine, connected(engine.url) as client:
        with pytest.raises(AlreadyRunning, match=f"process {os.getpid()}"):
            EmbeddedValkey(tmp_path / "valkey").start()
        assert client.ping()


def test_another_port_is_used_when_the_last_one_is_taken(tmp_path: Path, occupy_port: Callable[[int], None]) -> None:
    """The URL stays the same if its port is free, and changes if it is not."""
    engine = EmbeddedValkey(tmp_path / "valkey")
    first = engine.start()
    engine.stop()
    occupy_port(int(first.rpartition(":")[2].partition("/")[0]))

    with engine:
        assert engine.url != first


@pytest.mark.parametrize("with_its_guard", [False, True])
def test_killed_starter_leaves_no_server_and_no_lock(
    tmp_path: Path, starter: Callable[..., Any], all_gone: Callable[..., bool], with_its_guard: bool
) -> None:
    """SIGKILL to the starter, or to starter and guard at once: the server ends, and the data can be served again."""
    if with_its_guard and sys.platform != "linux":
        pytest.skip("only Linux tells a child of its parent's death")
    killed = starter(
        "from number_orders.embedded.valkey import *\n"
        f"engine = EmbeddedValkey(Path({str(tmp_path / 'valkey')!r}))\n"
        "print(json.dumps([engine.start(), engine.pid, engine._process.guard_pid]), flush=True)"
    )
    url, server, guard = killed.output()
    with connected(url) as client:
        client.set("word", "survived")

    if with_its_guard:
        os.kill(guard, signal.SIGKILL)
    killed.kill()
    if with_its_guard:
        assert all_gone(server)  # by itself, not because of the next start

    with EmbeddedValkey(tmp_path / "valkey") as engine, connected(engine.url) as client:
        assert all_gone(server, guard, within_s=0.0)
        assert client.get("word") == "survived"


def test_error_quotes_the_log_of_a_server_that_exits_at_once(tmp_path: Path) -> None:
    """The last lines of the log are in the error."""
    engine = EmbeddedValkey(tmp_path / "valkey")
    engine.start()
    engine.stop()
    manifest = next((tmp_path / "valkey" / "data").rglob("*.manifest"))
    manifest.write_text("not a manifest\n", encoding="ascii")

    with pytest.raises(CouldNotStart, match="Invalid AOF manifest"):
        engine.start()
