"""Logging: one event per line, as JSON or as text, with the task bound to every line."""

import logging
import re
import sys
from typing import Any, Final

import structlog
from celery.exceptions import Reject
from structlog.typing import Processor

_QUIET: Final = (
    *("httpx", "httpcore", "uvicorn.access", "kombu", "amqp", "aiohttp", "psycopg.pool"),
    # They log a line for every tick and every task, with the phone numbers in its result.
    *("celery.worker.strategy", "celery.app.trace", "celery.beat"),
)

_SHARED: Final[list[Processor]] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]


_SECRETS: Final = re.compile(r"\b(no_|whsec_)[A-Za-z0-9_+/=-]{20,}")
"""Tokens and signing keys, known by their beginnings (`number_orders.ledger.producers`)."""


class _StderrLogger:
    """Writes our own lines straight to standard error. Through `logging` each would cost twice as much."""

    def __init__(self, name: str | None = None) -> None:
        self.name = name

    def info(self, line: str) -> None:
        """Write one line in a single call."""
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    debug = warning = error = critical = exception = info


def set_up(level: str, *, as_json: bool) -> None:
    """Send all logs to standard error: our own lines directly, the libraries' through `logging`."""
    renderer: Processor = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[*_SHARED, renderer, _without_tokens],
        logger_factory=_StderrLogger,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer, _without_tokens],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("celery.app.trace").addFilter(_drop_reject_traceback)


def _without_tokens(logger: object, name: str, line: Any) -> Any:
    """Return a rendered line without the tokens and signing keys in it, wherever they come from."""
    return _SECRETS.sub(r"\1…", line) if isinstance(line, str) else line


def _drop_reject_traceback(record: logging.LogRecord) -> bool:
    """Let every record pass, but drop the traceback of `Reject`: the task gave its message back on purpose."""
    if record.exc_info and isinstance(record.exc_info[1], Reject):
        record.exc_info = None
    return True


def bind_task(task_id: str, task_name: str) -> None:
    """Bind a task that starts to every line logged until the next task starts."""
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(task_id=task_id, task=task_name)


def on_setup_logging(**_: Any) -> None:
    """Do nothing. A receiver of this signal keeps Celery from configuring logging; `set_up` has done it."""
