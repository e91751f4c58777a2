"""The children of a worker share what it loaded before it forked them."""

import psutil

from tests.processes import Processes, eventually

PRIVATE_MAX = 0.35
"""Of a child's memory at rest. It is 0.16; half of it, if garbage collections write to what is shared."""


def private_part(child: psutil.Process) -> float:
    """Return which part of its memory a process shares with no other."""
    memory = child.memory_full_info()
    return float(memory.uss / memory.rss)


def test_children_share_memory(processes: Processes) -> None:
    worker = processes.worker(children=2)
    worker.await_words("ready.")
    parent = psutil.Process(worker.popen.pid)
    for _ in eventually():  # until they have opened their services
        if len(parent.children()) == 2 and all(child.net_connections() for child in parent.children()):
            break
    parts = [private_part(child) for child in parent.children()]
    assert max(parts) < PRIVATE_MAX, parts
