"""Errors that keep an engine or a process from starting. Each message says what to do."""

from pathlib import Path


class EmbeddedError(RuntimeError):
    """An error raised here on purpose; its message can be shown to a person as it is."""


class CouldNotStart(EmbeddedError):
    """Something did not start, and trying again will not help."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name} could not start: {why}")


class AlreadyRunning(EmbeddedError):
    """Another process runs this engine on this data: use that one, or stop it first."""

    def __init__(self, name: str, directory: Path, pid: int | None) -> None:
        starter = f"process {pid}" if pid else "another process"
        remedy = f"stop it first (kill {pid})" if pid else "stop that process first"
        super().__init__(f"{name} on {directory} is already running in {starter}. Use that one, or {remedy}.")
        self.directory = directory
        self.pid = pid
