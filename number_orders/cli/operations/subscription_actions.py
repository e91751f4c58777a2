"""What the command `subscriptions` can do. Imports nothing, so that `--help` is quick."""

from enum import StrEnum


class Subscriptions(StrEnum):
    """What is to be done with the subscriptions to carriers' notices."""

    LIST = "list"
    """Show every subscription of the account."""
    RENEW = "renew"
    """Make what is missing, and have all of ours last as long as new ones, with the credentials of the settings."""
    REMOVE = "remove"
    """Remove ours."""
