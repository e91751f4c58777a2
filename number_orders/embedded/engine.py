"""What every embedded engine can do: start on its data, answer on loopback, stop, and be killed for a test.

Knows ports, locks, logs and readiness. `postgres.py` and `valkey.py` know what the server is, how its data is made and
how to check that it answers.
"""

import os
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Final, Self

from number_orders.embedded.engine_directory import EngineDirectory
from number_orders.embedded.errors import CouldNotStart, EmbeddedError
from number_orders.embedded.files import open_private
from number_orders.embedded.guarded import Command, GuardedProcess
from number_orders.embedded.lock import DataLock, Holders, data_lock
from number_orders.embedded.ports import is_free

READY_TIMEOUT_S: Final = 60.0  # includes recovery after a crash
POLL_INTERVAL_S: Final = 0.01
STOP_MARGIN_S: Final = 5.0


class Engine(ABC):
    """A server on its own data directory. Not to be shared between threads without a lock."""

    name: ClassVar[str]

    def __init__(self, data_dir: Path) -> None:
        self._directory = EngineDirectory(self.name, data_dir)
        self._process: GuardedProcess | None = None
        self._served_by: Command | None = None
        self._address: str | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The URL of the running server, with its password."""
        if self._address is None:
            raise EmbeddedError(f"{self.name} on {self._directory.path} is not running. Start it first.")
        return self._address

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        if self._process is None:
            raise EmbeddedError(f"{self.name} on {self._directory.path} is not running. Start it first.")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the server that we started still runs."""
        return self._process is not None and self._process.wait(0) is None

    def start(self) -> str:
        """Start the server, unless it runs, and return its URL once it answers.

        The data is made on first use. If a killed starter left a server behind, wait for its end or stop it.

        Raises:
            AlreadyRunning: another living process runs it on this data.
            CouldNotStart: with the reason and the last lines of its log.
        """
        if not self.running:
            self._directory.make()
            with data_lock(self.name, self._directory.lock) as lock:
                self._prepare(lock)
                self._serve(lock)
        return self.url

    def stop(self) -> None:
        """Shut the server down in order; do nothing if it does not run."""
        if process := self._detach():
            process.ask_to_stop()
            self._await_end(process)

    def kill(self) -> None:
        """Kill the server, as a crash would."""
        if process := self._detach():
            process.kill()
            self._await_end(process)

    @abstractmethod
    def _prepare(self, lock: DataLock) -> None:
        """Make the data ready for the server."""

    @abstractmethod
    def _command_on(self, port: int) -> Command:
        """Return the command that runs the server on this loopback port."""

    @abstractmethod
    def _answers(self, port: int) -> bool:
        """Return whether the server on this port is ours and ready for clients."""

    @abstractmethod
    def _url_on(self, port: int) -> str:
        """Return the URL for clients."""

    def _serve(self, lock: DataLock) -> None:
        """Start on the first port that works; a port that was free may be taken before the server binds it."""
        for port in self._directory.ports():
            try:
                self._serve_on(port, lock)
            except CouldNotStart:
                if is_free(port):  # the port was not the reason
                    raise
            else:
                self._directory.remember_port(port)
                return
        raise CouldNotStart(self.name, "no free port was found on loopback. Try again.")

    def _serve_on(self, port: int, lock: DataLock) -> None:
        command, log_size = self._command_on(port), self._directory.log_size()
        process = self._spawn(command, lock)
        try:
            lock.record(Holders(os.getpid(), process.guard_pid, process.pid))
            self._await_answer(process, port, log_size)
        except BaseException:  # also on Ctrl-C, no half-started server stays
            process.kill()
            process.wait(STOP_MARGIN_S)
            raise
        self._process, self._served_by, self._address = process, command, self._url_on(port)

    def _spawn(self, command: Command, lock: DataLock) -> GuardedProcess:
        with open_private(self._directory.log) as log:
            return GuardedProcess(command, output=log, inherit=[lock.fd])

    def _await_answer(self, process: GuardedProcess, port: int, log_size: int) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not self._answers(port):
            if process.wait(POLL_INTERVAL_S) is not None:
                raise self._did_not_start("it exited", log_size)
            if time.monotonic() > deadline:
                raise self._did_not_start(f"it did not answer within {READY_TIMEOUT_S:.0f} s", log_size)

    def _did_not_start(self, why: str, log_size: int) -> CouldNotStart:
        return CouldNotStart(self.name, f"{why}. Its log ends:\n{self._directory.log_since(log_size)}")

    def _detach(self) -> GuardedProcess | None:
        process, self._process, self._address = self._process, None, None
        return process

    def _await_end(self, process: GuardedProcess) -> None:
        stop_timeout_s = (self._served_by.stop_timeout_s if self._served_by else 0.0) + STOP_MARGIN_S
        if process.wait(stop_timeout_s) is None:
            raise EmbeddedError(f"{self.name} (process {process.pid}) still runs after SIGKILL.")
