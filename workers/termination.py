"""What SIGTERM does to a pool child: nothing, unless its worker sent it.

A supervisor may signal every process of a service at once: honcho signals the process group, systemd with its default
`KillMode` the control group, a shell all of a job. The worker then finishes its work before it ends (warm shutdown),
and its children must live until then: one that ended at once would leave its orders at the carrier in doubt.
"""

import _thread
import os
import signal
import threading
import time
from typing import Final

import structlog

log = structlog.get_logger(__name__)

_UNWIND_S: Final = 1.0
"""How long a child has to end itself when its worker terminates it."""
_KILLED: Final = 128 + signal.SIGTERM


def heed_only_the_worker() -> None:
    """Block SIGTERM in this child and its later threads; end when it comes from the worker, and log it otherwise.

    Does nothing where a process cannot learn who has sent a signal (macOS).
    """
    if not hasattr(signal, "sigwaitinfo"):
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=_watch, args=(os.getppid(),), name="sigterm", daemon=True).start()


def _watch(worker_pid: int) -> None:
    while (sender := signal.sigwaitinfo({signal.SIGTERM}).si_pid) != worker_pid:
        log.info("sigterm_ignored", sender=sender, why="the worker ends its children itself")
    _thread.interrupt_main(signal.SIGTERM)  # as if it had come now: billiard's handler unwinds the main thread
    time.sleep(_UNWIND_S)
    os._exit(_KILLED)  # it waits in a system call
