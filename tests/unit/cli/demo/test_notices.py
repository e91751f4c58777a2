"""The demo counts notices as right if all acknowledged ones are stored, and the genuine ones found their orders."""

from datetime import UTC, datetime
from typing import Any

import pytest

from number_orders.cli.demo.notices import compare
from number_orders.ledger.notices import NoticeCount
from number_orders.orders.model import CarrierName

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SENT: list[dict[str, Any]] = [
    {"forged": False, "answer": 202},
    {"forged": False, "answer": 202},
    {"forged": True, "answer": 202},
    {"forged": True, "answer": 401},
    {"forged": False, "answer": None},
]


def count(*, copies: int, matched: int, orders: int = 1) -> NoticeCount:
    numbers = {"notices": copies, "copies": copies, "matched": matched, "orders": orders}
    return NoticeCount(carrier=CarrierName("cm"), unreadable=0, waiting=0, last_at=NOON, **numbers)


def test_acknowledged_ones_are_counted() -> None:
    facts = compare(SENT, [count(copies=2, matched=2), count(copies=1, matched=0)])

    assert (facts.sent, facts.forged, facts.received, facts.matched, facts.orders) == (2, 1, 3, 2, 2)
    assert facts.is_right


@pytest.mark.parametrize("stored", [count(copies=2, matched=2), count(copies=4, matched=2), count(copies=3, matched=1)])
def test_lost_invented_or_unmatched_one_is_wrong(stored: NoticeCount) -> None:
    assert not compare(SENT, [stored]).is_right


def test_no_notice_at_all_is_wrong() -> None:
    assert not compare([], []).is_right
