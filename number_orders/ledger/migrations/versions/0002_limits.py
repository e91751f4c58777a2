"""Add limits, breakers and pauses."""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

deploy = "pre"
"""When to run it: "pre" before the new code starts (old code can live with it), "post" after the old is gone."""


def upgrade() -> None:
    """Add the tables of limits, breakers and pauses, and the kind of its order to each work item."""
    op.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
