"""What an installation stands on goes away under load, and comes back: nothing is lost, nothing is bought twice.

Every test breaks something else in one installation, in any order, while orders of all carriers and kinds flow. Each
says at the end of the run what it came to (docs/reliability.md). With `OUTAGE_S=60` what is away is away for a minute.
"""

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

import psutil
import pytest
import redis

from number_orders.embedded.engine import Engine
from tests.acceptance.installation import BEAT, CLERK, RECEIVER, WORKERS, Installation, installed, small_disk
from tests.acceptance.outage import Outage

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.timeout(900),
    # redis-py forgets to close the sockets of a broker that was killed under it.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

OUTAGE_S: Final = float(os.environ.get("OUTAGE_S", "2"))
"""How long what breaks stays broken."""
WRITTEN: Final = ("orders", "order_events", "order_numbers", "owed", "tellings")
NO_SPACE: Final = """
    CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION 'could not extend file "base/5/2619": No space left on device' USING ERRCODE = 'disk_full';
    END $$"""

Breakage = AbstractContextManager[int | None]
"""Breaks something when it is entered, and mends it when it is left. Says how many processes it has killed."""
Suffer = Callable[..., Outage]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """One installation for all outages."""
    folder = tmp_path_factory.mktemp("outages")
    with small_disk(folder / "disk") as disk, installed(disk or folder, folder / "log") as whole:
        whole.disk = disk
        yield whole


@pytest.fixture
def suffer(
    place: Installation, request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> Suffer:
    """Let something break under load: for how long, what the log must say of it, and whether messages may be lost."""

    def suffers(broken: Breakage, *, lasts_s: float = 0.0, says: str = "", broker_forgets: bool = False) -> Outage:
        with Outage(place, request.node.name.removeprefix("test_"), broker_forgets=broker_forgets) as outage:
            with broken as killed:
                outage.figures.killed = killed or 0
                outage.await_words(says)
                time.sleep(lasts_s)
            outage.is_over()
        record_property("came to", str(outage.figures))
        return outage

    return suffers


@contextmanager
def killed(place: Installation, *names: str) -> Iterator[int]:
    """SIGKILL for processes that are supervised, and for their children."""
    yield place.kill(*names)


@contextmanager
def stopped(engine: Engine) -> Iterator[None]:
    """Stop an engine in order."""
    engine.stop()
    try:
        yield None
    finally:
        engine.start()


@contextmanager
def dead(engine: Engine) -> Iterator[int]:
    """SIGKILL for an engine and every process of its."""
    leader = psutil.Process(engine.pid)
    family = [leader, *leader.children(recursive=True)]
    for process in family:
        process.kill()
    psutil.wait_procs(family, timeout=60)
    try:
        yield len(family)
    finally:
        engine.start()


@contextmanager
def wiped(broker_url: str, times: int = 5) -> Iterator[None]:
    """Let the broker forget everything, several times."""
    with redis.Redis.from_url(broker_url) as broker:
        for _ in range(times):
            broker.flushall()
            time.sleep(0.3)
        yield None


@contextmanager
def without_memory(broker_url: str) -> Iterator[None]:
    """Let the broker take nothing new."""
    with redis.Redis.from_url(broker_url) as broker:
        broker.config_set("maxmemory", 1)
        try:
            yield None
        finally:
            broker.config_set("maxmemory", 0)


@contextmanager
def short_of_connections(place: Installation, left: int) -> Iterator[None]:
    """End all connections of the service, and let it have so many."""
    try:
        place.sql(
            f"ALTER ROLE {CLERK} CONNECTION LIMIT {left}",
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{CLERK}'",  # noqa: S608  a constant
        )
        yield None
    finally:
        place.sql(f"ALTER ROLE {CLERK} CONNECTION LIMIT -1")


@contextmanager
def unwritable(place: Installation) -> Iterator[None]:
    """Let every write fail as it does when PostgreSQL's disk is full; reading goes on."""
    try:
        place.sql(NO_SPACE)
        for table in WRITTEN:
            place.sql(f"CREATE TRIGGER no_space BEFORE INSERT OR UPDATE ON {table} EXECUTE FUNCTION no_space()")
        yield None
    finally:
        place.sql("DROP FUNCTION IF EXISTS no_space CASCADE")


@contextmanager
def full(disk: Path, *engines: Engine) -> Iterator[None]:
    """Fill the disk on which the engines have their data. One that gives up over it is started when there is room."""
    ballast = disk / "ballast"
    try:
        _fill(ballast)
        yield None
    finally:
        ballast.unlink()
        for engine in engines:
            engine.start()


def _fill(file: Path) -> None:
    with file.open("wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(bytes(4096))
        except OSError as full:
            if full.errno != errno.ENOSPC:
                raise


def test_killed_workers_are_replaced(place: Installation, suffer: Suffer) -> None:
    """SIGKILL for both workers and all their children at once."""
    assert suffer(killed(place, *WORKERS)).exits() == {(name, -9) for name in WORKERS}


def test_a_killed_beat_is_replaced(place: Installation, suffer: Suffer) -> None:
    assert suffer(killed(place, BEAT)).exits() == {(BEAT, -9)}


def test_a_killed_receiver_is_told_the_rest(place: Installation, suffer: Suffer) -> None:
    """SIGKILL for the producer's own receiver: what it held in its hand it has to ask for."""
    assert suffer(killed(place, RECEIVER), broker_forgets=True).exits() == {(RECEIVER, -9)}


def test_a_wiped_broker_costs_a_second(place: Installation, suffer: Suffer) -> None:
    """FLUSHALL, again and again, with orders at every stage."""
    assert suffer(wiped(place.engines.broker_url), broker_forgets=True).exits() == set()


def test_a_broker_that_dies_and_comes_back_is_found_again(place: Installation, suffer: Suffer) -> None:
    """SIGKILL, and away for a while; no worker and no beat gives up over it."""
    outage = suffer(dead(place.engines.valkey), lasts_s=OUTAGE_S, says="Connection refused", broker_forgets=True)
    assert {name for name, _ in outage.exits()} <= {RECEIVER}


def test_a_broker_out_of_memory_is_waited_for(place: Installation, suffer: Suffer) -> None:
    """Bells stay silent, tickets and documents wait, orders are sent again."""
    broken = without_memory(place.engines.broker_url)
    suffer(broken, lasts_s=OUTAGE_S, says="tick_lost", broker_forgets=True)


def test_a_restarted_database_loses_no_answer_that_was_in_hand(place: Installation, suffer: Suffer) -> None:
    outage = suffer(stopped(place.engines.postgres), lasts_s=OUTAGE_S, says="error connecting")
    assert (outage.exits(), outage.traces()) == (set(), 0)


def test_a_killed_database_has_all_that_was_committed(place: Installation, suffer: Suffer) -> None:
    """SIGKILL for the postmaster and every backend: it recovers, and the orders go on."""
    outage = suffer(dead(place.engines.postgres), says="error connecting")
    assert (outage.exits(), outage.traces()) == (set(), 0)


def test_workers_without_a_connection_wait_for_one(place: Installation, suffer: Suffer) -> None:
    """Two of many get in: the others say why they do not, wait, and go on."""
    outage = suffer(short_of_connections(place, left=2), lasts_s=OUTAGE_S, says="too many connections for role")
    assert (outage.exits(), outage.traces()) == (set(), 0)


def test_a_ledger_that_cannot_be_written_is_waited_for(place: Installation, suffer: Suffer) -> None:
    outage = suffer(unwritable(place), lasts_s=OUTAGE_S, says="No space left on device")
    assert (outage.exits(), outage.traces()) == (set(), 0)


def test_a_full_disk_is_waited_for(place: Installation, suffer: Suffer) -> None:
    """The disk on which PostgreSQL and Valkey have their data, and really full."""
    if place.disk is None:
        pytest.skip("a small disk can be mounted by root only")
    broken = full(place.disk, place.engines.postgres, place.engines.valkey)
    suffer(broken, lasts_s=OUTAGE_S, says="No space left on device", broker_forgets=True)
