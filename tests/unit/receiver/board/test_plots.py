"""Plots are plain SVG: nothing in them that the page's security policy forbids."""

import sys
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest
from markupsafe import Markup

from number_orders.receiver.board.plots import spans_of, stock, throughput, time_to_end

NOON = datetime(2026, 8, 1, 12, 0, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SPANS = spans_of(NOON, timedelta(hours=1), MINUTE)


def test_spans_begin_at_whole_minutes() -> None:
    assert len(SPANS) == 61
    assert SPANS[0] == datetime(2026, 8, 1, 11, 0, tzinfo=UTC)
    assert SPANS[-1] == datetime(2026, 8, 1, 12, 0, tzinfo=UTC)


def test_spans_of_a_day_begin_at_whole_hours() -> None:
    spans = spans_of(NOON, timedelta(days=1), timedelta(hours=1))
    assert (len(spans), spans[-1].minute, spans[-1].hour) == (25, 0, 12)


def plots() -> list[Markup]:
    ends = [
        {"state": "COMPLETED", "began_at": SPANS[3], "orders": 12},
        {"state": "FAILED", "began_at": SPANS[4], "orders": 2},
    ]
    times = [{"began_at": SPANS[3], "median_s": 2.5, "most_s": 90.0}]
    counts = [{"taken_at": NOON + timedelta(days=day), "quantity": 9_000 - day} for day in range(30)]
    return [
        throughput(ends, SPANS),
        time_to_end(times, SPANS),
        throughput([], SPANS),
        time_to_end([], SPANS),
        stock(counts),
        stock(counts[:1]),
    ]


@pytest.mark.parametrize("number", range(6))
def test_no_style_no_script_no_other_host(number: int) -> None:
    root = ET.fromstring(plots()[number])  # noqa: S314  drawn by ourselves
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert root.tag.endswith("svg")
    assert not tags & {"style", "script", "image", "foreignObject", "a"}
    names = {name for element in root.iter() for name in element.attrib}
    assert not {name for name in names if name == "style" or name.startswith("on")}


def test_bars_are_as_high_as_orders_are_many() -> None:
    root = ET.fromstring(plots()[0])  # noqa: S314  drawn by ourselves
    bars = [element for element in root.iter() if "rect" in (element.get("class") or "").split()]
    heights = sorted(round(float(bar.get("height", 0)), 1) for bar in bars)
    assert heights[-2] > 0
    assert heights[-1] == pytest.approx(6 * heights[-2], rel=0.05)
    assert not any(heights[:-2])


def test_drawing_changes_nothing_about_imports() -> None:
    assert not [finder for finder in sys.meta_path if type(finder).__module__ == "pygal"]


def test_times_are_in_words() -> None:
    assert "min" in str(plots()[1])


def test_stock_is_drawn_over_days() -> None:
    counts = [{"taken_at": NOON + timedelta(days=day), "quantity": 9_000 - day} for day in range(30)]
    drawn = stock(counts)
    assert "01 Aug" in drawn
    assert len(ET.fromstring(drawn).findall(".//{*}circle")) == 30  # noqa: S314  drawn by ourselves


@pytest.mark.parametrize("orders", [0, 1, 2, 3, 4, 5, 7, 12])
def test_no_number_of_orders_is_marked_twice(orders: int) -> None:
    root = ET.fromstring(throughput([{"state": "FAILED", "began_at": SPANS[4], "orders": orders}], SPANS))  # noqa: S314
    texts = [element.text or "" for element in root.iter() if element.tag.endswith("text")]
    marked = [text for text in texts if text.isdecimal()]
    assert len(set(marked)) == len(marked), marked
