"""Slots limit each lane and all lanes together, and a slot is free again however its holder ends."""

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from number_orders.orders.model import CarrierName, Lane
from workers.slots import FileSlots

BANDWIDTH, SWIFT = CarrierName("bandwidth"), CarrierName("swift")

HOLDER = """
import sys, time
from pathlib import Path
from number_orders.orders.model import CarrierName, Lane
from workers.slots import FileSlots
with FileSlots(Path(sys.argv[1]), each=1, together=9).take(CarrierName("bandwidth"), Lane.ASK) as free:
    print(free, flush=True)
    time.sleep(60)
"""


def test_a_lane_has_its_slots_and_no_more(tmp_path: Path) -> None:
    """Two children on one lane, not three; another lane or carrier is not affected; freed slots are taken again."""
    slots = FileSlots(tmp_path / "slots", each=2, together=9)
    with ExitStack() as held:
        taken = [held.enter_context(slots.take(BANDWIDTH, Lane.SUBMIT)) for _ in range(3)]
        assert taken == [True, True, False]
        assert held.enter_context(slots.take(BANDWIDTH, Lane.ASK)) is True
        assert held.enter_context(slots.take(SWIFT, Lane.SUBMIT)) is True
    with slots.take(BANDWIDTH, Lane.SUBMIT) as again:
        assert again


def test_all_lanes_together_leave_some_children_free(tmp_path: Path) -> None:
    """The limit counts children, over lanes and carriers, and a refused lane keeps no slot."""
    first, second, third = (FileSlots(tmp_path / "slots", each=2, together=2) for _ in range(3))
    with first.take(BANDWIDTH, Lane.ASK), second.take(BANDWIDTH, Lane.SUBMIT):
        with third.take(SWIFT, Lane.TELL) as free:
            assert not free
        with third.take(SWIFT, Lane.TELL) as free:  # the refusal freed nothing and took nothing
            assert not free
        with first.take(SWIFT, Lane.TELL) as free, second.take(SWIFT, Lane.TELL) as too:
            assert (free, too) == (True, True)
    with third.take(SWIFT, Lane.TELL) as free:
        assert free


def test_a_child_counts_once_until_its_last_lane_is_over(tmp_path: Path) -> None:
    """Several lanes at once are one child; leaving the first of them frees nothing."""
    child, other = (FileSlots(tmp_path / "slots", each=1, together=1) for _ in range(2))

    def is_free() -> bool:
        with other.take(SWIFT, Lane.TELL) as free:
            return free

    with ExitStack() as last:
        with child.take(BANDWIDTH, Lane.SUBMIT) as one:
            assert one
            assert last.enter_context(child.take(BANDWIDTH, Lane.ASK))
            with child.take(BANDWIDTH, Lane.ASK) as again:
                assert not again, "a lane has its own slots, whoever asks"
            assert not is_free()
        assert not is_free()
    assert is_free()
    with child.take(BANDWIDTH, Lane.SUBMIT) as again:
        assert again


def test_a_slot_is_free_again_when_its_work_fails(tmp_path: Path) -> None:
    """An exception leaves the context like a return does."""
    slots = FileSlots(tmp_path / "slots", each=1, together=1)
    with pytest.raises(RuntimeError, match="broke"), slots.take(BANDWIDTH, Lane.ASK):
        raise RuntimeError("broke")
    with slots.take(BANDWIDTH, Lane.ASK) as free:
        assert free


def test_a_slot_is_free_again_when_its_holder_is_killed(tmp_path: Path) -> None:
    """SIGKILL runs no cleanup; the kernel releases the lock."""
    slots = FileSlots(tmp_path / "slots", each=1, together=9)
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "slots")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "True\n"
        with slots.take(BANDWIDTH, Lane.ASK) as free:
            assert not free
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        with slots.take(BANDWIDTH, Lane.ASK) as free:
            assert free


def test_a_child_that_keeps_up_is_alone_on_its_lane_until_it_allows_another_or_stops_saying_so(tmp_path: Path) -> None:
    """`keep_alone` closes the lane's other slots for three seconds; a hanging holder cannot keep them closed."""
    slots = FileSlots(tmp_path / "slots", each=2, together=9)

    def is_free(lane: Lane = Lane.ASK) -> bool:
        with slots.take(BANDWIDTH, lane) as free:
            return free

    def keep_alone(*, said_at: float) -> None:
        """Mark the lane as if at that moment. A machine that stalls may read a fresh mark only after it has expired."""
        slots.keep_alone(BANDWIDTH, Lane.ASK)
        os.utime(tmp_path / "slots" / "bandwidth-ask-alone", (said_at, said_at))

    with slots.take(BANDWIDTH, Lane.ASK):
        assert is_free()
        alone = False
        for _ in range(50):
            keep_alone(said_at=time.time())
            if alone := not is_free():
                break
        assert alone
        assert is_free(Lane.SUBMIT)
        slots.allow_another(BANDWIDTH, Lane.ASK)
        assert is_free()
        keep_alone(said_at=1)
        assert is_free(), "the mark is old: the holder may hang"
        keep_alone(said_at=time.time() + 600)
        assert is_free(), "the mark is in the future: the clock was set back"
