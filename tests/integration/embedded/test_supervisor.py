"""Supervised processes: restarts, output, events, and their end."""

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
from number_orders.embedded.supervisor import ProcessEvent, ProcessEventKind, Supervisor, prefixed

TALKER = ["sh", "-c", "echo one; echo two >&2; exec sleep 60"]
STUBBORN = ["sh", "-c", "trap '' TERM; sleep 60 & echo $!; while :; do sleep 0.05; done"]


class Recorder:
    """Records lines and events of a supervisor."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.events: list[ProcessEvent] = []

    def line(self, name: str, line: str) -> None:
        self.lines.append((name, line))

    def kinds(self, name: str) -> list[ProcessEventKind]:
        return [event.kind for event in self.events if event.name == name]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def supervised(recorder: Recorder, *, grace_s: float = 5.0) -> Supervisor:
    return Supervisor(output=recorder.line, on_event=recorder.events.append, grace_s=grace_s)


def test_killed_process_is_restarted_and_reported(recorder: Recorder, eventually_true: Callable[..., bool]) -> None:
    """The new process has another pid, and the events come in order."""
    with supervised(recorder) as supervisor:
        first = supervisor.start("worker", TALKER)
        assert supervisor.pid("worker") == first
        os.kill(first, signal.SIGKILL)
        assert eventually_true(lambda: ProcessEventKind.RESTARTED in recorder.kinds("worker"))
        second = supervisor.pid("worker")
        assert second
        assert second != first

    assert recorder.events == [
        ProcessEvent("worker", first, ProcessEventKind.STARTED),
        ProcessEvent("worker", first, ProcessEventKind.EXITED, -signal.SIGKILL),
        ProcessEvent("worker", second, ProcessEventKind.RESTARTED),
        ProcessEvent("worker", second, ProcessEventKind.EXITED, -signal.SIGTERM),
    ]


def test_failing_process_is_restarted_with_backoff(recorder: Recorder, eventually_true: Callable[..., bool]) -> None:
    """It is restarted without limit, and never in a busy loop."""
    begun_at: list[float] = []

    def listen(event: ProcessEvent) -> None:
        recorder.events.append(event)
        if event.kind is not ProcessEventKind.EXITED:
            begun_at.append(time.monotonic())

    with Supervisor(output=recorder.line, on_event=listen) as supervisor:
        supervisor.start("flaky", ["sh", "-c", "exit 7"])
        assert eventually_true(lambda: len(begun_at) > 3)
        exits = {event.returncode for event in recorder.events if event.kind is ProcessEventKind.EXITED}
    pauses_s = [later - earlier for earlier, later in pairwise(begun_at)]
    assert [pause_s >= least_s for pause_s, least_s in zip(pauses_s, (0.2, 0.4, 0.8), strict=False)] == [True] * 3
    assert exits == {7}  # before the last one was stopped with the supervisor


def test_missing_program_is_retried_until_it_exists(
    tmp_path: Path, recorder: Recorder, eventually_true: Callable[..., bool]
) -> None:
    """As during an upgrade."""
    program = tmp_path / "program"
    program.symlink_to("/bin/sleep")
    with supervised(recorder) as supervisor:
        first = supervisor.start("worker", [str(program), "60"])
        program.unlink()
        os.kill(first, signal.SIGKILL)
        assert eventually_true(lambda: ProcessEvent("worker", None, ProcessEventKind.EXITED, 127) in recorder.events)
        assert supervisor.pid("worker") is None
        program.symlink_to("/bin/sleep")
        assert eventually_true(lambda: recorder.kinds("worker")[-1] is ProcessEventKind.RESTARTED)


def test_lines_are_forwarded_whole_with_their_name(recorder: Recorder, eventually_true: Callable[..., bool]) -> None:
    """Output and errors, including a last line without a newline and bytes that are not text."""
    with supervised(recorder) as supervisor:
        supervisor.start("talker", TALKER)
        supervisor.start("mumbler", ["sh", "-c", r"printf 'caf\303\251 \377\nlast'; exec sleep 60 >/dev/null 2>&1"])
        assert eventually_true(lambda: len(recorder.lines) == 4)
    assert [line for name, line in recorder.lines if name == "talker"] == ["one", "two"]
    assert [line for name, line in recorder.lines if name == "mumbler"] == ["café \N{REPLACEMENT CHARACTER}", "last"]


def test_last_output_comes_before_the_exit_event(eventually_true: Callable[..., bool]) -> None:
    """The reason for an exit is printed above the line that reports the exit."""
    recorded: list[object] = []
    supervisor = Supervisor(output=lambda _, line: recorded.append(line), on_event=recorded.append)
    with supervisor:
        pid = supervisor.start("worker", ["sh", "-c", "for i in 1 2 3; do echo $i; done; echo because; exit 1"])
        ended = ProcessEvent("worker", pid, ProcessEventKind.EXITED, 1)
        assert eventually_true(lambda: ended in recorded)
    assert recorded.index("because") < recorded.index(ended)


def test_log_file_per_process(tmp_path: Path, eventually_true: Callable[..., bool]) -> None:
    """With a directory as output, each process writes to its own file there."""
    with Supervisor(output=tmp_path / "logs") as supervisor:
        supervisor.start("talker", TALKER)
        log = tmp_path / "logs" / "talker.log"
        assert eventually_true(lambda: log.read_text(encoding="utf-8") == "one\ntwo\n")


def test_prefixed_lines() -> None:
    """Names are aligned, because several processes share a terminal."""
    stream = io.StringIO()
    sink = prefixed(stream, width=6)
    sink("beat", "tick")
    sink("worker", "tock")
    assert stream.getvalue() == "beat   | tick\nworker | tock\n"


def test_stop_ends_all_in_order(recorder: Recorder, all_gone: Callable[..., bool]) -> None:
    """Each process gets SIGTERM, and time to end."""
    supervisor = supervised(recorder, grace_s=60)
    pids = [supervisor.start(name, TALKER) for name in ("first", "second")]

    supervisor.stop()
    supervisor.stop()

    assert all_gone(*pids)
    codes = {event.name: event.returncode for event in recorder.events if event.kind is ProcessEventKind.EXITED}
    assert codes == {"first": -signal.SIGTERM, "second": -signal.SIGTERM}


def test_stop_kills_those_that_ignore_it(
    recorder: Recorder, eventually_true: Callable[..., bool], all_gone: Callable[..., bool]
) -> None:
    """No process outlives the grace period, and neither do the children of a killed one."""
    supervisor = supervised(recorder, grace_s=0.5)
    other = supervisor.start("other", TALKER)
    stubborn = supervisor.start("stubborn", STUBBORN)
    assert eventually_true(lambda: any(name == "stubborn" for name, _ in recorder.lines))
    grandchild = next(int(line) for name, line in recorder.lines if name == "stubborn")

    supervisor.stop()

    assert all_gone(other, stubborn, grandchild)
    codes = {event.name: event.returncode for event in recorder.events if event.kind is ProcessEventKind.EXITED}
    assert codes["stubborn"] == -signal.SIGKILL


def test_stop_during_backoff_starts_nothing(recorder: Recorder, eventually_true: Callable[..., bool]) -> None:
    """A process in its backoff is not started again."""
    with supervised(recorder) as supervisor:
        supervisor.start("flaky", ["false"])
        assert eventually_true(lambda: ProcessEventKind.EXITED in recorder.kinds("flaky"))
    count = len(recorder.events)
    assert not eventually_true(lambda: len(recorder.events) != count, within_s=0.5)


def test_failing_listener_and_sink_do_not_end_supervision(eventually_true: Callable[..., bool]) -> None:
    """Their errors are logged, and the process is restarted all the same."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    with Supervisor(output=broken, on_event=broken) as supervisor:
        first = supervisor.start("worker", TALKER)
        os.kill(first, signal.SIGKILL)
        assert eventually_true(lambda: supervisor.pid("worker") not in {first, None})


def test_killed_supervisor_leaves_nothing_running(starter: Callable[..., Any], all_gone: Callable[..., bool]) -> None:
    """Neither the processes nor the children of those that ignore signals."""
    killed = starter(
        "from number_orders.embedded.supervisor import *\nlines = []\n"
        "supervisor = Supervisor(output=lambda _, line: lines.append(line), grace_s=0.5)\n"
        f"pids = [supervisor.start('a', ['sleep', '60']), supervisor.start('b', {STUBBORN!r})]\n"
        "while not lines: time.sleep(0.01)\n"
        "print(json.dumps([*pids, int(lines[0])]), flush=True)"
    )
    pids = killed.output()
    killed.kill()
    assert all_gone(*pids)


def test_environment_and_working_directory_are_as_given(
    tmp_path: Path, recorder: Recorder, eventually_true: Callable[..., bool]
) -> None:
    """The environment contains nothing of ours."""
    code = "import os, time; print(os.getcwd(), os.environ['GIVEN'], 'PATH' in os.environ, flush=True); time.sleep(60)"
    with supervised(recorder) as supervisor:
        supervisor.start("child", [sys.executable, "-c", code], env={"GIVEN": "yes"}, cwd=tmp_path)
        assert eventually_true(lambda: recorder.lines == [("child", f"{tmp_path} yes False")])


def test_missing_program_is_reported_and_the_name_is_free_again(recorder: Recorder) -> None:
    """The caller learns of an error at the first start."""
    with supervised(recorder) as supervisor:
        with pytest.raises(CouldNotStart, match="no-such-program"):
            supervisor.start("worker", ["no-such-program"])
        supervisor.start("worker", TALKER)
        with pytest.raises(ValueError, match="worker"):
            supervisor.start("worker", TALKER)


def test_what_a_process_writes_is_private(tmp_path: Path, eventually_true: Callable[..., bool]) -> None:
    """And its log: both may hold orders and their keys."""
    written = tmp_path / "written"
    with Supervisor(output=tmp_path) as supervisor:
        supervisor.start("writer", ["sh", "-c", f"echo x > '{written}'; exec sleep 60"])
        assert eventually_true(written.exists)

    assert [path.stat().st_mode & 0o777 for path in (written, tmp_path / "writer.log")] == [0o600, 0o600]
