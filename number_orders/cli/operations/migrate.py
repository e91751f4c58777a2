"""Migrates the ledger from the command line."""

from number_orders.cli.discovery import discover, find_settings
from number_orders.cli.exits import ExitCode, Stop
from number_orders.cli.output import masked, scrubbed
from number_orders.ledger import migrate
from number_orders.orders.errors import LedgerUnavailable


def find_ledger() -> str:
    """Return the address to migrate: `migration_url` if it is set, otherwise that of the stack.

    Raises:
        Stop: Nothing runs here, or the settings cannot be read.
    """
    given = discover().settings.migration_url
    found = given or find_settings().database_url
    assert found is not None, "find_settings has found a ledger"
    return found.get_secret_value()


def migrate_ledger(url: str) -> str:
    """Migrate, and return a line that says from which schema to which.

    Raises:
        Stop: The database cannot be reached, or has a schema that this program does not know.
    """
    try:
        before = migrate.schema_version(url)
        after = migrate.migrate(url)
    except LedgerUnavailable as trouble:
        why = scrubbed(str(trouble).split("\n", 1)[0], url)
        raise Stop(ExitCode.OUT_OF_REACH, f"the ledger at {masked(url)} cannot be migrated: {why}") from None
    if before == after:
        return f"{masked(url)} has schema {after} already"
    return f"{masked(url)}: from {'no schema' if before is None else f'schema {before}'} to schema {after}"
