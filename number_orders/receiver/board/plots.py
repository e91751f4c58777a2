"""Plots as SVG, drawn by pygal. Its own style and script are taken out: the board's stylesheet colours them."""

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from xml.etree.ElementTree import Element  # builds elements only; parses nothing

import pygal
from markupsafe import Markup

from number_orders.orders.model import State
from number_orders.story import times

# pygal adds an importer for its plugins, which we have none of. It is of a kind that Python 3.12 has given up, and 3.11
# warns of it at every import.
sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__module__ != "pygal"]

ENDS: Final = tuple(state.value for state in State if state.is_final)
"""The series of `throughput`, in the order of their colours."""
DURATIONS: Final = ("half took at most", "95 of 100 took at most")
"""Those of `time_to_end`."""
_WHOLE_MAX: Final = 4
"""Up to so many orders, every whole number is a label."""
_DROPPED: Final = frozenset({"style", "script", "desc", "title"})
_TOOLTIPS: Final = frozenset({"tooltip-overlay", "tooltip", "text-overlay"})


def throughput(rows: Sequence[Mapping[str, Any]], spans: Sequence[datetime]) -> Markup:
    """Draw how many orders ended in each span of time, by end."""
    counted = {(row["state"], row["began_at"]): row["orders"] for row in rows}
    chart = pygal.StackedBar(**_options(lambda value: f"{value:,.0f}"))
    _label(chart, spans)
    most = max((sum(counted.get((state, span), 0) for state in ENDS) for span in spans), default=0)
    if most <= _WHOLE_MAX:
        chart.y_labels = range(most + 1)  # pygal would mark halves too, and the labels are whole
    for state in ENDS:
        chart.add(state, [counted.get((state, span), 0) for span in spans])
    return _svg(chart)


def time_to_end(rows: Sequence[Mapping[str, Any]], spans: Sequence[datetime]) -> Markup:
    """Draw how long orders took from acceptance to end, by the time of their end."""
    found = {row["began_at"]: row for row in rows}
    chart = pygal.Line(**_options(lambda value: times.span(timedelta(seconds=value))), dots_size=2)
    _label(chart, spans)
    for name, field in zip(DURATIONS, ("median_s", "most_s"), strict=True):
        chart.add(name, [found[span][field] if span in found else None for span in spans])
    return _svg(chart)


def stock(rows: Sequence[Mapping[str, Any]]) -> Markup:
    """Draw how many numbers a carrier had for sale at each snapshot."""
    chart = pygal.Line(**_options(lambda value: f"{value:,.0f}"), dots_size=2)
    _label(chart, [row["taken_at"] for row in rows], "%d %b")
    chart.add("for sale", [row["quantity"] for row in rows])
    return _svg(chart)


def spans_of(now: datetime, since: timedelta, width: timedelta) -> list[datetime]:
    """Return the beginnings of the spans of `width` that the time from `since` ago to now has, the oldest first."""
    last = now - (now - datetime.fromtimestamp(0, tz=now.tzinfo)) % width
    return [last - width * index for index in reversed(range(since // width + 1))]


def _options(formatter: Any) -> dict[str, Any]:
    return {
        "width": 640,
        "height": 240,
        "css": [],
        "js": [],
        "disable_xml_declaration": True,
        "show_legend": False,
        "show_minor_x_labels": False,
        "truncate_label": -1,
        "print_values": False,
        "value_formatter": formatter,
        "margin": 4,
        "spacing": 6,
        "min_scale": 3,
        "max_scale": 5,
        "include_x_axis": True,
        "no_data_text": "nothing ended",
    }


def _label(chart: Any, spans: Sequence[datetime], form: str = "%H:%M") -> None:
    labels = [span.strftime(form) for span in spans]
    chart.x_labels = labels
    chart.x_labels_major = labels[:: max(1, len(labels) // 6)]


def _svg(chart: Any) -> Markup:
    chart.add_xml_filter(_without_style)
    rendered: str = chart.render(is_unicode=True)
    return Markup(rendered)  # noqa: S704  pygal escapes every text, and the texts are ours


def _without_style(root: Element) -> Element:
    """Drop what the page's security policy forbids, and what needs pygal's script."""
    for parent in list(root.iter()):
        for child in list(parent):
            tag = str(child.tag).rpartition("}")[2]  # of a comment, it is a function
            is_tooltip = _TOOLTIPS & set((child.get("class") or "").split())
            if tag in _DROPPED or tag.startswith("<") or is_tooltip:
                parent.remove(child)
        parent.attrib.pop("style", None)
    root.attrib.pop("id", None)
    root.set("aria-hidden", "true")
    root.set("focusable", "false")
    return root
