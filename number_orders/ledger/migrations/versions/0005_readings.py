"""Readings of carriers' lists, shared by the orders that wait for them."""

from pathlib import Path

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

deploy = "pre"
"""When to run it: "pre" before the new code starts (old code can live with it), "post" after the old is gone."""


def upgrade() -> None:
    """Add the tables of readings, their numbers, and the questions that wait."""
    op.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
