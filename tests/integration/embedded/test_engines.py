"""Both engines together, and how other commands find them."""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from redis import Redis

from number_orders.embedded.engines import Engines, running_engines
from number_orders.embedded.errors import AlreadyRunning, CouldNotStart


def test_engines_are_found_only_while_they_run(tmp_path: Path) -> None:
    """The file has what a command in another terminal needs, and only its owner can read it."""
    assert running_engines(tmp_path / "var") is None
    with Engines(tmp_path / "var", durable=False) as engines:
        found = running_engines(tmp_path / "var")
        assert found
        assert (found.database_url, found.broker_url) == (engines.database_url, engines.broker_url)
        assert (found.starter_pid, found.postgres_pid) == (os.getpid(), engines.postgres.pid)
        assert stat.S_IMODE((tmp_path / "var" / "engines.json").stat().st_mode) == 0o600
        assert "redis://" not in repr(found)  # a repr can end up in logs
        with psycopg.connect(found.database_url) as db, Redis.from_url(found.broker_url) as broker:
            assert db.execute("SELECT current_database()").fetchone() == ("number_orders",)
            assert broker.ping()
        engines.valkey.kill()
        assert running_engines(tmp_path / "var") is None  # one engine alone is of no use
    assert not (tmp_path / "var" / "engines.json").exists()


def test_file_of_a_killed_starter_is_ignored(
    var_dir: Path, starter: Callable[..., Any], all_gone: Callable[..., bool]
) -> None:
    """The file outlives its writer; the engines that it names do not."""
    killed = starter(
        "from number_orders.embedded.engines import *\n"
        f"urls = Engines(Path({str(var_dir)!r}), durable=False).start()\n"
        "print(json.dumps([urls.postgres_pid, urls.valkey_pid]), flush=True)"
    )
    pids = killed.output()
    assert running_engines(var_dir)
    killed.kill()

    assert all_gone(*pids)
    assert (var_dir / "engines.json").exists()
    assert running_engines(var_dir) is None


def test_second_starter_fails_and_the_first_is_not_affected(var_dir: Path) -> None:
    """Neither the engines nor the file of the first change."""
    with Engines(var_dir, durable=False) as first:
        with pytest.raises(AlreadyRunning):
            Engines(var_dir).start()
        found = running_engines(var_dir)
        assert found
        assert found.database_url == first.database_url


def test_both_run_or_neither(var_dir: Path) -> None:
    """If one cannot start, the other does not keep running."""
    (var_dir / "valkey").write_text("in the way", encoding="ascii")
    engines = Engines(var_dir, durable=False)

    with pytest.raises(CouldNotStart, match="Valkey"):
        engines.start()

    assert not engines.postgres.running
    assert running_engines(var_dir) is None
