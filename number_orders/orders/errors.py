"""Every error that is raised on purpose, and what the code that catches it must do.

FulfilmentError
├── Mistake              a bug of ours: stop, keep the order's story, raise an alarm
│   ├── IllegalTransition
│   └── NotOffered       a carrier was asked for what it does not sell
├── Passing              may be over in a minute: the lease ends and another worker claims the work
│   ├── LedgerUnavailable
│   │   └── PreparedStatementsLost  a pooler keeps none: tell the operator which setting to change
│   └── NoAnswer         a carrier did not answer a question: ask again later
│       └── AwaitsReading    no reading of a carrier's list answers the question yet
├── NotStorable          PostgreSQL refused a statement, and nothing was written: go on without it, raise an alarm
│   └── AlreadyTaken     a unique constraint refused it: another of our orders has it
├── WrongSchema          the database has another schema than this code: run `number-orders migrate`
├── OrderRefused         the producer's mistake: name field and rule, store nothing
│   └── KeyConflict      the key belongs to another order already
├── InquiryRefused       the caller's mistake: the question breaks a rule, no carrier was asked
├── Declined             a carrier refused to answer a question: pass its words on
├── NotCancellable       it is too late to cancel the order
├── NotParkable          the order cannot be parked now
├── NotResolvable        a person's decision cannot be carried out
├── UnknownOrder         the ledger has no such order
└── UnreadableAnswer     the carrier's mistake: keep the bytes, leave the order as it stands
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


class FulfilmentError(Exception):
    """Any error that this service raises on purpose."""


class Mistake(FulfilmentError):
    """A bug of ours. Nothing is guessed; an alarm is raised."""


class IllegalTransition(Mistake):
    """The table of the lifecycle has no arc for this event in this state."""

    def __init__(self, order_id: object, state: str, event: str) -> None:
        super().__init__(f"order {order_id} is {state}: {event} cannot happen to it")


class NotOffered(Mistake):
    """A carrier was asked for something that its capabilities do not declare."""


class Passing(FulfilmentError):
    """Trouble that may pass. The work stays claimed until its lease ends; then another worker claims it."""


class LedgerUnavailable(Passing):
    """PostgreSQL cannot be reached or used at the moment."""


class PreparedStatementsLost(LedgerUnavailable):
    """A connection pooler before PostgreSQL keeps no prepared statements, and the settings ask for them."""


class NotStorable(FulfilmentError):
    """PostgreSQL refuses the values of a statement. Nothing was written."""


class AlreadyTaken(NotStorable):
    """A unique constraint refuses a row, such as a carrier's order that already belongs to another order of ours."""


class WrongSchema(FulfilmentError):
    """The database has another schema than this code expects."""


class NoAnswer(Passing):
    """A carrier did not answer a question, so nothing new is known.

    `not_before` is set if the carrier said when to ask again. `out_of_reach` is set if the carrier could not be
    reached at all.
    """

    def __init__(self, reason: str, *, not_before: datetime | None = None, out_of_reach: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.not_before = not_before
        self.out_of_reach = out_of_reach


class AwaitsReading(NoAnswer):
    """The answer is in a list that is read whole for many orders, and no reading answers the question yet.

    The reading that does makes the order due when it is whole. `not_before` is for the case that this is missed.
    """


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a request: the field, and the rule that it breaks."""

    field: str
    rule: str

    def __str__(self) -> str:
        return f"{self.field}: {self.rule}"


class OrderRefused(FulfilmentError):
    """The order breaks a rule. It was not stored, and no carrier was asked."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(str(fault) for fault in faults))
        self.faults = tuple(faults)


class KeyConflict(OrderRefused):
    """The producer has used this key for a different order."""


class InquiryRefused(FulfilmentError):
    """A question to a carrier breaks a rule. No carrier was asked."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(str(fault) for fault in faults))
        self.faults = tuple(faults)


class Declined(FulfilmentError):
    """A carrier refused to answer a question. `words` are its own; `code` is set if it gave one."""

    def __init__(self, carrier: str, words: str, code: str | None = None) -> None:
        super().__init__(f"{carrier}: {words}")
        self.words = words
        self.code = code


class NotCancellable(FulfilmentError):
    """The order cannot be cancelled any more. The message says why."""


class NotParkable(FulfilmentError):
    """The order cannot be parked. The message says why."""


class NotResolvable(FulfilmentError):
    """A person's decision was not carried out and nothing changed. The message says why."""


class UnknownOrder(FulfilmentError):
    """The ledger has no order with this id."""

    def __init__(self, order_id: object) -> None:
        super().__init__(f"no order {order_id} in the ledger")
        self.order_id = order_id


class UnreadableAnswer(FulfilmentError):
    """A carrier's answer is not what its documents describe.

    `excerpt` holds the first bytes for the alarm. The receipt keeps the rest.
    """

    def __init__(self, carrier: str, why: str, body: bytes = b"") -> None:
        super().__init__(f"{carrier}: {why}")
        self.why = why
        self.excerpt = body[:200]
