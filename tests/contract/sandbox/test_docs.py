"""docs/sandbox.md names every option, path, setting, magic input and credential."""

import re
from dataclasses import fields
from pathlib import Path

from starlette.routing import Route

from number_orders.sandbox.__main__ import options
from number_orders.sandbox.app import create_app
from number_orders.sandbox.bandwidth.access import Account
from number_orders.sandbox.behaviour import Behaviour
from number_orders.sandbox.cm.access import CmAccount
from number_orders.sandbox.cm.stock import MAGIC_AREAS
from number_orders.sandbox.cm.stock import ORDINARY_AREAS as CM_AREAS
from number_orders.sandbox.fates import BY_AREA_CODE, BY_LAST_DIGITS
from number_orders.sandbox.faults import FaultKind
from number_orders.sandbox.geography import CANADIAN_AREAS, ORDINARY_AREAS
from number_orders.sandbox.report import report
from number_orders.sandbox.state import SandboxState
from number_orders.sandbox.swift.access import SwiftAccount
from number_orders.sandbox.swift.fates import ADDED_BY_LAST_DIGITS, NEW_BY_AREA_CODE, REMOVED_BY_AREA_CODE

PAGE = (Path(__file__).parents[3] / "docs" / "sandbox.md").read_text(encoding="utf-8")


def test_every_magic_input_is_in_the_table() -> None:
    rows = [line.split(" | ") for line in PAGE.splitlines()]
    shown = {(row[0][2:5], row[1], row[2].strip("`")) for row in rows if len(row) == 4}

    areas = {fate: area_code for area_code, fate in BY_AREA_CODE.items()}
    expected = {(areas[fate], digits, fate.value) for digits, fate in BY_LAST_DIGITS.items()}
    assert expected <= shown


def test_every_fault_and_every_setting_is_named() -> None:
    names = [kind.value for kind in FaultKind]
    names += [field.name for kind in (Behaviour, Account, SwiftAccount, CmAccount) for field in fields(kind)]

    assert [name for name in names if f"`{name}`" not in PAGE] == []


def first_cells() -> dict[str, list[str]]:
    """Return the rows of all tables by the first word of their first cell."""
    rows = [[cell.strip("` ") for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line[:2] == "| "]
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row[0].split(" ")[0], []).extend(row[1:])
    return found


def test_magic_of_swift_and_cm_is_in_their_tables() -> None:
    shown = first_cells()
    swift = NEW_BY_AREA_CODE | REMOVED_BY_AREA_CODE | ADDED_BY_LAST_DIGITS
    magic = {code: fate.value for code, fate in swift.items()}
    dutch = {area.area_code: area.fate.value for area in MAGIC_AREAS if area.country == "NL"}

    assert [(code, fate) for code, fate in (magic | dutch).items() if fate not in shown[code]] == []
    assert [area.area_code for area in (*CM_AREAS, *MAGIC_AREAS) if area.area_code not in PAGE] == []


def test_every_credential_of_swift_and_cm_is_named() -> None:
    swift, cm = SwiftAccount(), CmAccount()
    values = [swift.account_id, *swift.sub_accounts, swift.api_key, swift.api_key_without_user, swift.author_id]
    values += [*swift.api_key_ids, cm.account_guid, cm.product_token, *cm.company_profiles]

    assert [value for value in values if f"`{value}`" not in PAGE] == []


def test_every_ordinary_area_code_is_named() -> None:
    assert [area[0].area_code for area in ORDINARY_AREAS + CANADIAN_AREAS if area[0].area_code not in PAGE] == []


def test_every_option_is_named_and_no_other() -> None:
    known = {option for action in options()._actions for option in action.option_strings} - {"-h", "--help"}

    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", PAGE)) == known


PREFIXES = re.compile(
    r"/_sandbox|/api/v[12](/accounts/\{})?|"
    r"/voice-phonenumberrequestapi/v1/\{}(/numberRequests(?=/(statuses|restrictions|availability)))?"
)


def test_every_path_is_named() -> None:
    page = re.sub(r"\{\w+\}", "{}", PAGE)
    routes = [route.path for route in create_app(SandboxState()).routes if isinstance(route, Route)]
    written = [re.sub(r"\{\w+\}", "{}", path).replace("numberrequests", "numberRequests") for path in routes]
    paths = {PREFIXES.sub("", path, count=1) for path in written if path != "/api/{rest:path}"}

    assert [path for path in sorted(paths) if f"{path}`" not in page] == []


def test_every_part_of_the_report_is_named() -> None:
    parts = report(SandboxState(), [], None)

    assert [part for part in parts if f"`{part}`" not in PAGE] == []
