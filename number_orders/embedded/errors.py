"""What can keep an engine or a process from starting, each with the way out in its message."""

from pathlib import Path


class EmbeddedError(RuntimeError):
    """Raised on purpose by this room; its text is fit to be shown to a person as it stands."""


class CouldNotStart(EmbeddedError):
    """Something did not start, and trying the same again will not help."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name} could not start: {why}")


class AlreadyRunning(EmbeddedError):
    """Somebody else runs this engine on this data: use theirs, or stop them first."""

    def __init__(self, name: str, directory: Path, pid: int | None) -> None:
        starter = f"process {pid}" if pid else "another process"
        remedy = f"stop it first (kill {pid})" if pid else "stop that process first"
        super().__init__(f"{name} on {directory} is already run by {starter}: use that one, or {remedy}.")
        self.directory = directory
        self.pid = pid
