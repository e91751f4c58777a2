"""Runs a worker or beat: `python -m workers worker`, `python -m workers beat`.

Celery's own command line runs them too, with all its options (`celery -A workers.celery_app worker`). But it loads
every command that an installed distribution adds to it, Flower with Tornado among them: 12 MB in a worker, 19 in beat.
"""

import argparse
import sys
from collections.abc import Sequence

from celery.utils.nodenames import host_format
from pydantic import ValidationError
from pydantic_settings import SettingsError

from config.faults import setting_faults
from config.queues import ALL, OPERATORS


def run_worker(name: str, *, children: int | None = None, queues: Sequence[str] | None = None) -> int:
    """Run a worker until it is stopped, and return its exit code. It needs no other worker, so it asks for none."""
    from workers.celery_app import app  # noqa: PLC0415  each command loads its own application

    worker = app.Worker(
        hostname=host_format(name if "@" in name else f"{name}@%h"),
        concurrency=children,
        queues=queues,
        quiet=True,
        without_gossip=True,
        without_mingle=True,
    )
    worker.start()
    return worker.exitcode or 0


def run_beat() -> int:
    """Run beat until it is stopped."""
    from workers.beat_app import app  # noqa: PLC0415  each command loads its own application

    app.Beat(quiet=True).run()
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line names, and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m workers", description="Run a worker or beat.")
    commands = parser.add_subparsers(dest="command", required=True)
    worker = commands.add_parser("worker", help="place orders with carriers and follow them")
    worker.add_argument("-n", "--name", default="celery", help="its node is NAME@HOST (default: celery)")
    worker.add_argument("-c", "--children", type=_count, help="pool children (default: NUMBER_ORDERS_CHILDREN)")
    worker.add_argument(
        "-Q", "--queues", type=_queues, help="take only these queues, separated by commas (default: all)"
    )
    commands.add_parser("beat", help="send the ticks of the schedule; one beat is enough")
    given = parser.parse_args(arguments)
    try:
        if given.command == "beat":
            return run_beat()
        return run_worker(given.name, children=given.children, queues=given.queues)
    except (ValidationError, SettingsError) as wrong:
        parser.exit(1, f"number-orders: the settings cannot be used: {'; '.join(setting_faults(wrong))}\n")


def _count(word: str) -> int:
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"{word!r} is no number of 1 or more")
    return int(word)


def _queues(word: str) -> Sequence[str]:
    known = (*ALL, OPERATORS)
    if unknown := [name for name in word.split(",") if name not in known]:
        raise argparse.ArgumentTypeError(
            f"there is no queue {', '.join(map(repr, unknown))}; there are {', '.join(known)}"
        )
    return word.split(",")


if __name__ == "__main__":
    sys.exit(main())
