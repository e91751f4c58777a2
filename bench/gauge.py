"""What processes cost: CPU of whole trees, and their memory at its highest.

Knows pids, and that a process which has ended goes on counting in the parent that waited for it.
"""

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import psutil

Groups = Mapping[str, Sequence[int]]
"""Names of groups, and the pids at the roots of their trees."""

_LOOK_EVERY_S: Final = 1.0
_MB: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Peak:
    """A group at the moment when it held most memory."""

    pss_mb: float = 0.0
    """A page that n processes share counts 1/n in each: forked children share most of theirs."""
    rss_mb: float = 0.0
    processes: int = 0


class Gauge:
    """Reads CPU on demand and watches memory meanwhile."""

    def __init__(self, groups: Groups) -> None:
        self._groups = groups
        self._peaks = {name: Peak() for name in groups}
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watcher.join()

    def cpu_s(self) -> dict[str, float]:
        """Return what each group has used since it was started, user and system."""
        return {name: sum(map(_cpu_s, _trees(roots))) for name, roots in self._groups.items()}

    @property
    def peaks(self) -> Mapping[str, Peak]:
        """What each group held at its highest."""
        return self._peaks

    def memory_mb(self) -> dict[str, list[tuple[float, float]]]:
        """Return what each process of each group holds now, PSS and RSS, the largest first."""
        return {name: sorted(map(_memory_mb, _trees(roots)), reverse=True) for name, roots in self._groups.items()}

    def _watch(self) -> None:
        while not self._over.wait(_LOOK_EVERY_S):
            for name, held in self.memory_mb().items():
                pss = sum(one for one, _ in held)
                if pss > self._peaks[name].pss_mb:
                    self._peaks[name] = Peak(pss, sum(one for _, one in held), len(held))


def _trees(roots: Sequence[int]) -> Iterator[psutil.Process]:
    for root in roots:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(root)
            yield process
            yield from process.children(recursive=True)


def _cpu_s(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:  # it has ended, and counts in its parent
        return 0.0
    return times.user + times.system + times.children_user + times.children_system


def _memory_mb(process: psutil.Process) -> tuple[float, float]:
    try:
        memory = process.memory_full_info()
    except psutil.Error:  # it has ended
        return 0.0, 0.0
    return memory.pss / _MB, memory.rss / _MB
