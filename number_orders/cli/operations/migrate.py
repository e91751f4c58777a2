"""Migrates the ledger from the command line."""

from config.settings import Settings
from number_orders.cli.exits import ExitCode, Stop
from number_orders.cli.output import masked, scrubbed
from number_orders.ledger import migrate
from number_orders.orders.errors import LedgerUnavailable


def migrate_ledger(settings: Settings) -> str:
    """Migrate, and return a line that says from which schema to which.

    Raises:
        Stop: The database cannot be reached, or has a schema that this program does not know.
    """
    assert settings.database_url is not None, "commands that need a ledger ask find_settings"
    url = settings.database_url.get_secret_value()
    try:
        before = migrate.schema_version(url)
        after = migrate.migrate(url)
    except LedgerUnavailable as trouble:
        why = scrubbed(str(trouble).split("\n", 1)[0], url)
        raise Stop(ExitCode.OUT_OF_REACH, f"the ledger at {masked(url)} cannot be migrated: {why}") from None
    if before == after:
        return f"{masked(url)} has schema {after} already"
    return f"{masked(url)}: from {'no schema' if before is None else f'schema {before}'} to schema {after}"
