"""Which numbers a producer may remove."""

from enum import StrEnum


class RemovalRight(StrEnum):
    """Which numbers a producer that has proven itself may remove. Without proof, whoever orders may remove any."""

    OWN = "own"
    """Those that its own orders brought, unless somebody else's order holds them by now."""
    UNKNOWN = "unknown"
    """Those too that no producer's order holds or is to bring: bought elsewhere, or adopted by reconciliation."""
    ANY = "any"
    """All, other producers' too."""
