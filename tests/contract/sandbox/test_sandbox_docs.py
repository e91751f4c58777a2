"""docs/sandbox.md names everything that can be chosen."""

from dataclasses import fields
from pathlib import Path

from sandbox.bandwidth_access import Account
from sandbox.behaviour import Behaviour
from sandbox.fates import BY_AREA_CODE, BY_LAST_DIGITS
from sandbox.faults import FaultKind
from sandbox.geography import ORDINARY_AREAS

PAGE = (Path(__file__).parents[3] / "docs" / "sandbox.md").read_text(encoding="utf-8")


def test_every_magic_input_is_in_the_table() -> None:
    rows = [line.split(" | ") for line in PAGE.splitlines()]
    told = {(row[0][2:5], row[1], row[2].strip("`")) for row in rows if len(row) == 4}

    areas = {fate: area_code for area_code, fate in BY_AREA_CODE.items()}
    expected = {(areas[fate], digits, fate.value) for digits, fate in BY_LAST_DIGITS.items()}
    assert expected <= told


def test_every_fault_and_every_setting_is_named() -> None:
    names = [kind.value for kind in FaultKind]
    names += [field.name for field in (*fields(Behaviour), *fields(Account))]

    assert [name for name in names if f"`{name}`" not in PAGE] == []


def test_every_ordinary_area_code_is_named() -> None:
    assert [area[0].area_code for area in ORDINARY_AREAS if area[0].area_code not in PAGE] == []
