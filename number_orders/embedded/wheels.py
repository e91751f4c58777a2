"""Programs inside wheels, found by the installation record that every installer writes.

Importing the wheel would run its code; we only need its files.
"""

import contextlib
import os
import shutil
import stat
import sys
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path, PurePath
from typing import Final

from number_orders.embedded.errors import CouldNotStart

COPY_DIRECTORY: Final = Path("/var/cache/number-orders")  # for copies that other users may run
RUN_BY_OTHERS: Final = stat.S_IROTH | stat.S_IXOTH
NOT_NEEDED: Final = frozenset({".a", ".h", ".py", ".pyc", ".typed"})


@dataclass(frozen=True, slots=True)
class Wheel:
    """One installed distribution and the programs in it."""

    name: str
    path: tuple[str, ...] | None = None  # where to look for it; None: sys.path
    copy_directory: Path = COPY_DIRECTORY

    def program(self, name: str) -> Path:
        """Return the program's installed path."""
        return Path(str(self._distribution().locate_file(self._recorded(name))))

    def program_for_others(self, name: str) -> Path:
        """Return a path of the program that every user of the machine can run.

        This is the installed path if no directory above is closed to other users. A virtual environment below a
        private directory, such as root's home, stays closed; the wheel's files are then copied once per version to
        `copy_directory`.

        Raises:
            CouldNotStart: `copy_directory` cannot be written.
        """
        installed = self.program(name)
        if is_open_to_others(installed):
            return installed
        distribution = self._distribution()
        copy = self.copy_directory / f"{self.name}-{distribution.version}"
        try:
            if not copy.exists():
                self._copy_to(copy)
        except OSError as fault:
            raise CouldNotStart(
                name,
                f"{installed} is below a directory closed to other users, and no copy could be made in "
                f"{self.copy_directory} ({fault.strerror}). "
                "Run as an ordinary user, or install where every user may enter.",
            ) from fault
        return copy / self._recorded(name)

    def _copy_to(self, copy: Path) -> None:
        """Copy the wheel, completely or not at all."""
        self.copy_directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=self.copy_directory))
        try:
            for file in filter(_is_needed, self._files()):
                target = draft / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(str(self._distribution().locate_file(file)), target)
            _open_to_others(draft)
            with contextlib.suppress(FileExistsError):  # another process made the same copy
                draft.rename(copy)
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def _recorded(self, name: str) -> PurePath:
        for file in self._files():
            if file.name == name:
                return file
        raise CouldNotStart(name, f"the wheel {self.name} does not contain it for this platform.")

    def _files(self) -> list[metadata.PackagePath]:
        return self._distribution().files or []

    def _distribution(self) -> metadata.Distribution:
        places = list(sys.path if self.path is None else self.path)
        if found := next(iter(metadata.distributions(name=self.name, path=places)), None):
            return found
        raise CouldNotStart(
            self.name,
            "it is not installed. Install number-orders[embedded], or set the URLs of your own servers "
            "in NUMBER_ORDERS_DATABASE_URL and NUMBER_ORDERS_BROKER_URL.",
        )


def is_open_to_others(program: Path) -> bool:
    """Return whether any user may run the program, by the modes of the file and of all directories above."""
    program = program.resolve()
    entered = all(directory.stat().st_mode & stat.S_IXOTH for directory in program.parents)
    return entered and RUN_BY_OTHERS & ~program.stat().st_mode == 0


def _is_needed(file: PurePath) -> bool:
    return ".." not in file.parts and file.suffix not in NOT_NEEDED


def _open_to_others(tree: Path) -> None:
    for directory, _, names in os.walk(tree):
        Path(directory).chmod(0o755)
        for name in names:
            file = Path(directory, name)
            file.chmod(0o755 if file.stat().st_mode & 0o100 else 0o644)
