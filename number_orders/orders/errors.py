"""Every error raised on purpose, and what its catcher must do about it.

FulfilmentError
├── Mistake              ours, a bug: stop, keep the order's story, call a person
│   ├── IllegalTransition
│   └── NotOffered       asked a carrier for what it does not sell
├── Passing              may be gone in a minute: the lease runs out and another claims it
│   ├── LedgerUnavailable
│   └── NoAnswer         a question to a carrier stayed unanswered: ask again later
├── NotStorable          PostgreSQL refuses what was to be written, and nothing was: go on without it, call a person
│   └── AlreadyTaken     a unique constraint refuses it: another order of ours has it
├── WrongSchema          the database has another schema than this code: run `number-orders migrate`
├── OrderRefused         the producer's: says field and rule, and leaves nothing behind
│   └── KeyConflict      the key stands for another order already
├── InquiryRefused       the asker's: a question breaks a rule, and no carrier was asked
├── Declined             a carrier's refusal to answer a question, in its own words
├── NotCancellable       the order has gone too far to be called back
├── NotParkable          the order cannot be taken out of the machine's hands now
├── NotResolvable        the order does not wait for this decision of a person's
├── UnknownOrder         no such order in the ledger
└── UnreadableAnswer     theirs: keep the bytes, leave the order as it stands
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


class FulfilmentError(Exception):
    """Anything this system raises knowing why."""


class Mistake(FulfilmentError):
    """A bug of ours. Nothing is guessed; a person is called."""


class IllegalTransition(Mistake):
    """The lifecycle's table has no arc for this event in this state."""

    def __init__(self, order_id: object, state: str, event: str) -> None:
        super().__init__(f"order {order_id} is {state}: {event} cannot happen to it")


class NotOffered(Mistake):
    """A carrier was asked for what its capabilities do not declare."""


class Passing(FulfilmentError):
    """Trouble that time may cure. The claim is left to its lease."""


class LedgerUnavailable(Passing):
    """PostgreSQL does not answer, or not now."""


class NotStorable(FulfilmentError):
    """PostgreSQL refuses the values of a statement. Nothing was written."""


class AlreadyTaken(NotStorable):
    """A unique constraint refuses a row, such as a carrier's order that already belongs to another order of ours."""


class WrongSchema(FulfilmentError):
    """The database has another schema than this code expects."""


class NoAnswer(Passing):
    """A question to a carrier stayed without an answer; nothing is known that was not known before.

    `not_before` is set when the carrier said when to come back, `out_of_reach` when it was not the carrier that was
    silent but the way there.
    """

    def __init__(self, reason: str, *, not_before: datetime | None = None, out_of_reach: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.not_before = not_before
        self.out_of_reach = out_of_reach


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with an order as it came in: where, and which rule it breaks."""

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
    """A question to a carrier breaks a rule. Nothing was sent."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(str(fault) for fault in faults))
        self.faults = tuple(faults)


class Declined(FulfilmentError):
    """A carrier refused a question. The words are its own; `code` is set when it gave one."""

    def __init__(self, carrier: str, words: str, code: str | None = None) -> None:
        super().__init__(f"{carrier}: {words}")
        self.words = words
        self.code = code


class NotCancellable(FulfilmentError):
    """The order cannot be called back any more, and the message says why."""


class NotParkable(FulfilmentError):
    """The order cannot be set aside for a person, and the message says why."""


class NotResolvable(FulfilmentError):
    """A person's decision was not carried out: nothing changed, and the message says why."""


class UnknownOrder(FulfilmentError):
    """No order with this id."""

    def __init__(self, order_id: object) -> None:
        super().__init__(f"no order {order_id} in the ledger")
        self.order_id = order_id


class UnreadableAnswer(FulfilmentError):
    """A carrier's answer is not what its documents describe.

    `excerpt` holds the first bytes, for the alarm; the receipt keeps the rest.
    """

    def __init__(self, carrier: str, why: str, body: bytes = b"") -> None:
        super().__init__(f"{carrier}: {why}")
        self.why = why
        self.excerpt = body[:200]
