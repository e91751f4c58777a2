"""The header `traceparent` is read as W3C Trace Context says, and ignored where it says so."""

import pytest

from number_orders.orders.trace_context import read_trace_parent

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"


@pytest.mark.parametrize("header", [f"00-{TRACE}-01", f"00-{TRACE}-00"])
def test_a_valid_header_is_kept(header: str) -> None:
    assert read_trace_parent(header) == header


def test_of_a_later_version_the_known_fields_are_kept() -> None:
    assert read_trace_parent(f"cc-{TRACE}-01-what-the-future-will-be-like") == f"00-{TRACE}-01"


@pytest.mark.parametrize(
    "header",
    [
        None,
        7,
        "",
        f"00-{TRACE}",
        f"00-{TRACE}-01-more",
        f"cc-{TRACE}-01more",
        f"ff-{TRACE}-01",
        f"00-{TRACE.upper()}-01",
        "00-" + "0" * 32 + "-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-" + "0" * 16 + "-01",
        f" 00-{TRACE}-01",
        f"00-{TRACE}-01\n",
    ],
)
def test_an_invalid_header_is_ignored(header: object) -> None:
    assert read_trace_parent(header) is None
