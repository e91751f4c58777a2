"""The argument of `guard`, apart from the command, whose imports would slow every `--help` down."""

from enum import StrEnum


class Switch(StrEnum):
    """What to do with the guard."""

    ON = "on"
    OFF = "off"
