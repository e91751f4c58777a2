"""Files that only their owner may read."""

import os
import stat
from pathlib import Path
from typing import IO

_OF_OTHERS = 0o077


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, completely or not at all."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor has no path
        file.write(text)
    draft.replace(path)


def open_private(path: Path, *, append: bool = True) -> IO[bytes]:
    """Open a file for writing that only its owner may read, such as a log."""
    how = os.O_APPEND if append else os.O_TRUNC
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | how, 0o600), "wb")  # noqa: PTH123 - the caller closes it


def close_to_others(directory: Path) -> None:
    """Take from other users every right to our files below a directory, such as those that an earlier release left.

    Left alone are links, and directories and files of other users: as root, PostgreSQL's data belongs to one.
    """
    for folder, names, files in os.walk(directory):
        names[:] = [name for name in names if _is_ours(Path(folder, name))]
        for file in (Path(folder, name) for name in files):
            found = file.lstat()
            if stat.S_ISREG(found.st_mode) and found.st_mode & _OF_OTHERS and found.st_uid == os.geteuid():
                file.chmod(stat.S_IMODE(found.st_mode) & ~_OF_OTHERS)


def _is_ours(directory: Path) -> bool:
    return directory.lstat().st_uid == os.geteuid()
