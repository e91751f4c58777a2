"""`simulate` reports each world, and refuses unknown options."""

import pytest
import typer

from number_orders.cli.operations.simulate import Tally, simulate_worlds
from number_orders.simulation.paths import PROMISED, Path


def test_each_world_is_reported_and_all_are_summed_up(capsys: pytest.CaptureFixture[str]) -> None:
    """Each with its trace, so that a second run can be compared."""
    held = simulate_worlds(orders=2, days=0.1, seed=5, faults="none", carriers=["bandwidth"], worlds=2, trace=False)
    first, second, total, *_ = capsys.readouterr().out.splitlines()
    assert held
    assert first.startswith("seed 5: held, trace ")
    assert second.startswith("seed 6: held, trace ")
    assert total.startswith("2 worlds, ")


def test_a_trace_shows_every_event(capsys: pytest.CaptureFixture[str]) -> None:
    """Every statement and every action of a carrier."""
    simulate_worlds(orders=1, days=0.1, seed=5, faults="none", carriers=["bandwidth"], worlds=1, trace=True)
    shown = capsys.readouterr().out
    assert "SubmissionBegun->SUBMITTING" in shown
    assert "POST /api/v2/accounts/9900000/orders" in shown


@pytest.mark.parametrize("wrong", [{"faults": "hail"}, {"carriers": ["acme"]}])
def test_unknown_faults_and_carriers_are_refused(wrong: dict[str, object]) -> None:
    """The error names what exists."""
    given = {"orders": 1, "days": 0.1, "seed": 1, "faults": "none", "carriers": (), "worlds": 1, "trace": False}
    with pytest.raises(typer.BadParameter):
        simulate_worlds(**(given | wrong))  # type: ignore[arg-type]  # one dict for options of several types


def test_promised_paths_that_no_world_walked_are_missing_once_there_were_enough_worlds() -> None:
    """Few worlds prove nothing either way."""
    tally = Tally(worlds=199)
    assert tally.missing("lists") == []
    tally.worlds = 200
    assert set(tally.missing("lists")) == PROMISED["lists"]
    tally.paths[Path.GREW] = 1
    assert Path.GREW not in tally.missing("lists")
    assert tally.missing("none") == []


def test_walked_paths_are_counted_in_the_total() -> None:
    """Each with how often it was walked."""
    tally = Tally()
    tally.paths[Path.GREW] = 3
    assert f"      3 times  {Path.GREW}" in tally.lines()[-1]
