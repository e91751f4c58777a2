"""Compare the numbers that a carrier says we hold with those that the ledger holds, and raise alarms about differences.

Only a person's decision changes the ledger, and nothing here changes the carrier's account.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog

from number_orders.carriers.holdings import RecordsNumbers, ShowsHoldings
from number_orders.carriers.market import HeldNumber
from number_orders.fulfilment.carrier import Carrier
from number_orders.fulfilment.lanes.rate import LedgerClock, LimitStore
from number_orders.fulfilment.ports import Bell, NumberReader, OrderReader
from number_orders.fulfilment.reconciliation.adoption import Adoption, ArchivedOrders, Decided
from number_orders.fulfilment.reconciliation.comparison import (
    Comparison,
    Ghost,
    Movement,
    Orphan,
    Purchases,
    UnderWay,
    ghost_from,
    movement_of,
    orphan_from,
)
from number_orders.fulfilment.reconciliation.reading import HoldingsReader
from number_orders.fulfilment.recorder import Recorder
from number_orders.fulfilment.watch import WatchAlarms
from number_orders.ledger.guard import GuardPeriod
from number_orders.ledger.holdings import AdoptedOrder, Difference, ReportedNumber
from number_orders.ledger.pauses import HeldBy, Hold
from number_orders.ledger.text import storable_text
from number_orders.orders.alarms import Alarm
from number_orders.orders.errors import Declined, Fault, InquiryRefused, NoAnswer, UnreadableAnswer
from number_orders.orders.model import CarrierName, CarrierOrderId, Lane, NumberResult, Order, is_done
from number_orders.orders.numbers import E164, count_in_words

log = structlog.get_logger(__name__)

LOOKUPS: Final = 200
"""How many orphans, and how many ghosts, are looked up at the carrier one by one, unless more are asked for."""
_AGAIN_AFTER: Final = timedelta(hours=12)
"""A difference that persists counts as one more alarm each night."""
_GIVEN_UP_AT_ONCE: Final = 20
_GIVEN_UP_PART: Final = 0.1
"""How many numbers may be given up without naming them: so many, or this part of what the ledger holds."""
_NAMED: Final = 5
"""How many numbers an alarm names."""


class _Holdings(Protocol):
    async def compare(
        self, carrier: CarrierName, listed: Collection[ReportedNumber], *, moved_since: datetime
    ) -> tuple[int, list[Difference]]: ...

    async def purchases_by_criteria(self, carrier: CarrierName) -> list[Order]: ...

    async def purchases_with(
        self, carrier: CarrierName, carrier_order_ids: Collection[CarrierOrderId], references: Collection[str]
    ) -> list[Order]: ...

    async def store_adopted(self, orders: Sequence[AdoptedOrder]) -> None: ...

    async def keep_result(
        self,
        carrier: CarrierName,
        *,
        theirs: int = 0,
        ours: int = 0,
        orphans: int = 0,
        ghosts: int = 0,
        trouble: str | None = None,
    ) -> None: ...


class _Pauses(Protocol):
    async def holds(self) -> tuple[datetime, list[Hold]]: ...


class _Guard(Protocol):
    async def read(self) -> GuardPeriod: ...


class ReconciliationStores(Protocol):
    """The parts of the ledger that a reconciliation uses."""

    @property
    def holdings(self) -> _Holdings: ...
    @property
    def orders(self) -> OrderReader: ...
    @property
    def numbers(self) -> NumberReader: ...
    @property
    def limits(self) -> LimitStore: ...
    @property
    def alarms(self) -> WatchAlarms: ...
    @property
    def pauses(self) -> _Pauses: ...
    @property
    def guard(self) -> _Guard: ...
    @property
    def archive(self) -> ArchivedOrders: ...
    async def now(self) -> datetime: ...


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person wants done with the differences."""

    by: str
    why: str
    adopt: bool = False
    give_up: bool = False
    numbers: frozenset[E164] = frozenset()
    """Only these numbers; empty for all."""

    def about(self, found: Comparison) -> Comparison:
        """Return the part of a comparison that the decision is about."""
        return found.only(self.numbers) if self.numbers else found


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What a comparison found, and what became of it."""

    found: Comparison
    decided: Decided = field(default_factory=Decided)

    @property
    def left(self) -> Comparison:
        """The differences that are left."""
        return self.found.without((*self.decided.adopted, *self.decided.given_up))


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Reconciles the numbers of one carrier at a time."""

    ledger: ReconciliationStores
    boot_clock: Callable[[], float]
    ledger_clock: LedgerClock
    recorder: Recorder
    bell: Bell
    carriers: Mapping[CarrierName, Carrier]

    async def reconcile(
        self, name: CarrierName, decision: Decision | None = None, *, lookups: int = LOOKUPS
    ) -> Reconciled:
        """Compare the numbers at one carrier, carry a person's decision out, and raise alarms about what is left.

        Raises:
            InquiryRefused: The carrier has no list of the numbers that we hold, or is not set up here; so many numbers
                would be given up that the list is more likely wrong; or numbers of forgotten orders would be adopted.
            Declined, NoAnswer, UnreadableAnswer: The carrier's list could not be read.
        """
        reader = self._reader(name)
        found = await self._compare(reader, lookups, decision.numbers if decision else frozenset())
        reconciled = Reconciled(found)
        if decision:
            if decision.give_up and not decision.numbers:
                _refuse_if_too_many(found)
            if decision.adopt and not decision.numbers:
                await self._refuse_if_orders_may_return(found)
            adoption = Adoption(self.ledger, self.recorder, self.bell, decision.by, decision.why)
            if decision.adopt:
                await adoption.adopt(decision.about(found), reconciled.decided)
            if decision.give_up:
                await adoption.give_up(decision.about(found), reconciled.decided)
        left = reconciled.left
        await self._raise_alarms(left)
        await self.ledger.holdings.keep_result(
            name, theirs=left.theirs, ours=left.ours, orphans=len(left.orphans), ghosts=len(left.ghosts)
        )
        return reconciled

    async def reconcile_all(self) -> None:
        """Compare the numbers at every carrier that lists them, and raise alarms. A failure at one stops no other.

        A carrier whose questions a person has paused is left alone.
        """
        _, holds = await self.ledger.pauses.holds()
        paused = {hold.carrier for hold in holds if hold.held_by is HeldBy.PERSON and hold.lane is Lane.ASK}
        for name, carrier in self.carriers.items():
            if not isinstance(carrier.adapter, ShowsHoldings) or name in paused:
                continue
            try:
                found = (await self.reconcile(name)).found
                log.info(
                    "reconciled",
                    carrier=name,
                    theirs=found.theirs,
                    ours=found.ours,
                    orphans=len(found.orphans),
                    ghosts=len(found.ghosts),
                )
            except (Declined, NoAnswer, UnreadableAnswer) as trouble:
                log.warning("not_reconciled", carrier=name, why=str(trouble))
                await self.ledger.holdings.keep_result(name, trouble=storable_text(str(trouble)))
                await self.ledger.alarms.note_alarm(
                    Alarm.NOT_RECONCILED, name, carrier=name, detail=str(trouble), again_after=_AGAIN_AFTER
                )

    async def _refuse_if_orders_may_return(self, found: Comparison) -> None:
        """Refuse to adopt, in a guard period, numbers that no order of ours has brought as far as the ledger knows.

        Their producer may still send the order again that brought them. It would have to share them with the adoption.

        Raises:
            InquiryRefused: There is a guard period, and there are such numbers.
        """
        count = sum(orphan.can_be_adopted and orphan.order_id is None for orphan in found.orphans)
        guard = await self.ledger.guard.read()
        if count and guard.is_active:
            rule = (
                f"{count_in_words(count)} may belong to orders that the ledger has forgotten, and that their producers "
                "may still send again; after that end the guard period (`number-orders guard off`), or name the numbers"
            )
            raise InquiryRefused([Fault("adopt", rule)])

    def _reader(self, name: CarrierName) -> HoldingsReader:
        carrier = self.carriers.get(name)
        if carrier is None:
            raise InquiryRefused([Fault("carrier", f"{name} is not set up here")])
        if not isinstance(carrier.adapter, ShowsHoldings):
            raise InquiryRefused([Fault("carrier", f"{name} has no list of the numbers that we hold")])
        return HoldingsReader(carrier, carrier.adapter.holdings, self.ledger, self.boot_clock, self.ledger_clock)

    async def _compare(self, reader: HoldingsReader, lookups: int, named: Collection[E164]) -> Comparison:
        name, settles = reader.carrier.adapter.name, reader.carrier.policy.settle_after
        moved_since = await self.ledger.now() - settles
        has_records = isinstance(reader.holdings, RecordsNumbers)
        reading = await reader.read_list()
        listed = list(reading.listed.values())
        ours, differences = await self.ledger.holdings.compare(name, listed, moved_since=moved_since)
        if not has_records and any(not one.is_listed and movement_of(one) is None for one in differences):
            # The list changes while it is read, and can miss a number that is there. Nothing else tells.
            reading = reading.merged(await reader.read_list())
            listed = list(reading.listed.values())
            ours, differences = await self.ledger.holdings.compare(name, listed, moved_since=moved_since)
        if not differences:
            return Comparison(name, len(listed), ours, unreadable=reading.unreadable)
        records = await reader.records(_to_look_up(differences, lookups, named))
        if records:  # that took time: a number that has moved since is no difference
            ours, still = await self.ledger.holdings.compare(name, listed, moved_since=moved_since)
            differing = {(one.e164, one.is_listed) for one in differences}
            differences = [one for one in still if (one.e164, one.is_listed) in differing]
        whole = Comparison(name, len(listed), ours, unreadable=reading.unreadable)
        return await self._matched(reader, _sort_out(whole, differences, records, has_records=has_records), lookups)

    async def _matched(self, reader: HoldingsReader, comparison: Comparison, lookups: int) -> Comparison:
        """Match orphans with orders of ours: ended ones that brought them, and unfinished ones that may."""
        if not comparison.orphans:
            return comparison
        name, orphans = comparison.carrier, comparison.orphans
        named = sorted({orphan.carrier_order_id for orphan in orphans if orphan.carrier_order_id})
        owners = await self._owners(reader, name, named, lookups)
        purchases = Purchases.of(await self.ledger.holdings.purchases_by_criteria(name))
        known = await self.ledger.numbers.of_orders([order.order_id for order in owners.values() if order])
        found: list[Orphan] = []
        under_way = list(comparison.under_way)
        for orphan in orphans:
            owner = owners.get(orphan.carrier_order_id or "")
            # Where the carrier names the order that brought a number, and it is not ours, no purchase of ours did.
            bringer = purchases.that_may_bring(orphan) if orphan.carrier_order_id not in owners else None
            if owner is not None and not owner.state.is_final:
                bringer = owner
            if bringer is not None:
                under_way.append(UnderWay(orphan.e164, bringer.order_id, Movement.BRINGS))
            elif owner is not None and not _has(owner, orphan.e164, known[owner.order_id]):
                found.append(replace(orphan, order_id=owner.order_id))
            else:
                found.append(orphan)
        return replace(comparison, orphans=tuple(found), under_way=tuple(sorted(under_way, key=lambda one: one.e164)))

    async def _owners(
        self, reader: HoldingsReader, name: CarrierName, named: Sequence[str], lookups: int
    ) -> dict[str, Order | None]:
        """Return the order of ours that each of these carrier orders is, or None; those not looked up are left out."""
        if not named:
            return {}
        holdings = self.ledger.holdings
        by_id = await holdings.purchases_with(name, [CarrierOrderId(one) for one in named], [])
        owners: dict[str, Order | None] = {order.carrier_order_id: order for order in by_id if order.carrier_order_id}
        references = await reader.references([one for one in named if one not in owners][:lookups])
        texts = set(filter(None, references.values()))
        ours = {order.reference: order for order in await holdings.purchases_with(name, [], texts)} if texts else {}
        return owners | {one: ours.get(text or "") for one, text in references.items()}

    async def _raise_alarms(self, left: Comparison) -> None:
        """Raise an alarm for each side that has numbers of its own; drop those that are certainly over."""
        await self.ledger.alarms.drop_alarms(Alarm.NOT_RECONCILED, carrier=left.carrier, keep=[])
        show = f"`number-orders reconcile --carrier {left.carrier}` shows them"
        said = f"that {left.carrier} has as ours and the ledger does not hold"
        await self._alarm(Alarm.NUMBERS_ORPHANED, left.carrier, left.orphans, f"{said}: {{}}; {show}")
        said = f"that the ledger holds and {left.carrier} does not have as ours"
        await self._alarm(Alarm.NUMBERS_MISSING, left.carrier, left.ghosts, f"{said}: {{}}; {show}")

    async def _alarm(self, what: Alarm, carrier: CarrierName, left: Sequence[Orphan | Ghost], text: str) -> None:
        numbers = [one.e164 for one in left if one.checked]
        if not numbers:
            if not left:  # what was not looked up neither raises an alarm nor ends one
                await self.ledger.alarms.drop_alarms(what, carrier=carrier, keep=[])
            return
        first = ", ".join(numbers[:_NAMED]) + (", …" if len(numbers) > _NAMED else "")
        detail = f"{count_in_words(len(numbers))} {text.format(first)}"
        await self.ledger.alarms.note_alarm(what, carrier, carrier=carrier, detail=detail, again_after=_AGAIN_AFTER)


def _refuse_if_too_many(found: Comparison) -> None:
    """Refuse to give up most of what the ledger holds: then the list is more likely another account's.

    Raises:
        InquiryRefused: So many are to be given up.
    """
    count = sum(ghost.can_be_given_up for ghost in found.ghosts)
    if count > max(_GIVEN_UP_AT_ONCE, found.ours * _GIVEN_UP_PART):
        rule = f"{count} of {found.ours} numbers would be given up; if they are really gone, name them one by one"
        raise InquiryRefused([Fault("give_up", rule)])


def _to_look_up(differences: Iterable[Difference], most: int, named: Collection[E164]) -> list[E164]:
    """Return up to so many numbers of each side that no order under way explains, first those that a person named."""
    unexplained = (one for one in differences if movement_of(one) is None)
    open_ones = sorted(unexplained, key=lambda one: (one.e164 not in named, one.e164))
    listed = [one.e164 for one in open_ones if one.is_listed]
    held = [one.e164 for one in open_ones if not one.is_listed]
    return listed[:most] + held[:most]


def _sort_out(
    comparison: Comparison,
    differences: Iterable[Difference],
    records: Mapping[E164, HeldNumber],
    *,
    has_records: bool,
) -> Comparison:
    """Return the comparison with every difference: an orphan, a ghost, or an order under way."""
    under_way: list[UnderWay] = []
    orphans: list[Orphan | None] = []
    ghosts: list[Ghost | None] = []
    for one in differences:
        record = records.get(one.e164)
        if moves := movement_of(one):
            under_way.append(moves)
        elif one.is_listed:
            orphans.append(orphan_from(one, record, has_records=has_records))
        else:
            ghosts.append(ghost_from(one, record, has_records=has_records))
    return replace(
        comparison,
        orphans=tuple(filter(None, orphans)),
        ghosts=tuple(filter(None, ghosts)),
        under_way=tuple(under_way),
    )


def _has(order: Order, e164: E164, known: Iterable[NumberResult]) -> bool:
    return any(result.e164 == e164 and is_done(order, result) for result in known)
