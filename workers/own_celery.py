"""Celery applications that take nothing from the environment: addresses and settings are those of `config` alone.

Importing this module installs our Redis transport and the limit of what messages unpack to.

Celery prefers `CELERY_BROKER_URL` and `CELERY_RESULT_BACKEND` to what an application says, its command line reads
`BROKER_URL`, `RESULT_BACKEND` and a variable for each option (`CELERY_WORKER_QUEUES`), and its loader imports what
`CELERY_CONFIG_MODULE` names. Set for another application on the same machine, they would have our workers serve that
application's broker.
"""

import os
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import click
import structlog
from celery import Celery
from celery.app.utils import Settings as CelerySettings
from celery.loaders.app import AppLoader
from click.core import ParameterSource

from workers import compression, redis_transport

redis_transport.install()
compression.install()

log = structlog.get_logger(__name__)

_CELERYS: Final = "CELERY_"
_READ_BY_COMMAND_LINE: Final = {"broker": "BROKER_URL", "result_backend": "RESULT_BACKEND", "config": "CONFIG_MODULE"}
"""The options of Celery's command line that name another installation, with the variables that it reads for them."""


class OwnSettings(CelerySettings):
    """Celery's view of its settings without the environment."""

    @property
    def broker_url(self) -> Any:
        """The address of the broker."""
        return self.get("broker_url")

    broker_read_url = broker_write_url = broker_url

    @property
    def result_backend(self) -> Any:
        """The address of the result backend."""
        return self.get("result_backend")


class OwnLoader(AppLoader):
    """Celery's loader without the configuration module that the environment names."""

    def read_configuration(self, env: str = "") -> dict[str, Any]:
        """Return no settings: `workers.apps` sets all of them."""
        return {}


_BLIND: Final[dict[str, Any]] = {
    "loader": f"{__name__}:{OwnLoader.__name__}",
    "fixups": [],  # Django's settings, which `DJANGO_SETTINGS_MODULE` names
}


class OwnCelery(Celery):
    """A Celery application that takes nothing from the environment."""

    def __init__(self, main: str, **options: Any) -> None:
        super().__init__(main, **options, **_BLIND)
        # Celery has no setting for the class. Assigned in the usual way, `__class__` would become a Celery setting.
        object.__setattr__(self.conf, "__class__", OwnSettings)


def forget_environment(environment: MutableMapping[str, str] = os.environ) -> None:
    """Remove Celery's variables, before its command line reads those of `worker`, `beat` and `flower`.

    An option on the command line itself is meant for us: rather than ignore it, the process ends and says what to set.
    """
    refuse_command_line(click.get_current_context(silent=True))
    for name in sorted(name for name in environment if name.startswith(_CELERYS)):
        del environment[name]
        log.info("variable_ignored", variable=name)


def refuse_command_line(context: click.Context | None) -> None:
    """End the process if `celery -b …`, its like, or `celery flower` was typed.

    Raises:
        SystemExit: It was.
    """
    if context and context.invoked_subcommand == "flower":
        sys.exit("number-orders: use `number-orders flower`, which asks for a password and only shows.")
    for option, variable in _READ_BY_COMMAND_LINE.items():
        source = context.get_parameter_source(option) if context else None
        if source is ParameterSource.COMMANDLINE:
            sys.exit(
                f"number-orders: --{option.replace('_', '-')} is not used here. Its addresses are in"
                " NUMBER_ORDERS_BROKER_URL, NUMBER_ORDERS_RESULT_URL and NUMBER_ORDERS_DATABASE_URL."
            )
        if source is ParameterSource.ENVIRONMENT:
            log.info("variable_ignored", variable=variable)
