"""Ask once more, long after the end, what the carrier has with our reference.

A carrier's list may lag beyond our patience. Then an order is sent again although an earlier attempt had arrived, and
both are bought. Nobody can know that in time; here it is found out, and raises an alarm. The same look follows an order
that a person closed while the carrier may still have worked on it: it may have bought more, or have withdrawn what it
had shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from number_orders.fulfilment.carrier import Carrier, ConversationResult, receipts
from number_orders.fulfilment.lanes.other_orders import OtherOrders, Search
from number_orders.fulfilment.lanes.run import Attempt, AttemptOutcome
from number_orders.fulfilment.memory import ListReadings, NumberRecall
from number_orders.fulfilment.ports import NoticeReader, NumberReader
from number_orders.fulfilment.recorder import Heard
from number_orders.ledger.schedule import Later
from number_orders.orders.errors import AwaitsReading, NoAnswer
from number_orders.orders.events import CarriersEnd, LookedAgain
from number_orders.orders.model import NumberResult, NumberState, Order, is_done
from number_orders.orders.numbers import count_in_words

_WITHDRAWN_TEXT: Final = "shown as bought while the order was open, and not at its end"


class LateLookNumbers(NumberReader, NumberRecall, Protocol):
    """The store of numbers, as a late look reads it."""


@dataclass(frozen=True, slots=True)
class LateLook:
    """Late looks at the ended orders of one carrier."""

    carrier: Carrier
    numbers: LateLookNumbers
    readings: ListReadings
    notices: NoticeReader

    async def run(self, attempt: Attempt) -> AttemptOutcome:
        """Ask about every carrier order with our reference, and return what was not known."""
        order, policy = attempt.order, self.carrier.policy
        known = (await self.numbers.of_orders([order.order_id]))[order.order_id]
        brought = {result.e164 for result in known if is_done(order, result) or result.state is NumberState.RELEASED}
        found = await Search(self.carrier, self.numbers, self.readings, self.notices, attempt).run(known=brought)
        conversation = ConversationResult(None, found.error, found.exchanges)
        if isinstance(found.error, AwaitsReading) and not found.numbers:
            again_at = found.error.not_before or attempt.now + policy.ask_max
            later = Later(order.order_id, again_at, f"late look: {found.error}", looked=False)
            return AttemptOutcome(attempt, later, conversation)
        if found.error is not None and not found.numbers:
            wanted = found.error.not_before if isinstance(found.error, NoAnswer) else None
            again_at = max(wanted or attempt.now, attempt.now + policy.ask_pause(attempt.claim.attempts, slow=True))
            return AttemptOutcome(attempt, Later(order.order_id, again_at, f"late look: {found.error}"), conversation)
        withdrawn = await self._withdrawn(order, known, found)
        if withdrawn and attempt.claim.confirmed + 1 < policy.settle_looks:
            again_at = attempt.now + policy.settle_after
            missing = ", ".join(one.e164 for one in withdrawn)
            why = f"late look: the carrier shows {missing} no more; believed when unchanged"
            return AttemptOutcome(attempt, Later(order.order_id, again_at, why, confirms=True), conversation)
        heard = Heard(order, _event(order, found, withdrawn))
        return AttemptOutcome(attempt, heard, conversation, receipts(order, conversation))

    async def _withdrawn(
        self, order: Order, known: Sequence[NumberResult], found: OtherOrders
    ) -> tuple[NumberResult, ...]:
        """Return the numbers that the order holds and that no carrier order of it shows any more, now that all ended.

        A carrier that does not say which numbers an order brought says nothing of that: there, a number that is missing
        may have been removed since. The nightly reconciliation finds it.
        """
        ended = all(isinstance(event, CarriersEnd) for event in found.asked.values())
        if found.error or not ended or order.carrier_order_id not in found.asked:
            return ()
        if not self.carrier.adapter.capabilities.shows_numbers:
            return ()
        shown = [result for event in found.asked.values() for result in getattr(event, "numbers", ())]
        there = {result.e164 for result in shown if is_done(order, result)}
        gone = [result.e164 for result in known if is_done(order, result) and result.e164 not in there]
        _, holders = await self.numbers.recall(order, gone)
        ours = [holder.e164 for holder in holders if holder.held_by == order.order_id]
        return tuple(NumberResult(e164, NumberState.WITHDRAWN, None, _WITHDRAWN_TEXT) for e164 in ours)


def _event(order: Order, found: OtherOrders, withdrawn: tuple[NumberResult, ...]) -> LookedAgain:
    ids = tuple(dict.fromkeys((*found.bought, *found.open_ids)))
    said = []
    if found.bought:
        count = count_in_words(len(found.numbers))
        said.append(f"carrier order {', '.join(found.bought)} bought {count} that the order did not have")
    if found.open_ids:
        said.append(f"carrier order {', '.join(found.open_ids)} is still open")
    if withdrawn:
        said.append(f"the carrier has withdrawn {', '.join(result.e164 for result in withdrawn)}")
    if found.error:
        said.append(f"not everything could be asked ({found.error})")
    detail = "late look: " + ("; ".join(said) or "the carrier has bought nothing else with our reference")
    numbers = (*found.numbers, *withdrawn)
    return LookedAgain(detail, ids, numbers, look_again=bool(found.open_ids or found.error))
