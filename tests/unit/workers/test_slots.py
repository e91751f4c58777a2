"""No lane takes the pool, no lanes together take all of it, and whoever dies gives back what it had."""

import os
import signal
import subprocess
import sys
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


def test_a_lane_has_its_places_and_no_more(tmp_path: Path) -> None:
    """Two stints of one lane at once, not three; another lane is not concerned."""
    slots = FileSlots(tmp_path, each=2, together=9)
    with ExitStack() as held:
        taken = [held.enter_context(slots.take(BANDWIDTH, Lane.SUBMIT)) for _ in range(3)]
        assert taken == [True, True, False]
        assert held.enter_context(slots.take(BANDWIDTH, Lane.ASK)) is True
        assert held.enter_context(slots.take(SWIFT, Lane.SUBMIT)) is True


def test_all_lanes_together_leave_something_free(tmp_path: Path) -> None:
    """Whatever is busy, a child is left for the next order; and a refused lane holds nothing back."""
    slots = FileSlots(tmp_path, each=2, together=2)
    with ExitStack() as held:
        assert held.enter_context(slots.take(BANDWIDTH, Lane.SUBMIT))
        with slots.take(BANDWIDTH, Lane.ASK) as second:
            assert second
            with slots.take(BANDWIDTH, Lane.TELL) as third:
                assert not third
        assert held.enter_context(slots.take(BANDWIDTH, Lane.TELL))


def test_a_place_is_free_again_afterwards(tmp_path: Path) -> None:
    """Given back on leaving, also by an exception."""
    slots = FileSlots(tmp_path, each=1, together=1)
    with pytest.raises(ZeroDivisionError), slots.take(BANDWIDTH, Lane.ASK):
        1 / 0  # noqa: B018  something breaks
    with slots.take(BANDWIDTH, Lane.ASK) as free:
        assert free


def test_a_killed_holder_gives_its_place_back(tmp_path: Path) -> None:
    """SIGKILL asks nobody; the kernel lets go."""
    slots = FileSlots(tmp_path, each=1, together=9)
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "True\n"
        with slots.take(BANDWIDTH, Lane.ASK) as free:
            assert not free
        os.kill(holder.pid, signal.SIGKILL)
    with slots.take(BANDWIDTH, Lane.ASK) as free:
        assert free
