"""Files that only their owner may read, whatever wrote them."""

import os
import stat
from pathlib import Path

from number_orders.embedded.files import close_to_others, open_private, write_private


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_what_is_written_is_private(tmp_path: Path) -> None:
    write_private(tmp_path / "note", "secret")
    for _ in range(2):
        with open_private(tmp_path / "log") as log:
            log.write(b"line\n")
    with open_private(tmp_path / "fresh", append=False) as fresh:
        fresh.write(b"x")

    assert [mode(tmp_path / name) for name in ("note", "log", "fresh")] == [0o600] * 3
    assert (tmp_path / "log").read_bytes() == b"line\nline\n"


def test_files_of_an_earlier_release_are_closed_to_others(tmp_path: Path) -> None:
    """Executable bits of the owner stay; a link is not followed out of the directory."""
    outside = tmp_path / "outside"
    outside.write_text("public")
    outside.chmod(0o644)
    var_dir = tmp_path / "var"
    (var_dir / "logs").mkdir(parents=True)
    for name, given in (("sandbox.jsonl", 0o644), ("logs/worker1.log", 0o664), ("run.sh", 0o755)):
        (var_dir / name).write_text("x")
        (var_dir / name).chmod(given)
    (var_dir / "link").symlink_to(outside)
    os.mkfifo(var_dir / "pipe", 0o644)

    close_to_others(var_dir)

    assert mode(var_dir / "sandbox.jsonl") == mode(var_dir / "logs" / "worker1.log") == 0o600
    assert mode(var_dir / "run.sh") == 0o700
    assert mode(outside) == 0o644
