"""Both ledgers, one after the other, for every test of the contract between them."""

import pytest

from tests.integration.ledger.books import Book, MemoryBook, PostgresBook


@pytest.fixture(params=["postgresql", "memory"])
def book(request: pytest.FixtureRequest) -> Book:
    """A fresh ledger. What needs PostgreSQL itself takes `ledger_url` instead."""
    return MemoryBook() if request.param == "memory" else PostgresBook(request.getfixturevalue("ledger_url"))
