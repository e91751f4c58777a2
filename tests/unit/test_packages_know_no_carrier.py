"""No package below the adapters names a carrier, so a new carrier changes nothing there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from number_orders.cli.stack.sandbox_accounts import SANDBOX_ACCOUNTS
from workers.carriers import CARRIERS

ROOT = Path(__file__).parents[2]
NAMES = sorted({name for entry in CARRIERS for name in (entry.name, entry.title)})
NAMED = re.compile(rf"(?<![a-z])({'|'.join(map(re.escape, NAMES))})(?![a-z])", re.IGNORECASE)
"""Also as a part of a name, such as `bandwidth_xml`."""


def sources(*packages: str) -> Iterator[Path]:
    """Yield every source file of these packages."""
    for package in packages:
        for suffix in ("py", "sql"):
            yield from (ROOT / package).rglob(f"*.{suffix}")


def mentions(path: Path) -> list[str]:
    """Return every line of a file in which a carrier is named."""
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
    return [f"{path.relative_to(ROOT)}:{number}: {line.strip()}" for number, line in lines if NAMED.search(line)]


@pytest.mark.parametrize(
    "package",
    [
        "number_orders/orders",
        "number_orders/ledger",
        "number_orders/fulfilment",
        "tasks",
        "client/number_orders_client",
    ],
)
def test_no_package_below_the_adapters_names_a_carrier(package: str) -> None:
    files = list(sources(package))
    assert files
    assert [line for path in files for line in mentions(path)] == []


def test_among_the_processes_the_registry_alone_names_carriers() -> None:
    naming = {path.name for path in sources("workers") if mentions(path)}
    assert naming == {"carriers.py"}


@pytest.mark.parametrize(
    "line", ["from number_orders.carriers.bandwidth.xml import x", "NAME = 'CM.com'", "if carrier == 'cm':"]
)
def test_a_name_would_be_found(line: str) -> None:
    assert NAMED.search(line)


def test_every_carrier_of_the_registry_has_a_sandbox_account() -> None:
    assert set(SANDBOX_ACCOUNTS) == {entry.name for entry in CARRIERS}
