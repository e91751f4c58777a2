"""What the command `archive` does; apart, so that `--help` is quick."""

from enum import StrEnum


class ArchiveAction(StrEnum):
    """What the command does."""

    SHOW = "show"
    RUN = "run"
    UNDO = "undo"
    PURGE = "purge"
