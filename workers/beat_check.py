"""Exit 0 if beat answers over the broker: the health check of its container, `python -m workers.beat_check`."""

import socket
import sys
from typing import Final

from config.settings import Settings
from workers.health import HEALTH_COMMAND
from workers.senders import make_sender

_WITHIN_S: Final = 5.0


def beat_answers(settings: Settings, *, host: str, within_s: float = _WITHIN_S) -> bool:
    """Ask the beat of this host."""
    node = f"celerybeat@{host}"
    app = make_sender(settings)
    try:
        answers = app.control.broadcast(HEALTH_COMMAND, destination=[node], reply=True, timeout=within_s, limit=1)
    finally:
        app.close()
    return bool(answers)


if __name__ == "__main__":
    sys.exit(not beat_answers(Settings(), host=socket.gethostname()))
