"""Documents that are delivered by HTTP: when, to which host, and signed with which secrets."""

from pathlib import Path

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

deploy = "pre"
"""When to run it: "pre" before the new code starts (old code can live with it), "post" after the old is gone."""


def upgrade() -> None:
    """Add the tables of deliveries, hosts and secrets, and note in the outbox when a delivery was given up."""
    op.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
