"""A broker that does not answer stops `up` before anything else starts, with its address and without its password."""

import pytest
from pydantic import SecretStr

from config.settings import Settings
from number_orders.cli.stack.processes import free_port
from number_orders.cli.stack.readiness import StackError
from number_orders.cli.stack.stack import _check_broker
from number_orders.embedded.ports import LOOPBACK


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_broker_that_is_not_there_is_named(scheme: str) -> None:
    port = free_port()
    settings = Settings(broker_url=SecretStr(f"{scheme}://user:hidden@{LOOPBACK}:{port}/0"))

    with pytest.raises(StackError, match=f"the broker at .*:{port}.* does not answer") as refused:
        _check_broker(settings, hint="start it")

    assert refused.value.hint == "start it"
    assert "hidden" not in str(refused.value)
