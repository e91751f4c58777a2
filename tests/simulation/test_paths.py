"""The rare paths are walked: a fault that leads nowhere would prove nothing."""

from collections import Counter
from typing import Final

import pytest

from number_orders.simulation.faults import PROFILES
from number_orders.simulation.paths import PROMISED, Path
from number_orders.simulation.world import Plan, run
from tests.simulation.test_worlds import how_to_repeat

WALKED: Final[dict[str, tuple[tuple[int, str], ...]]] = {
    "lists": ((6003, ""),),
    "withdrawals": ((32, ""),),
    "parts": ((6002, ""),),
    "accounts": ((5, ""),),
    "mistakes": ((5, ""), (13, ""), (19, ""), (25, "")),
    "patience": ((6, ""), (72, "")),
    "notices": ((25, ""),),
    "blows": ((5, ""),),
}
"""Worlds of each profile that together walk everything that it promises: seeds, and the only carrier or none."""


def test_every_profile_with_promises_has_its_worlds() -> None:
    """And no path is promised by nobody."""
    assert WALKED.keys() == PROMISED.keys()
    assert PROMISED.keys() <= PROFILES.keys()


@pytest.mark.parametrize("profile", WALKED)
def test_worlds_walk_the_paths_that_their_profile_promises(profile: str) -> None:
    """And keep every promise on the way."""
    walked: Counter[str] = Counter()
    for seed, carrier in WALKED[profile]:
        report = run(Plan.from_seed(seed, profile=profile, carriers=[carrier] if carrier else []))
        assert not report.broken, how_to_repeat(report, profile)
        walked.update(report.paths)
    assert {path for path in Path if walked[path]} >= PROMISED[profile]
