"""The arguments of `guard` and `webhook-secrets`, apart from the commands, whose imports would slow every `--help`."""

from enum import StrEnum


class Switch(StrEnum):
    """What to do with the guard."""

    ON = "on"
    OFF = "off"


class SecretAction(StrEnum):
    """What to do with a producer's secrets."""

    ADD = "add"
    LIST = "list"
    REMOVE = "remove"
