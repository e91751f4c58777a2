"""Logs: one event a line, JSON for machines or aligned for eyes, with the task and its order bound to every line."""

import logging
import sys
from typing import Any, Final

import structlog
from celery.exceptions import Reject
from structlog.typing import Processor

_QUIET: Final = (
    *("httpx", "httpcore", "kombu", "amqp", "aiohttp", "psycopg.pool"),
    # A line for every tick and task, with the numbers that a result holds.
    *("celery.worker.strategy", "celery.app.trace", "celery.beat"),
)

_SHARED: Final[list[Processor]] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]


class _Line:
    """Writes a line of ours to standard error as it is: logging's own way there costs twice as much."""

    def __init__(self, name: str | None = None) -> None:
        self.name = name

    def info(self, line: str) -> None:
        """Write one line at once, whole."""
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    debug = warning = error = critical = exception = info


def set_up(level: str, *, as_json: bool) -> None:
    """Send everything that anybody logs to standard error: our lines straight, the libraries' through logging."""
    last: Processor = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[*_SHARED, last],
        logger_factory=_Line,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("celery.app.trace").addFilter(_without_foreseen_trace)


def _without_foreseen_trace(record: logging.LogRecord) -> bool:
    """Let every record pass; that a message was given back on purpose needs no trace."""
    if record.exc_info and isinstance(record.exc_info[1], Reject):
        record.exc_info = None
    return True


def bind_task(task_id: str, task_name: str) -> None:
    """Bind the task that starts now to every line that is logged until the next."""
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(task_id=task_id, task=task_name)


def on_setup_logging(**_: Any) -> None:
    """Keep Celery from setting up logging of its own; `set_up` has done it."""
