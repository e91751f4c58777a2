"""Which runs of the schedule have begun, how many numbers the carriers had for sale, and who cleared alarms."""

from pathlib import Path

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

deploy = "pre"
"""When to run it: "pre" before the new code starts (old code can live with it), "post" after the old is gone."""


def upgrade() -> None:
    """Add two empty tables, a column of alarms, and an index of them."""
    op.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
