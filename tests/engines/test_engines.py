"""The engines that people operate, as Debian 12 and 13 ship them; each crashes, or is replaced, under load."""

import ssl
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from number_orders.embedded.ports import LOOPBACK
from tests.engines.debian import debian
from tests.engines.run import ORDERS, Site, run_orders
from tests.engines.servers import PASSWORD, PgBouncer, Postgres, RabbitMQ, Redis, SecureRedis, Sentinel, as_service

pytestmark = [
    pytest.mark.engines,
    pytest.mark.timeout(600),
    # redis-py and py-amqp forget to close the sockets of a server that was killed.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

Record = Callable[[str, object], None]

RELEASES = pytest.mark.parametrize("release", ["bookworm", "trixie"])


@RELEASES
def test_postgres_is_killed(release: str, tmp_path: Path, record_property: Record) -> None:
    tree = debian(release)
    with Postgres(tree) as postgres, Redis(tree) as broker:
        site = Site(ledger_url=postgres.service_url, direct_url=postgres.url, broker_url=broker.url)
        figures = run_orders(site, tmp_path, postgres.kill_and_start)
    record_property("figures", figures)
    assert figures.orders >= ORDERS


@RELEASES
def test_redis_is_killed(release: str, tmp_path: Path, record_property: Record) -> None:
    tree = debian(release)
    with Postgres(tree) as postgres, Redis(tree) as broker:
        site = Site(ledger_url=postgres.service_url, direct_url=postgres.url, broker_url=broker.url, forgets=True)
        figures = run_orders(site, tmp_path, broker.kill_and_start)
    record_property("figures", figures)
    assert figures.orders >= ORDERS


@pytest.mark.parametrize(
    ("release", "kept", "settings"),
    [
        ("bookworm", None, {"DATABASE_POOLER": "transaction", "DATABASE_PREPARED_STATEMENTS": "false"}),
        ("trixie", 0, {"DATABASE_POOLER": "transaction", "DATABASE_PREPARED_STATEMENTS": "false"}),
        ("trixie", 200, {"DATABASE_POOLER": "transaction"}),
    ],
)
def test_pgbouncer_in_transaction_mode_is_killed(
    release: str, kept: int | None, settings: dict[str, str], tmp_path: Path, record_property: Record
) -> None:
    tree = debian(release)
    with Postgres(tree) as postgres, Redis(tree) as broker, PgBouncer(postgres, prepared_statements=kept) as pooler:
        site = Site(ledger_url=pooler.url, direct_url=postgres.url, broker_url=broker.url, settings=settings)
        figures = run_orders(site, tmp_path, pooler.kill_and_start)
    record_property("figures", figures)
    assert figures.orders >= ORDERS


@RELEASES
@pytest.mark.parametrize("queue_type", ["classic", "quorum"])
def test_rabbitmq_is_killed(release: str, queue_type: str, tmp_path: Path, record_property: Record) -> None:
    """Tickets in Redis. No message that RabbitMQ has taken is lost: each is confirmed when it is on disk."""
    tree = debian(release)
    with Postgres(tree) as postgres, RabbitMQ(tree) as broker, Redis(tree) as tickets:
        site = Site(
            ledger_url=postgres.service_url,
            direct_url=postgres.url,
            broker_url=broker.url,
            result_url=tickets.url,
            settings={"QUEUE_TYPE": queue_type},
            producer={
                "task_create_missing_queue_type": queue_type,
                "broker_transport_options": {"confirm_publish": True},
            },
        )
        figures = run_orders(site, tmp_path, broker.kill_and_start)
    record_property("figures", figures)
    assert figures.orders >= ORDERS


def test_rabbitmq_with_tickets_in_postgres(tmp_path: Path, record_property: Record) -> None:
    tree = debian("trixie")
    with Postgres(tree) as postgres, RabbitMQ(tree) as broker:
        site = Site(
            ledger_url=postgres.service_url,
            direct_url=postgres.url,
            broker_url=broker.url,
            result_url=tickets_in(postgres),
            producer={"broker_transport_options": {"confirm_publish": True}},
        )
        figures = run_orders(site, tmp_path, broker.kill_and_start)
    record_property("figures", figures)
    assert figures.orders >= ORDERS


def test_rabbitmq_with_tls(tmp_path: Path, record_property: Record) -> None:
    tree = debian("trixie")
    with Postgres(tree) as postgres, RabbitMQ(tree, tls=True) as broker, Redis(tree) as tickets:
        site = Site(
            ledger_url=postgres.service_url,
            direct_url=postgres.url,
            broker_url=broker.url,
            service_broker_url=broker.service_url,
            result_url=tickets.url,
            producer={
                "broker_transport_options": {"confirm_publish": True},
                "broker_use_ssl": {"ca_certs": str(broker.certificate), "cert_reqs": ssl.CERT_REQUIRED},
            },
        )
        figures = run_orders(site, tmp_path, broker.kill_and_start)
    record_property("figures", figures)
    assert figures.orders >= ORDERS


def test_redis_with_tls_and_an_access_control_list(tmp_path: Path, record_property: Record) -> None:
    tree = debian("trixie")
    with Postgres(tree) as postgres, SecureRedis(tree) as broker:
        site = Site(ledger_url=postgres.service_url, direct_url=postgres.url, broker_url=broker.url, forgets=True)
        figures = run_orders(site, tmp_path, broker.kill_and_start)
    record_property("figures", figures)
    assert figures.orders >= ORDERS


def test_postgres_fails_over_to_its_standby(tmp_path: Path, record_property: Record) -> None:
    """The address names both hosts; the standby has every commit that was acknowledged."""
    tree = debian("trixie")
    with Postgres(tree) as primary, Postgres(tree, "standby", standby_of=primary) as standby, Redis(tree) as broker:
        primary.wait_for_standby()
        hosts = f"{LOOPBACK}:{primary.port},{LOOPBACK}:{standby.port}"
        both = f"postgresql://owner:{PASSWORD}@{hosts}/number_orders?target_session_attrs=read-write"

        def fail_over() -> None:
            primary.kill()
            standby.promote()

        site = Site(ledger_url=as_service(both), direct_url=both, broker_url=broker.url)
        figures = run_orders(site, tmp_path, fail_over)
    record_property("figures", figures)
    assert figures.orders >= ORDERS


def tickets_in(postgres: Postgres) -> str:
    """Make a database for tickets, in which Celery makes its tables."""
    with psycopg.connect(postgres.url, autocommit=True) as db:
        db.execute("CREATE DATABASE tickets")
    return postgres.url.replace("/number_orders", "/tickets")


def test_sentinel_replaces_the_master(tmp_path: Path, record_property: Record) -> None:
    """The master is killed and its replica takes over; what had not reached the replica is sent again."""
    tree = debian("trixie")
    with Postgres(tree) as postgres, Redis(tree) as master:
        follows = (f"replicaof {LOOPBACK} {master.port}",)
        with Redis(tree, "replica", more=follows) as replica, Sentinel(master, "sentinel") as sentinel:
            url = f"sentinel://:{PASSWORD}@{LOOPBACK}:{sentinel.port}/0"
            options = {"master_name": Sentinel.MASTER, "sentinel_kwargs": {"password": PASSWORD}}
            site = Site(
                ledger_url=postgres.service_url,
                direct_url=postgres.url,
                broker_url=url,
                settings={
                    "SENTINEL_MASTER": Sentinel.MASTER,
                    "SENTINEL_KWARGS": f'{{"password": "{PASSWORD}"}}',
                },
                producer={"broker_transport_options": options, "result_backend_transport_options": options},
                forgets=True,
            )
            figures = run_orders(site, tmp_path, master.kill)
            assert sentinel.master_port() == replica.port
    record_property("figures", figures)
    assert figures.orders >= ORDERS
