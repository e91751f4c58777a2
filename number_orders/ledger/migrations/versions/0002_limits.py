"""Limits, breakers and pauses."""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

deploy = "pre"
"""When to run it: "pre" before the new code starts (old code can live with it), "post" after the old is gone."""


def upgrade() -> None:
    """Add what limits are kept in, and to what is owed the kind of its order."""
    op.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
