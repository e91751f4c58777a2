"""Logging: one event per line, as JSON or as text, with the task bound to every line."""

import json
import logging
import os
import re
import sys
import time
from contextlib import suppress
from typing import Any, Final

import structlog
from celery.apps import beat as celery_beat
from celery.apps import worker as celery_worker
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


_SECRETS_BEGIN: Final = ("no_", "whsec_")
"""How tokens and signing keys begin (`number_orders.ledger.producers`)."""
_SECRETS: Final = re.compile(rf"\b({'|'.join(_SECRETS_BEGIN)})[A-Za-z0-9_+/=-]{{20,}}")


class _StderrLogger:
    """Writes our own lines straight to standard error. Through `logging` each would cost twice as much."""

    def __init__(self, name: str | None = None) -> None:
        self.name = name

    def info(self, line: str) -> None:
        """Write one line in a single call. A line that nobody takes is dropped: no order may wait for its log."""
        with suppress(OSError, ValueError):  # a full disk, a pipe whose reader has gone, a closed file
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
    logging.captureWarnings(capture=True)
    if as_json:
        celery_worker.safe_say = _say_as_json  # type: ignore[attr-defined]  # celery-types leaves it out
        _silence_banner(celery_beat.Beat)


def _without_tokens(logger: object, name: str, line: Any) -> Any:
    """Return a rendered line without the tokens and signing keys in it, wherever they come from."""
    if not isinstance(line, str) or not any(beginning in line for beginning in _SECRETS_BEGIN):
        return line
    return _SECRETS.sub(r"\1…", line)


def _silence_banner(beat: Any) -> None:
    """Have beat print no banner, whatever its command line says: it is no JSON. The worker's has a signal for it."""
    beat.quiet = property(lambda _: True, lambda _, __: None)


def _say_as_json(message: str, *_: Any) -> None:
    """Write what Celery prints in a signal handler, where logging might wait for a lock, as a line like the others."""
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    line = {"event": message.strip(), "level": "warning", "logger": "celery.worker", "timestamp": at}
    os.write(2, f"{json.dumps(line)}\n".encode())


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
