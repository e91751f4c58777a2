"""Places on a lane: never more holders than places, and a place comes back however its holder ends."""

import os
import signal
import subprocess
import sys
import time
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
with FileSlots(Path(sys.argv[1]), each=1, together=9).take(CarrierName("bandwidth"), Lane.SUBMIT) as free:
    print(free, flush=True)
    time.sleep(60)
"""


def test_who_keeps_up_is_alone_until_it_calls_or_falls_silent(tmp_path: Path) -> None:
    slots = FileSlots(tmp_path / "slots", each=2, together=9)

    def is_free(lane: Lane = Lane.ASK) -> bool:
        with slots.take(BANDWIDTH, lane) as free:
            return free

    def suffice(*, said_at: float) -> None:
        """Say so as if at that moment. On a machine that stands still it may count no more when it is looked at."""
        slots.keep_alone(BANDWIDTH, Lane.ASK)
        os.utime(tmp_path / "slots" / "bandwidth-ask-alone", (said_at, said_at))

    with slots.take(BANDWIDTH, Lane.ASK):
        assert is_free()
        alone = False
        for _ in range(50):
            suffice(said_at=time.time())
            if alone := not is_free():
                break
        assert alone
        assert is_free(Lane.SUBMIT)
        slots.allow_another(BANDWIDTH, Lane.ASK)
        assert is_free()
        suffice(said_at=1)
        assert is_free(), "it said so long ago, and hangs perhaps"
        suffice(said_at=time.time() + 600)
        assert is_free(), "its clock was set"


def test_a_lane_has_so_many_places_and_no_more(tmp_path: Path) -> None:
    slots = FileSlots(tmp_path / "slots", each=2, together=9)
    with (
        slots.take(BANDWIDTH, Lane.ASK) as first,
        slots.take(BANDWIDTH, Lane.ASK) as second,
        slots.take(BANDWIDTH, Lane.ASK) as third,
        slots.take(BANDWIDTH, Lane.SUBMIT) as other_lane,
    ):
        assert (first, second, third, other_lane) == (True, True, False, True)
    with slots.take(BANDWIDTH, Lane.ASK) as again:
        assert again


def test_all_lanes_together_leave_some_children_free(tmp_path: Path) -> None:
    slots = FileSlots(tmp_path / "slots", each=2, together=3)
    with slots.take(BANDWIDTH, Lane.ASK), slots.take(BANDWIDTH, Lane.SUBMIT), slots.take(SWIFT, Lane.ASK) as third:
        with slots.take(SWIFT, Lane.TELL) as fourth:
            assert (third, fourth) == (True, False)
        with slots.take(SWIFT, Lane.TELL) as still:  # and a place refused is not a place lost
            assert not still
    with slots.take(SWIFT, Lane.TELL) as free:
        assert free


def test_a_place_comes_back_when_its_work_breaks(tmp_path: Path) -> None:
    slots = FileSlots(tmp_path / "slots", each=1, together=1)
    with pytest.raises(RuntimeError, match="broke"), slots.take(BANDWIDTH, Lane.ASK):
        raise RuntimeError("broke")
    with slots.take(BANDWIDTH, Lane.ASK) as free:
        assert free


def test_a_place_comes_back_when_its_holder_is_killed(tmp_path: Path) -> None:
    """SIGKILL: nothing of the holder runs any more, and the kernel gives the place back."""
    slots = FileSlots(tmp_path / "slots", each=1, together=9)
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "slots")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(Path.cwd())}) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"True\n"
        with slots.take(BANDWIDTH, Lane.SUBMIT) as taken:
            assert not taken
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with slots.take(BANDWIDTH, Lane.SUBMIT) as free:
            assert free
