"""What a look at the carrier must have shown before a person's decision may lead to a purchase."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from number_orders.fulfilment.lanes.other_orders import is_unknown
from number_orders.ledger.history import Receipt, Story
from number_orders.orders.errors import NotResolvable
from number_orders.orders.events import CalledBack, Event, NotListed, ProvenAbsent, Refused
from number_orders.orders.model import CarrierName, CarrierOrderId, Kind, count_done
from number_orders.orders.policy import CarrierPolicy


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look at the carrier has shown."""

    event: Event | None
    error: Exception
    """Why there is no event, if there is none."""
    receipts: Sequence[Receipt]

    @property
    def text(self) -> str:
        """What it says of the order."""
        status = getattr(self.event, "carrier_status", None)
        return f"it says {status}" if status else type(self.event).__name__

    def since(self, earlier: Sequence[Mapping[str, Any]]) -> datetime | None:
        """Return since when the carrier has given this answer to this question; None if it has not before."""
        if not self.receipts:
            return None
        now, since = self.receipts[0], None
        for one in reversed([one for one in earlier if one["request"] == now.request]):
            if (one["status"], one["answer"]) != (now.status, now.answer):
                break
            since = one["at"]
        return since


@dataclass(frozen=True, slots=True)
class DecisionCheck:
    """Refuses a decision that could buy twice, by what a look at the carrier has shown."""

    story: Story
    cannot: str
    """The beginning of every refusal."""
    policy: CarrierPolicy

    def require_answer(self, seen: Seen) -> Seen:
        """Return what was seen.

        Raises:
            NotResolvable: The carrier has not answered.
        """
        if seen.event is None:
            raise self._refusal(f"{self._carrier} was asked about it first, without an answer: {seen.error}")
        return seen

    def require_absence(self, seen: Seen) -> None:
        """Do nothing if the carrier lists no order with our reference although it has had the time.

        Raises:
            NotResolvable: It has one, it has not had the time, or it has not answered.
        """
        if not isinstance(self.require_answer(seen).event, NotListed | ProvenAbsent):
            raise self._both(seen, "an order with our reference")
        order = self.story.order
        since = max(filter(None, (order.doubt_since, order.history_lost_at)), default=order.moved_at)
        if isinstance(seen.event, NotListed) and since is not None:
            listed_by = since + self.policy.doubt_patience
            self._require_past(listed_by, f"{self._carrier} does not list it, and may list it late")

    def require_nothing(self, seen: Seen, theirs: CarrierOrderId) -> None:
        """Do nothing if the carrier's order has come to nothing, and has been so for long enough to be believed.

        A status that promises numbers has not, although its list shows none: the list may lag behind.

        Raises:
            NotResolvable: It has not, or the carrier has not answered.
        """
        match self.require_answer(seen).event:
            case NotListed() | ProvenAbsent():
                return
            case Refused(numbers=numbers) | CalledBack(numbers=numbers) if not count_done(self.story.order, numbers):
                since = seen.since(self.story.receipts) or self.story.now
                believed_at = since + self.policy.settle_after
                self._require_past(
                    believed_at, f"{self._carrier} has {theirs} ({seen.text}), whose numbers may be listed late"
                )
            case event if is_unknown(event):
                shown = f"{self._carrier} does not show {theirs} as this order's ({seen.text}), and it was named for it"
                raise self._refusal(f"{shown}; find out there what it is")
            case _:
                raise self._both(seen, theirs)

    def _require_past(self, moment: datetime, why: str) -> None:
        if self.story.now < moment:
            raise self._refusal(f"{why}; decide again after {moment:%Y-%m-%d %H:%M:%S} UTC")

    @property
    def _carrier(self) -> CarrierName:
        return self.story.order.request.carrier

    def _both(self, seen: Seen, theirs: str) -> NotResolvable:
        removes = self.story.order.request.kind is Kind.REMOVE_NUMBERS
        both = "both would remove numbers" if removes else "both would be bought"
        return self._refusal(
            f"{self._carrier} has {theirs} ({seen.text}), and {both}; adopt it, or have it cancelled at the carrier "
            "first"
        )

    def _refusal(self, why: str) -> NotResolvable:
        return NotResolvable(f"{self.cannot}: {why}")
