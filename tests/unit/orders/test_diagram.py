import re
from pathlib import Path

import pytest

from number_orders.orders.diagram import MEANINGS, events_table, main, mermaid, refresh, states_table
from number_orders.orders.events import EVENT_TYPES
from number_orders.orders.lifecycle import ARCS
from number_orders.orders.model import FINAL_STATES, State
from tests.unit.orders.lifecycle_examples import POLICY

PAGE = Path(__file__).parents[3] / "docs" / "lifecycle.md"
ARROW = re.compile(r"^    (\w+) --> (\w+): (.+)$", re.MULTILINE)
BOX = re.compile(r'^    state "(.+)" as (\w+)$', re.MULTILINE)


def arcs_drawn() -> list[tuple[str, str, str]]:
    """Read the picture back: from, event, to, with the common box taken apart into its states."""
    boxes = {name: re.split(", | or ", label) for label, name in BOX.findall(mermaid())}
    return [
        (start, event, target)
        for origin, target, label in ARROW.findall(mermaid())
        for event in label.split(", ")
        for start in boxes.get(origin, [origin])
    ]


def test_every_arc_of_the_table_is_drawn_once_and_no_other() -> None:
    """The picture shows exactly the table."""
    arcs = [(state, event.__name__, target) for state, arcs in ARCS.items() for event, target in arcs.items()]

    assert sorted(arcs_drawn()) == sorted(arcs)


def test_the_page_is_current() -> None:
    """After a change to the table: python -m number_orders.orders.diagram docs/lifecycle.md."""
    page = PAGE.read_text("utf-8")

    assert refresh(page) == page


def test_the_page_shows_the_picture_and_both_tables() -> None:
    """Markers with nothing between them would be current too."""
    page = PAGE.read_text("utf-8")

    assert all(drawing in page for drawing in (mermaid(), states_table(), events_table()))


@pytest.mark.parametrize(
    "figure",
    [
        f"`answer_within` ({POLICY.answer_within.seconds} s)",
        f"`ask_first` ({POLICY.ask_first.seconds} s)",
        f"`ask_factor` ({POLICY.ask_factor})",
        f"`ask_max` ({POLICY.ask_max.seconds // 60} min)",
        f"`slow_ask_max` ({POLICY.slow_ask_max.seconds // 60} min)",
        f"`doubt_first` ({POLICY.doubt_first.seconds} s)",
    ],
)
def test_the_page_gives_the_default_pauses(figure: str) -> None:
    """The prose is written by hand, so its figures are checked."""
    assert figure in PAGE.read_text("utf-8")


def test_every_state_has_a_meaning() -> None:
    """A state added later must be explained as well."""
    assert MEANINGS.keys() == set(State)


def test_the_states_table_says_that_final_states_are_never_left() -> None:
    """In the column `Left by`."""
    rows = {row.split(" | ")[0]: row.split(" | ")[2] for row in states_table().splitlines()[2:]}

    assert {state for state in State if rows[f"| **{state}**"] == "never"} == FINAL_STATES


def test_every_event_has_a_row_with_its_meaning() -> None:
    """In the order of the union, and none is empty."""
    rows = [row.split(" | ") for row in events_table().splitlines()[2:]]

    assert [name for name, *_ in rows] == [f"| `{event.__name__}`" for event in EVENT_TYPES]
    assert all(meaning.endswith(".") for _, meaning, *_ in rows)


def test_a_page_with_a_missing_or_doubled_marker_is_refused() -> None:
    """A part of the page would silently become outdated."""
    page = PAGE.read_text("utf-8")

    with pytest.raises(LookupError, match="0 places for 'states'"):
        refresh(page.replace("<!-- drawn: states -->", ""))
    with pytest.raises(LookupError, match="2 places for 'diagram'"):
        refresh(page + page)


def test_the_command_updates_an_outdated_page(tmp_path: Path) -> None:
    """The text around the drawings stays as it was."""
    page = PAGE.read_text("utf-8")
    stale = tmp_path / "lifecycle.md"
    stale.write_text(page.replace("SubmissionBegun", "Whatever"), "utf-8")

    main([str(stale)])

    assert mermaid() in stale.read_text("utf-8")
    assert stale.read_text("utf-8").startswith(page[: page.index("<!--")])


def test_the_command_without_a_page_prints_the_picture(capsys: pytest.CaptureFixture[str]) -> None:
    """For a look, and for other pages."""
    main([])

    assert capsys.readouterr().out == f"{mermaid()}\n"
