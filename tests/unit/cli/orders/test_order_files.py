"""A file is read whole or not at all, and an error names line and column."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from number_orders.cli.orders.order_files import Unreadable, read_orders

ORDER = {"key": "crm-1", "numbers": ["+19195550100"]}


def test_one_object_is_one_order() -> None:
    (placed,) = read_orders(json.dumps(ORDER, indent=2).encode())

    assert placed.order == ORDER


def test_an_array_is_its_orders_by_index() -> None:
    placed = read_orders(json.dumps([ORDER, {"key": "crm-2"}]).encode())

    assert [(one.place, one.number) for one in placed] == [("index 0", 0), ("index 1", 1)]
    assert placed[0].order == ORDER


def test_json_lines_are_orders_by_line_and_blank_lines_count() -> None:
    text = f"{json.dumps(ORDER)}\n\n   \r\n{json.dumps({'key': 'crm-2'})}\n"

    assert [(one.place, one.number) for one in read_orders(text.encode())] == [("line 1", 1), ("line 4", 4)]


def test_a_byte_order_mark_is_ignored() -> None:
    assert read_orders(b"\xef\xbb\xbf" + json.dumps(ORDER).encode())[0].order == ORDER


def test_a_line_separator_inside_a_string_ends_no_line() -> None:
    text = '{"name": "a\u2028b"}\n{"name": "c"}'

    assert [one.number for one in read_orders(text.encode())] == [1, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "there is no order"),
        (b" \n \n", "there is no order"),
        (b"[]", "holds no order"),
        (b'{"key": }', r"line 1, column 9"),
        (b'{\n  "key": "a",\n  "quantity": 2,,\n}', r"line 3, column 17"),
        (b'{"key": "a"}\n{"key": "b"\n{"key": "c"}', r"line 2, column 12"),
        (b'{"key": "a"}\n\n{"key": nope}', r"line 3, column 9: .*'nope}'"),
        (b'{"key": "a"} {"key": "b"}', r"line 1, column 14"),
        (b'[{"key": "a"},\n {"key": "b"}', r"line 2, column 14"),
        (b'{"key": "\xff"}', r"line 1, byte 10: it is not UTF-8"),
        (b'{"key": "a"}\n{"key": "\xe9"}', r"line 2, byte 10: it is not UTF-8"),
        (b'{"quantity": NaN}', "NaN is no JSON"),
        (b'{"key": "a"}\n{"quantity": -Infinity}', "line 2: -Infinity is no JSON"),
        (b'{"quantity": 1, "quantity": 5000}', "line 1: the field 'quantity' occurs twice"),
        (b'[{"criteria": {"npa": "919",\n "npa": "910"}}]', "the field 'npa' occurs twice"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"quantity": ' + b"9" * 5000 + b"}", "line 1: .*digits"),
    ],
)
def test_an_unreadable_text_is_refused_with_line_and_column(text: bytes, message: str) -> None:
    with pytest.raises(Unreadable, match=message):
        read_orders(text)


@given(st.binary(max_size=200) | st.text('{}[]",:\n a1', max_size=200).map(str.encode))
def test_any_bytes_are_orders_or_unreadable(raw: bytes) -> None:
    with suppress(Unreadable):
        assert read_orders(raw)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.text(max_size=5), JSON, max_size=4), min_size=2, max_size=5))
def test_an_array_and_json_lines_of_it_are_the_same_orders(orders: list[dict[str, Any]]) -> None:
    as_array = read_orders(json.dumps(orders, ensure_ascii=False).encode(errors="surrogatepass"))
    as_lines = read_orders("\n".join(json.dumps(order) for order in orders).encode())

    assert [one.order for one in as_array] == [one.order for one in as_lines] == orders
