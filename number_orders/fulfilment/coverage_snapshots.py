"""Count once a day what carriers have for sale, by area code, and keep the counts. Buys nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final, Protocol

import structlog

from number_orders.carriers.contract import ONE_LIMIT_GROUP
from number_orders.carriers.market import Coverage, CoverageQuery, Topic
from number_orders.fulfilment.carrier import Carrier
from number_orders.fulfilment.inquirer import Inquirer
from number_orders.fulfilment.lanes.rate import LedgerClock, LimitStore
from number_orders.orders.errors import Declined, InquiryRefused, NoAnswer, UnreadableAnswer
from number_orders.orders.model import CarrierName, Criteria

log = structlog.get_logger(__name__)

GROUP_BY: Final = ("npa",)
QUERY: Final = "all numbers by npa"
ALL: Final = ""
"""The entry that has all groups together."""


class _Coverage(Protocol):
    async def keep(self, carrier: CarrierName, query: str, entries: Mapping[str, int]) -> None: ...


class SnapshotStores(Protocol):
    """The parts of the ledger that snapshots use."""

    @property
    def coverage(self) -> _Coverage: ...
    @property
    def limits(self) -> LimitStore: ...
    async def now(self) -> datetime: ...


@dataclass(frozen=True, slots=True)
class CoverageSnapshots:
    """Takes a snapshot of each carrier that tells its stock."""

    ledger: SnapshotStores
    boot_clock: Callable[[], float]
    ledger_clock: LedgerClock
    carriers: Mapping[CarrierName, Carrier]

    async def take(self) -> None:
        """Ask every such carrier. A failure at one stops no other, and leaves a gap in its history."""
        for name, carrier in self.carriers.items():
            if Topic.COVERAGE not in carrier.market.offers:
                continue
            try:
                counted = await self._ask(carrier)
            except (InquiryRefused, Declined, NoAnswer, UnreadableAnswer) as trouble:
                log.warning("coverage_not_counted", carrier=name, why=str(trouble))
                continue
            entries = entries_of(counted)
            await self.ledger.coverage.keep(name, QUERY, entries)
            log.info("coverage_counted", carrier=name, groups=len(entries) - 1, numbers=entries[ALL])

    async def _ask(self, carrier: Carrier) -> Coverage:
        inquirer = Inquirer(carrier, self.ledger, self.boot_clock, self.ledger_clock)
        return await inquirer.ask(
            ONE_LIMIT_GROUP, partial(carrier.market.coverage, CoverageQuery(Criteria(), GROUP_BY))
        )


def entries_of(coverage: Coverage) -> dict[str, int]:
    """Return the quantity of each group, such as `npa=919`, and of all together."""
    entries: dict[str, int] = {}
    for one in coverage.entries:
        name = " ".join(f"{field}={value}" for field, value in sorted(one.group.items()))
        entries[name] = entries.get(name, 0) + one.quantity
    total = sum(entries.values()) if coverage.quantity is None else coverage.quantity
    return {ALL: total, **entries}
