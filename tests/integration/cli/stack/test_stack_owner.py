"""`up` says at once that the broker it was given belongs to another ledger, and names the ways out."""

from pathlib import Path

import pytest
import redis
from pydantic import SecretStr

from config.settings import Settings
from number_orders.cli.stack.readiness import StackError
from number_orders.cli.stack.stack import Stack
from number_orders.ledger.identity import LedgerIdentity, read_identity
from workers.broker_owner import KEY, owner, take_over

OTHER = LedgerIdentity("1/2/public", "another")


def a_stack(ledger_url: str, broker_url: str, var_dir: Path) -> Stack:
    settings = Settings(database_url=SecretStr(ledger_url), broker_url=SecretStr(broker_url), var_dir=var_dir)
    return Stack(settings, output=lambda _name, _line: None)


def test_a_broker_of_another_ledger_is_refused_before_anything_starts(
    ledger_url: str, broker_url: str, var_dir: Path
) -> None:
    with redis.Redis.from_url(broker_url) as broker:
        take_over(broker, OTHER)
        with pytest.raises(StackError, match="belongs to another ledger, another") as refused:
            a_stack(ledger_url, broker_url, var_dir).start()
        assert "take-broker" in str(refused.value.hint)
        assert owner(broker) == OTHER


def test_a_broker_that_is_started_here_is_taken(ledger_url: str, broker_url: str, var_dir: Path) -> None:
    """Its ledger under `var` was removed and made anew: nobody else uses it."""
    with redis.Redis.from_url(broker_url) as broker:
        take_over(broker, OTHER)
        a_stack(ledger_url, broker_url, var_dir)._settle_owner(broker_url, ledger_url, is_embedded=True)
        assert owner(broker) == read_identity(ledger_url)
        broker.delete(KEY)
        a_stack(ledger_url, broker_url, var_dir)._settle_owner(broker_url, ledger_url, is_embedded=False)
        assert owner(broker) is None  # the first worker leaves it
