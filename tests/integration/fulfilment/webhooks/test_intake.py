"""An order names a URL that documents may be sent to, and its producer has a secret; otherwise it is refused."""

from typing import Any, Final

import pytest

from number_orders.fulfilment.intake import Refusal, Ticket
from number_orders.fulfilment.runtime import Services
from number_orders.orders.errors import KeyConflict, OrderRefused
from tests.integration.fulfilment.practice import Practice, an_order, run

SECRET: Final = "whsec_c2VjcmV0IG9mIHRoZSB0ZXN0cw=="
URL: Final = "https://crm.example/hooks"


def with_url(key: str = "crm-1", url: str = URL, **changes: Any) -> dict[str, Any]:
    return an_order(key, notify={"url": url}, **changes)


async def a_secret(services: Services, producer: str = "default") -> int:
    secret_id = await services.ledger.webhook_secrets.add(producer, SECRET, by="ana")
    assert secret_id is not None
    return secret_id


def test_order_of_a_producer_without_secret_names_the_command(practice: Practice) -> None:
    async def refused() -> None:
        async with practice.opened() as services:
            with pytest.raises(OrderRefused) as found:
                await services.intake.submit(with_url(), producer="my crm")
            (fault,) = found.value.faults
            assert fault.field == "notify.url"
            assert "number-orders webhook-secrets 'my crm' add" in fault.rule
            assert practice.rows("SELECT FROM orders") == []
            await a_secret(services, "other")
            with pytest.raises(OrderRefused):
                await services.intake.submit(with_url(), producer="my crm")
            await a_secret(services, "my crm")
            assert (await services.intake.submit(with_url(), producer="my crm")).new

    run(refused())


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("https://127.0.0.1/", "public address"),
        ("https://localhost/", "localhost"),
        ("https://crm.example:25/", "ports"),
        ("https://ana:pw@crm.example/", "user name"),
        ("http://crm.example/", "https://"),
        ("https://crm.example/#x", "fragment"),
        ("https://", "host"),
    ],
)
def test_bad_url_is_refused_with_its_rule(practice: Practice, url: str, rule: str) -> None:
    async def refused() -> None:
        async with practice.opened() as services:
            await a_secret(services)
            with pytest.raises(OrderRefused) as found:
                await services.intake.submit(with_url(url=url), producer="default")
            (fault,) = found.value.faults
            assert fault.field == "notify.url"
            assert rule in fault.rule
            assert practice.rows("SELECT FROM orders") == []

    run(refused())


def test_orders_of_a_batch_are_judged_one_by_one(practice: Practice) -> None:
    async def mixed() -> None:
        async with practice.opened() as services:
            raws = [an_order("plain"), with_url("no-secret"), with_url("bad", url="https://[::1]/"), an_order("also")]
            outcomes = await services.intake.submit_many(raws, producer="default")
            assert [type(outcome) for outcome in outcomes] == [Ticket, Refusal, Refusal, Ticket]
            await a_secret(services)
            outcomes = await services.intake.submit_many(raws, producer="default")
            assert [type(outcome) for outcome in outcomes] == [Ticket, Ticket, Refusal, Ticket]
            assert [outcome.new for outcome in outcomes if isinstance(outcome, Ticket)] == [False, True, False]

    run(mixed())


def test_order_that_was_accepted_stays_so_when_its_secret_is_gone(practice: Practice) -> None:
    """Sent again it gets its ticket; the key with another body is a conflict, as ever."""

    async def again() -> None:
        async with practice.opened() as services:
            secret_id = await a_secret(services)
            ticket = await services.intake.submit(with_url(), producer="default")
            await services.ledger.webhook_secrets.remove("default", secret_id, by="ana")
            known = await services.intake.submit(with_url(), producer="default")
            assert (known.order_id, known.new) == (ticket.order_id, False)
            with pytest.raises(KeyConflict):
                await services.intake.submit(with_url(quantity=2), producer="default")
            with pytest.raises(OrderRefused, match="webhook-secrets"):
                await services.intake.submit(with_url("crm-2"), producer="default")

    run(again())
