"""The alarms: what a person must look at. docs/runbook.md explains each and says what to type."""

from enum import StrEnum


class Alarm(StrEnum):
    """All alarms. The ledger keeps one row for each matter, however often it happens."""

    OVERDUE = "overdue"
    """An order takes longer than this carrier usually needs. Work on it goes on."""
    TURN_HELD = "turn_held"
    """An order that is parked or does not move holds a serial lock, and other orders wait for it."""
    WAITS_FOR_PARKED = "waits_for_parked"
    """A removal waits for a number that a parked order still has to bring."""
    UNREADABLE_ANSWER = "unreadable_answer"
    """A carrier's answer is not what its documents describe. Nothing was concluded from it."""
    STATUS_NEVER_HEARD_OF = "status_never_heard_of"
    """A carrier reports a status that its documents do not list. The order counts as open."""
    QUESTION_BROKE = "question_broke"
    """A bug of ours while asking a carrier. It is asked again."""
    CARRIER_OUT_OF_REACH = "carrier_out_of_reach"
    """A carrier cannot be reached. It is left alone for a while and then tried with one order at a time."""
    TOKEN_REFUSED = "token_refused"  # noqa: S105  the name of an alarm, no secret
    """A carrier gives no access token, so none of its orders can be sent or asked about."""
    CARRIER_ORDER_TAKEN = "carrier_order_taken"
    """A carrier order that belongs to one of our orders was reported for another, which is parked."""
    NUMBER_HELD_TWICE = "number_held_twice"
    """One order acquired a number that another order holds."""
    NUMBERS_WITHDRAWN = "numbers_withdrawn"
    """The carrier showed numbers as bought, and its end does not mention them. They are not held any more."""
    BOUGHT_TWICE = "bought_twice"
    """The carrier has more than one order with our reference that bought numbers."""
    END_CONTRADICTED = "end_contradicted"
    """The carrier contradicts the end that the producer was told."""
    ILLEGAL_TRANSITION = "illegal_transition"
    """A bug of ours: an event came that is not legal in the state of the order."""
    EVENT_NOT_STORABLE = "event_not_storable"
    """A bug of ours: the ledger refused to store an event."""
