"""Swift's three kinds of orders from the queue to their true end, on the real ledger and the practice carrier."""

from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest
from psycopg.rows import dict_row

from sandbox.control import SandboxControl
from tests.integration.fulfilment.practice import live, run
from tests.integration.fulfilment.swift_practice import SwiftPractice, a_purchase, bought, take

STEP = timedelta(seconds=4)


@pytest.fixture
def practice(ledger_url: str, carrier: SandboxControl) -> Iterator[SwiftPractice]:
    with psycopg.connect(ledger_url, autocommit=True, row_factory=dict_row) as db:
        yield SwiftPractice(ledger_url, db, carrier)


def test_numbers_are_bought_and_followed_until_they_are_usable(practice: SwiftPractice) -> None:
    async def buy() -> None:
        async with practice.opened() as room:
            order_id = await take(room, a_purchase(quantity=3))
            await live(practice, room, step=STEP)
            assert practice.order(order_id)["state"] == "COMPLETED"
            (theirs,) = practice.sold(order_id)
            assert practice.states(order_id) == dict.fromkeys(theirs["bought"], "usable")
            assert practice.held() == set(theirs["bought"])

    run(buy())
