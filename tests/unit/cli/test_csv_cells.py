"""A cell is text to a spreadsheet, whatever somebody has called an order; a number is a number."""

import csv
import io
from datetime import UTC, datetime

import pytest

from number_orders.cli.csv_cells import as_written, safe_cell, write_csv


@pytest.mark.parametrize(
    "text", ["=cmd|' /C calc'!A0", "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "=1+1", "+", "-HYPERLINK()"]
)
def test_a_formula_is_marked_as_text_and_read_back_as_it_was(text: str) -> None:
    assert safe_cell(text) == f"'{text}"
    assert as_written(safe_cell(text)) == text


@pytest.mark.parametrize("text", ["+19195550100", "-5", "crm-1", "'quoted'", "a=b", "5.5"])
def test_what_is_no_formula_stays_as_it_is(text: str) -> None:
    assert safe_cell(text) == as_written(text) == text


def test_a_table_is_read_by_a_program_as_it_was_written(capsys: pytest.CaptureFixture[str]) -> None:
    moment = datetime.fromtimestamp(0, UTC)
    write_csv(("a", "b", "c"), [{"a": 'say "hi", now', "b": None, "c": moment}, {"a": "\t=1\n2\ud800", "b": 5}])
    assert list(csv.reader(io.StringIO(capsys.readouterr().out))) == [
        ["a", "b", "c"],
        ['say "hi", now', "", "1970-01-01T00:00:00+00:00"],
        [" =1 2?", "5", ""],
    ]
