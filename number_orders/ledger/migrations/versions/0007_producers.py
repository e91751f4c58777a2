"""Producers with their tokens and signing keys, and how many numbers each may order."""

from pathlib import Path

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

deploy = "pre"
"""When to run it: "pre" before the new code starts (old code can live with it), "post" after the old is gone."""


def upgrade() -> None:
    """Add the tables of producers and allowances, and the column `charged_at` of orders."""
    op.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
