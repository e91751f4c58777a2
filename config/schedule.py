"""What beat sends, and how often. A tick that is sent twice or not at all does no harm."""

from typing import Any, Final

from config.queues import SWEEP, SWEEP_EVERY_S

SCHEDULE: Final[dict[str, dict[str, Any]]] = {
    "sweep": {
        "task": "orders.sweep",
        "schedule": SWEEP_EVERY_S,
        # A tick that no worker took in time is useless: the next one has been sent.
        "options": {"queue": SWEEP, "expires": 2 * SWEEP_EVERY_S, "ignore_result": True},
    },
    "mind": {
        "task": "orders.mind",
        "schedule": 60.0,
        "options": {"queue": SWEEP, "expires": 60, "ignore_result": True},
    },
    "forget": {
        "task": "orders.forget",
        "schedule": 3600.0,
        "options": {"queue": SWEEP, "expires": 600, "ignore_result": True},
    },
}
