"""Measure processes: the CPU of whole process trees, and their peak memory.

The CPU of a process that has ended is still counted, in the parent that waited for it.
"""

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import psutil

Groups = Mapping[str, Sequence[int]]
"""Group names, and the pids at the roots of their process trees."""

_SAMPLE_EVERY_S: Final = 1.0
_MB: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Peak:
    """The memory of a group when it was highest."""

    pss_mb: float = 0.0
    """Proportional set size: a page shared by n processes counts 1/n in each. Forked children share most pages."""
    rss_mb: float = 0.0
    processes: int = 0


class ResourceMeter:
    """Reads CPU on demand and samples memory in a thread."""

    def __init__(self, groups: Groups) -> None:
        self._groups = groups
        self._peaks = {name: Peak() for name in groups}
        self._stopped = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._sampler.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._sampler.join()

    def cpu_s(self) -> dict[str, float]:
        """Return the CPU time of each group since its processes started, user and system."""
        return {name: sum(map(_cpu_s, _trees(roots))) for name, roots in self._groups.items()}

    @property
    def peaks(self) -> Mapping[str, Peak]:
        """The peak memory of each group."""
        return self._peaks

    def memory_mb(self) -> dict[str, list[tuple[float, float]]]:
        """Return PSS and RSS of each process of each group, the largest first."""
        return {name: sorted(map(_memory_mb, _trees(roots)), reverse=True) for name, roots in self._groups.items()}

    def _sample(self) -> None:
        while not self._stopped.wait(_SAMPLE_EVERY_S):
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
    except psutil.NoSuchProcess:  # it has ended and is counted in its parent
        return 0.0
    return times.user + times.system + times.children_user + times.children_system


def _memory_mb(process: psutil.Process) -> tuple[float, float]:
    try:
        memory = process.memory_full_info()
    except psutil.Error:  # it has ended
        return 0.0, 0.0
    return memory.pss / _MB, memory.rss / _MB
