"""What a person is called for. What each means, and what to type then, stands in docs/runbook.md."""

from enum import StrEnum


class Alarm(StrEnum):
    """The alarms there are. Each matter is one row in the ledger, however often it happens."""

    OVERDUE = "overdue"
    """An order takes longer than this carrier usually needs; it is gone on with."""
    TURN_HELD = "turn_held"
    """A parked order, or one that does not move, keeps the others waiting that could be taken for it."""
    WAITS_FOR_PARKED = "waits_for_parked"
    """A removal waits for a number that a parked order is to bring."""
    UNREADABLE_ANSWER = "unreadable_answer"
    """A carrier's answer is not what its documents describe; nothing was concluded from it."""
    STATUS_NEVER_HEARD_OF = "status_never_heard_of"
    """A carrier uses a word that its documents do not; the order counts as open."""
    QUESTION_BROKE = "question_broke"
    """A bug met while a carrier was asked; it is asked again."""
    CARRIER_OUT_OF_REACH = "carrier_out_of_reach"
    """A carrier is left alone for a while, and then tried with one order at a time."""
    CARRIER_ORDER_TAKEN = "carrier_order_taken"
    """A carrier's order that belongs to one order of ours was named for another, which is parked."""
    NUMBER_HELD_TWICE = "number_held_twice"
    """A number was acquired by one order while another held it."""
    END_CONTRADICTED = "end_contradicted"
    """After an end was told, the carrier says otherwise."""
    ILLEGAL_TRANSITION = "illegal_transition"
    """A bug: something was heard that cannot happen to the order as it stands."""
    EVENT_NOT_STORABLE = "event_not_storable"
    """A bug: the ledger would not take what was heard."""
