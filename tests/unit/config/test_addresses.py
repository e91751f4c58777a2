"""An address that cannot work is refused when the settings are read, with what to write instead."""

import pytest
from pydantic import ValidationError

from config.faults import setting_faults
from config.settings import Settings


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p%40ss@host/ledger",
        "postgres://u@host:5433/ledger?sslmode=verify-full",
        "postgresql://u:p@h1:5432,h2:5433/ledger?target_session_attrs=read-write",
        "postgresql://u:p@h1,h2/ledger?target_session_attrs=primary",
        "host=h1,h2 dbname=ledger target_session_attrs=read-write",
        "host=db password='a b'",
    ],
)
def test_databases_that_work(url: str) -> None:
    assert settings(database_url=url).database_url is not None
    assert settings(migration_url=url).migration_url is not None


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://u:hush@host/ledger", "must start with postgresql://, not mysql://"),
        ("postgresql+psycopg://u:hush@host/ledger", "must start with postgresql://"),
        ("postgresql://u:hush@h1,h2/ledger", "several hosts need target_session_attrs=read-write"),
        ("host=h1,h2 password=hush target_session_attrs=any", "several hosts need target_session_attrs=read-write"),
        ("postgresql://u:hush@h1/ledger?target_session_attrs=prefer-standby", "takes no writes"),
        ("postgresql://u:hush%zz@host/ledger", "libpq cannot read it (invalid percent-encoded token …)"),
        ("postgresql://u:hu sh@host/ledger", "libpq cannot read it"),
        ("hush", "libpq cannot read it (missing …)"),
    ],
)
def test_databases_that_cannot_work(url: str, says: str) -> None:
    assert says in refusal(database_url=url, naming="DATABASE_URL")


@pytest.mark.parametrize(
    "url",
    [
        "redis://:p@host:6379/0",
        "rediss://u:p@host/1?ssl_ca_certs=/ca.pem",
        "redis://host",
        "amqp://u:p@h1//",
        "amqps://u:p@host/vhost",
        "amqp://u:p@h1/orders;amqp://u:p@h2/orders",
    ],
)
def test_brokers_that_work(url: str) -> None:
    assert settings(broker_url=url).broker_url is not None


@pytest.mark.parametrize("url", ["sentinel://h1:26379;sentinel://h2:26379/0", "sentinel://:p@h1:1;h2:2/0"])
def test_sentinels_work_with_the_name_of_their_master(url: str) -> None:
    assert settings(broker_url=url, sentinel_master="orders").tickets_url == url
    assert "also needs SENTINEL_MASTER" in refusal(broker_url=url, naming="BROKER_URL")
    assert "also needs SENTINEL_MASTER" in refusal(result_url=url, naming="RESULT_URL")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("valkey://:hush@host", "for Valkey write redis://"),
        ("pyamqp://u:hush@host", "for RabbitMQ write amqp://"),
        ("sqs://hush", "not sqs://: nothing else was tested"),
        ("memory://", "not memory://"),
        ("host:6379", "must start with one of redis://"),
        ("redis://:hush@h1;redis://:hush@h2", "takes one server"),
        ("amqp://u:hush@h1;redis://h2", "every server of the list must start with amqp://"),
        ("amqp://", "names no server"),
        ("redis://:hu/sh@host:6379/0", "the port must be a number"),
        ("redis://:hush@host/orders", "the database after the last / must be a number"),
    ],
)
def test_brokers_that_cannot_work(url: str, says: str) -> None:
    assert says in refusal(broker_url=url, naming="BROKER_URL")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("rpc://", "RabbitMQ stores no tickets"),
        ("amqp://u:hush@host", "RabbitMQ stores no tickets"),
        ("db+postgresql://u:hush@host/tickets", "write postgresql://"),
        ("mongodb://hush", "not mongodb://"),
        ("postgresql://u:hush@h1,h2/tickets", "several hosts need target_session_attrs=read-write"),
    ],
)
def test_stores_of_tickets_that_cannot_work(url: str, says: str) -> None:
    assert says in refusal(result_url=url, naming="RESULT_URL")


@pytest.mark.parametrize("given", ["hush", "[]", '"hush"'])
def test_options_of_the_sentinels_are_a_json_object(given: str) -> None:
    assert "must be a JSON object" in refusal(sentinel_kwargs=given, naming="SENTINEL_KWARGS")
    assert settings(sentinel_kwargs='{"password": "hush"}').sentinel_options == {"password": "hush"}


def settings(**given: str) -> Settings:
    return Settings.model_validate(given)


def refusal(*, naming: str, **given: str) -> str:
    """Return the reason for which these settings are refused; no password is in it, nor in the error as printed."""
    with pytest.raises(ValidationError) as refused:
        settings(**given)
    (fault,) = setting_faults(refused.value)
    assert fault.startswith(f"NUMBER_ORDERS_{naming}: ")
    assert "hush" not in fault
    assert "hush" not in str(refused.value)
    return fault
