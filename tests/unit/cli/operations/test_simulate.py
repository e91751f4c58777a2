"""The command that runs simulated worlds: what it says, and how it ends."""

import pytest
import typer

from number_orders.cli.operations.simulate import simulate_worlds


def test_worlds_are_told_one_by_one_and_summed_up(capsys: pytest.CaptureFixture[str]) -> None:
    """Each with its trace, so that a second run can be compared."""
    held = simulate_worlds(orders=2, days=0.1, seed=5, faults="none", carriers=["bandwidth"], worlds=2, trace=False)
    first, second, total, *_ = capsys.readouterr().out.splitlines()
    assert held
    assert first.startswith("seed 5: held, trace ")
    assert second.startswith("seed 6: held, trace ")
    assert total.startswith("2 worlds, ")


def test_a_trace_shows_what_happens(capsys: pytest.CaptureFixture[str]) -> None:
    """Every statement and every act of a carrier."""
    simulate_worlds(orders=1, days=0.1, seed=5, faults="none", carriers=["bandwidth"], worlds=1, trace=True)
    shown = capsys.readouterr().out
    assert "SubmissionBegun->SUBMITTING" in shown
    assert "POST /api/v2/accounts/9900000/orders" in shown


@pytest.mark.parametrize("wrong", [{"faults": "hail"}, {"carriers": ["acme"]}])
def test_what_there_is_not_is_refused(wrong: dict[str, object]) -> None:
    """With the names of what there is."""
    given = {"orders": 1, "days": 0.1, "seed": 1, "faults": "none", "carriers": (), "worlds": 1, "trace": False}
    with pytest.raises(typer.BadParameter):
        simulate_worlds(**(given | wrong))  # type: ignore[arg-type]  # one dict for options of several types
