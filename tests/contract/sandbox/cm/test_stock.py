"""The stock of the sandbox CM.com."""

import phonenumbers
import pytest

from number_orders.sandbox.cm.stock import MAGIC_AREAS, ORDINARY_AREAS


@pytest.mark.parametrize("line", ["first", "last"])
def test_every_number_is_valid_by_libphonenumber(line: str) -> None:
    numbers = [area.number(0 if line == "first" else area.size - 1) for area in ORDINARY_AREAS + MAGIC_AREAS]

    assert [n for n in numbers if not phonenumbers.is_valid_number(phonenumbers.parse(n))] == []
