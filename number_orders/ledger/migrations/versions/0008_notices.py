"""Notices of carriers, and how soon one makes a question due."""

from pathlib import Path

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

deploy = "pre"
"""When to run it: "pre" before the new code starts (old code can live with it), "post" after the old is gone."""


def upgrade() -> None:
    """Complete the table of notices, and note in `owed` when one has made a question due earlier."""
    op.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
