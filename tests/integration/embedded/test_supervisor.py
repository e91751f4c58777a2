"""Processes kept running: restarted, heard, told of, and all gone in the end."""

import io
import os
import signal
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from number_orders.embedded.errors import CouldNotStart
from number_orders.embedded.supervisor import Happening, ProcessEvent, Supervisor, prefixed

TALKER = ["sh", "-c", "echo one; echo two >&2; exec sleep 60"]
STUBBORN = ["sh", "-c", "trap '' TERM; sleep 60 & echo $!; while :; do sleep 0.05; done"]


class Ear:
    """Keeps what a supervisor says."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.events: list[ProcessEvent] = []

    def line(self, name: str, line: str) -> None:
        self.lines.append((name, line))

    def happened(self, name: str) -> list[Happening]:
        return [event.what for event in self.events if event.name == name]


@pytest.fixture
def ear() -> Ear:
    return Ear()


def supervised(ear: Ear, *, grace_s: float = 5.0) -> Supervisor:
    return Supervisor(output=ear.line, on_event=ear.events.append, grace_s=grace_s)


def test_killed_process_is_restarted_and_said_so(ear: Ear, soon: Callable[..., bool]) -> None:
    """The new one has another pid, and its end and new start are told in order."""
    with supervised(ear) as supervisor:
        first = supervisor.start("worker", TALKER)
        assert supervisor.pid("worker") == first
        os.kill(first, signal.SIGKILL)
        assert soon(lambda: Happening.RESTARTED in ear.happened("worker"))
        second = supervisor.pid("worker")
        assert second
        assert second != first

    assert ear.events == [
        ProcessEvent("worker", first, Happening.STARTED),
        ProcessEvent("worker", first, Happening.EXITED, -signal.SIGKILL),
        ProcessEvent("worker", second, Happening.RESTARTED),
        ProcessEvent("worker", second, Happening.EXITED, -signal.SIGTERM),
    ]


def test_process_that_keeps_failing_is_restarted_ever_more_slowly(ear: Ear, soon: Callable[..., bool]) -> None:
    """It is never given up, and never spins."""
    begun_at: list[float] = []

    def listen(event: ProcessEvent) -> None:
        ear.events.append(event)
        if event.what is not Happening.EXITED:
            begun_at.append(time.monotonic())

    with Supervisor(output=ear.line, on_event=listen) as supervisor:
        supervisor.start("flaky", ["sh", "-c", "exit 7"])
        assert soon(lambda: len(begun_at) > 3)
    pauses_s = [later - earlier for earlier, later in pairwise(begun_at)]
    assert [pause_s >= least_s for pause_s, least_s in zip(pauses_s, (0.2, 0.4, 0.8), strict=False)] == [True] * 3
    assert {event.returncode for event in ear.events if event.what is Happening.EXITED} == {7}


def test_vanished_program_is_tried_again_until_it_is_back(tmp_path: Path, ear: Ear, soon: Callable[..., bool]) -> None:
    """As in the middle of an upgrade."""
    program = tmp_path / "program"
    program.symlink_to("/bin/sleep")
    with supervised(ear) as supervisor:
        first = supervisor.start("worker", [str(program), "60"])
        program.unlink()
        os.kill(first, signal.SIGKILL)
        assert soon(lambda: ProcessEvent("worker", None, Happening.EXITED, 127) in ear.events)
        assert supervisor.pid("worker") is None
        program.symlink_to("/bin/sleep")
        assert soon(lambda: ear.happened("worker")[-1] is Happening.RESTARTED)


def test_lines_are_passed_on_whole_under_their_name(ear: Ear, soon: Callable[..., bool]) -> None:
    """Output and errors alike, also a last line without an end and bytes that are no text."""
    with supervised(ear) as supervisor:
        supervisor.start("talker", TALKER)
        supervisor.start("mumbler", ["sh", "-c", r"printf 'caf\303\251 \377\nlast'; exec sleep 60 >/dev/null 2>&1"])
        assert soon(lambda: len(ear.lines) == 4)
    assert [line for name, line in ear.lines if name == "talker"] == ["one", "two"]
    assert [line for name, line in ear.lines if name == "mumbler"] == ["café \N{REPLACEMENT CHARACTER}", "last"]


def test_last_words_come_before_the_news_of_the_end(soon: Callable[..., bool]) -> None:
    """Why a process died stands above the line that says it did."""
    told: list[object] = []
    supervisor = Supervisor(output=lambda _, line: told.append(line), on_event=told.append)
    with supervisor:
        pid = supervisor.start("worker", ["sh", "-c", "for i in 1 2 3; do echo $i; done; echo because; exit 1"])
        ended = ProcessEvent("worker", pid, Happening.EXITED, 1)
        assert soon(lambda: ended in told)
    assert told.index("because") < told.index(ended)


def test_log_file_per_process(tmp_path: Path, soon: Callable[..., bool]) -> None:
    """Where a directory is given, each process writes to its own file there."""
    with Supervisor(output=tmp_path / "logs") as supervisor:
        supervisor.start("talker", TALKER)
        log = tmp_path / "logs" / "talker.log"
        assert soon(lambda: log.read_text(encoding="utf-8") == "one\ntwo\n")


def test_prefixed_lines() -> None:
    """Aligned, as several processes share one terminal."""
    stream = io.StringIO()
    sink = prefixed(stream, width=6)
    sink("beat", "tick")
    sink("worker", "tock")
    assert stream.getvalue() == "beat   | tick\nworker | tock\n"


def test_stop_ends_everybody_and_kills_the_stubborn(
    ear: Ear, soon: Callable[..., bool], all_gone: Callable[..., bool]
) -> None:
    """Nobody outlives the grace, nor do the children of who was killed."""
    supervisor = supervised(ear, grace_s=0.5)
    pids = [supervisor.start(name, TALKER) for name in ("first", "second")]
    stubborn = supervisor.start("stubborn", STUBBORN)
    assert soon(lambda: any(name == "stubborn" for name, _ in ear.lines))
    grandchild = next(int(line) for name, line in ear.lines if name == "stubborn")

    supervisor.stop()
    supervisor.stop()

    assert all_gone(*pids, stubborn, grandchild)
    codes = {event.name: event.returncode for event in ear.events if event.what is Happening.EXITED}
    assert codes == {"first": -signal.SIGTERM, "second": -signal.SIGTERM, "stubborn": -signal.SIGKILL}


def test_stop_waits_for_no_restart(ear: Ear, soon: Callable[..., bool]) -> None:
    """A process in its backoff is not started again by a stop."""
    with supervised(ear) as supervisor:
        supervisor.start("flaky", ["false"])
        assert soon(lambda: Happening.EXITED in ear.happened("flaky"))
    count = len(ear.events)
    assert not soon(lambda: len(ear.events) != count, within_s=0.5)


def test_broken_listener_and_sink_do_not_end_the_watch(soon: Callable[..., bool]) -> None:
    """Their faults are logged, and the process is restarted all the same."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    with Supervisor(output=broken, on_event=broken) as supervisor:
        first = supervisor.start("worker", TALKER)
        os.kill(first, signal.SIGKILL)
        assert soon(lambda: supervisor.pid("worker") not in {first, None})


def test_killed_supervisor_leaves_nothing_running(starter: Callable[..., Any], all_gone: Callable[..., bool]) -> None:
    """Neither the processes nor the children of those that will not listen."""
    killed = starter(
        "from number_orders.embedded.supervisor import *\nlines = []\n"
        "supervisor = Supervisor(output=lambda _, line: lines.append(line), grace_s=0.5)\n"
        f"pids = [supervisor.start('a', ['sleep', '60']), supervisor.start('b', {STUBBORN!r})]\n"
        "while not lines: time.sleep(0.01)\n"
        "print(json.dumps([*pids, int(lines[0])]), flush=True)"
    )
    pids = killed.said()
    killed.kill()
    assert all_gone(*pids)


def test_environment_and_place_are_what_was_given(tmp_path: Path, ear: Ear, soon: Callable[..., bool]) -> None:
    """And nothing of ours is in it."""
    code = "import os, time; print(os.getcwd(), os.environ['GIVEN'], 'PATH' in os.environ, flush=True); time.sleep(60)"
    with supervised(ear) as supervisor:
        supervisor.start("child", [sys.executable, "-c", code], env={"GIVEN": "yes"}, cwd=tmp_path)
        assert soon(lambda: ear.lines == [("child", f"{tmp_path} yes False")])


def test_nothing_to_run_is_said_and_the_name_is_free_again(ear: Ear) -> None:
    """A mistake in the first start is the caller's to know of."""
    with supervised(ear) as supervisor:
        with pytest.raises(CouldNotStart, match="no-such-program"):
            supervisor.start("worker", ["no-such-program"])
        supervisor.start("worker", TALKER)
        with pytest.raises(ValueError, match="worker"):
            supervisor.start("worker", TALKER)
