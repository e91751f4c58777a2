"""Runs the tests that take `harness` on both ledgers."""

import pytest

from tests.integration.ledger.harness import LedgerHarness, MemoryHarness, PostgresHarness


@pytest.fixture(params=["postgresql", "memory"])
def harness(request: pytest.FixtureRequest) -> LedgerHarness:
    """A fresh ledger. A test that needs PostgreSQL itself takes `ledger_url` instead."""
    return MemoryHarness() if request.param == "memory" else PostgresHarness(request.getfixturevalue("ledger_url"))
