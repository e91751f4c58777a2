"""What holds for every test with real engines."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

_WITH_CELERY = tuple(Path(__file__).parent / name for name in ("client", "tasks", "workers"))
"""Tests that are Celery's producers. Its results keep sockets per thread, and close some of them only as garbage; and
redis-py does not close those to a broker that was stopped."""


def _is_with_celery(item: pytest.Item) -> bool:
    return any(item.path.is_relative_to(folder) for folder in _WITH_CELERY)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tolerate those sockets in the tests that leave them."""
    for item in filter(_is_with_celery, items):
        item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))


@pytest.fixture(autouse=True)
def collected(request: pytest.FixtureRequest) -> Iterator[None]:
    """Collect that garbage with the test that left it, while there is a broker: another test would fail by it."""
    if is_left := _is_with_celery(request.node) and "broker_url" in request.fixturenames:
        request.getfixturevalue("broker_url")
    yield
    if is_left:
        gc.collect()
