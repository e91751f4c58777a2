"""The words of budgets: what a limit counts together, and what becomes of an order above it."""

from enum import StrEnum


class Span(StrEnum):
    """What a limit counts together."""

    ORDER = "order"
    HOUR = "hour"
    DAY = "day"


class Above(StrEnum):
    """What becomes of an order that exceeds a limit."""

    REFUSE = "refuse"
    PARK = "park"
    """It is stored as PARKED, for an operator to approve."""
