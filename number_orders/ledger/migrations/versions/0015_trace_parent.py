"""Where an order stands in its trace."""

from pathlib import Path

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

deploy = "pre"
"""When to run it: "pre" before the new code starts (old code can live with it), "post" after the old is gone."""


def upgrade() -> None:
    """Add the column `trace_parent` of orders."""
    op.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
