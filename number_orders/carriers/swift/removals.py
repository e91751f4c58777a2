"""Judge what a removal has done, from what the order says and which numbers are still on the account.

An order never says which numbers it removed. A number counts as released when it is gone, and not before. Sends
nothing.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from number_orders.carriers.contract import KnownNumbers
from number_orders.carriers.swift.facts import NOT_LISTED, STILL_LISTED, Status
from number_orders.carriers.swift.json import OrderView
from number_orders.carriers.swift.steps import Steps, settled_parts
from number_orders.carriers.swift.taint import (
    RemovalTime,
    Taint,
    formatted,
    numbers_called_tainted,
    numbers_named,
    taint_refusal_reason,
    waiting_results,
)
from number_orders.orders.events import Filled, FilledWithErrors, PartlyFilled, PartSettled, Refused
from number_orders.orders.model import NumberResult, NumberState, Order, WhenTainted
from number_orders.orders.numbers import E164

End = Filled | PartlyFilled | FilledWithErrors | Refused


@dataclass(frozen=True, slots=True)
class Removal:
    """One part of a removal that has ended at the carrier. `left` are its numbers that are still listed.

    `known` is what the ledger knows of the others, if the carrier reports errors.
    """

    order: Order
    steps: Steps
    view: OrderView
    status: str
    left: tuple[E164, ...]
    known: KnownNumbers | None = None

    @property
    def part(self) -> tuple[E164, ...]:
        """The numbers that this part is about."""
        return self.steps.part or self.steps.outstanding(self.order)

    @property
    def is_plain_success(self) -> bool:
        """Whether the carrier reports no error, so that this part has released what is gone."""
        return self.status == Status.COMPLETED and self.view.error_code is None

    @property
    def tainted(self) -> tuple[E164, ...]:
        """The numbers that the carrier would not remove yet; none if the order is to fail in that case."""
        if self.order.request.when_tainted is WhenTainted.FAIL:
            return ()
        return numbers_called_tainted(self.view, self.left)

    def part_settled(
        self, taint: Taint, rest: Collection[E164], times: Collection[RemovalTime], now: datetime
    ) -> PartSettled:
        """Return the event for the end of this part, when there is more to do.

        Args:
            taint: The taint window.
            rest: The numbers that were in no part yet.
            times: When those of them that the ledger knows may be removed. The age of the others is looked up then.
            now: The ledger's time.
        """
        again_at, rest_at = now + taint.removal_age, min((time.at for time in times), default=now)
        waiting = self.tainted
        done = tuple(result for result in self._results() if result.e164 not in waiting)
        gone = [result for result in done if result.state is NumberState.RELEASED]
        released = any(result.state is NumberState.RELEASED for result in (*self.steps.settled, *done))
        # An ERROR about taint that released nothing refused the whole part, also the numbers that it does not name.
        refused_whole = bool(waiting) and self.status == Status.ERROR and not released
        # If nothing was released, nothing is settled, and the part is not tried again at once.
        at = min(rest_at, again_at) if rest and released else again_at
        return PartSettled(
            self.status,
            (*(() if refused_whole else done), *taint.refused_results(waiting, again_at), *waiting_results(times)),
            self._part_reason(waiting, len(rest), done),
            at,
            # A part that released nothing is tried again whole: an order that only failed must not look half done. Its
            # results are shown all the same: what is still listed may leave the list yet.
            settled_parts((*self.steps.settled, *done), self._orders()) if released else {},
            contradicted=self.status != Status.COMPLETED and self._contradiction(len(gone), len(self.part)) is not None,
        )

    def end(self) -> End:
        """Return the end of the whole removal, with all its parts."""
        here = tuple(self._results())
        results = (*self.steps.settled, *here)
        done_here = sum(result.state is NumberState.RELEASED for result in here)
        done = sum(result.state is NumberState.RELEASED for result in results)
        if fault := self._contradiction(done_here, len(here)):
            return FilledWithErrors(self.status, results, fault)
        if done == self.order.request.wanted:
            return Filled(self.status, results)
        text = status_text(self.view, self.status)
        if done:
            return PartlyFilled(
                self.status, results, f"{done} of {self.order.request.wanted} numbers were removed: {text}"
            )
        return Refused(text, self.view.error_code, self.status, results)

    def _results(self) -> Iterator[NumberResult]:
        for number in self.part:
            if number in self.left:
                yield NumberResult(number, NumberState.FAILED, self.view.error_code or STILL_LISTED, self._left_text())
            elif self.is_plain_success:
                yield NumberResult(number, NumberState.RELEASED)
            else:
                yield self._result_of_gone(number)

    def _result_of_gone(self, number: E164) -> NumberResult:
        """Return the result of a number that is gone although the carrier reports errors: say who released it."""
        before, text = number in self.steps.unlisted, status_text(self.view, self.status)
        known = self.known
        release = known.released.get(number) if known else None
        by = f"order {release.order_id} released it at {formatted(release.at)}" if release else None
        if before and (known is None or number not in known.held_since):
            reason = "the carrier did not list it before, so it was not there to be removed"
            return NumberResult(
                number, NumberState.FAILED, self.view.error_code or NOT_LISTED, f"{reason}; {by}" if by else reason
            )
        if before:
            reason = "it was not on the account any more when its removal was sent"
        elif by and release and self.steps.begun_at and release.at >= self.steps.begun_at:
            reason = f"{by}, and not this one"
        elif self.status == Status.ERROR or number in numbers_named(self.view):
            reason = "it is not on the account any more, but this order did not remove it"
        else:
            return NumberResult(number, NumberState.RELEASED)
        return NumberResult(number, NumberState.RELEASED, None, f"{reason}; {text}")

    def _orders(self) -> tuple[str, ...]:
        return (*self.steps.done_orders, str(self.order.carrier_order_id))

    def _left_text(self) -> str:
        return f"still on the account; {status_text(self.view, self.status)}"

    def _contradiction(self, done: int, asked: int) -> str | None:
        match self.status:
            case Status.COMPLETED if done < asked:
                return f"the carrier says {self.status}, yet {asked - done} of {asked} numbers are not removed"
            case Status.COMPLETED_WITH_ERRORS if done == asked:
                return status_text(self.view, self.status)
            case Status.ERROR if done:
                return f"{status_text(self.view, self.status)}, yet {done} of {asked} numbers are gone"
            case _:
                return None

    def _part_reason(self, waiting: Collection[E164], rest: int, done: Collection[NumberResult]) -> str:
        released = sum(result.state is NumberState.RELEASED for result in done)
        if waiting:
            return taint_refusal_reason(
                f"{status_text(self.view, self.status)} ({released} removed, {len(waiting)} wait)"
            )
        return f"{released} numbers are removed; {rest} are still tainted"


def status_text(view: OrderView, status: str) -> str:
    """Return the status of an order, with the error code and the latest text of its history."""
    code = f" ({view.error_code})" if view.error_code else ""
    detail = f": {view.detail}" if view.detail else ""
    return f"the carrier says {status}{code}{detail}"
