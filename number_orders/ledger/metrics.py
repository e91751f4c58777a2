"""Reads the figures that monitoring wants: one statement for all, at the same moment."""

from dataclasses import dataclass

from number_orders.ledger.connection import Database


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure, with its labels in the order of the figure's own (`sql/metrics.sql`)."""

    name: str
    labels: tuple[str, ...]
    value: float


class Metrics:
    """Reads figures of the whole ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self) -> list[Figure]:
        """Return every figure. It takes the longer the more orders are under way: do not ask for it all the time."""
        found = await self._database.run("read_metrics", {})
        return [
            Figure(
                row["figure"],
                tuple(label for label in (row["first_label"], row["second_label"]) if label is not None),
                float(row["value"]),
            )
            for row in found
        ]
