"""Numbers that a carrier withdrew, and looks that showed the same again."""

from pathlib import Path

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

deploy = "pre"
"""When to run it: "pre" before the new code starts (old code can live with it), "post" after the old is gone."""


def upgrade() -> None:
    """Allow the state `withdrawn` of a number, and count looks in `owed.confirmed`."""
    op.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
