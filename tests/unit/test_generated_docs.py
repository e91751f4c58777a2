"""The pages that are made from the code are current, complete, and allow what we do with what we install."""

import re
import sys
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType

import pytest

from config.settings_table import page
from number_orders.cli.doctor.checks import known_variables
from tests.processes import REPOSITORY

COPYLEFT = re.compile(r"\b(AGPL|GPL|SSPL|BUSL)", re.IGNORECASE)


def licences() -> ModuleType:
    spec = spec_from_file_location("licences", REPOSITORY / "deploy" / "licences.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_settings_page_is_what_the_code_says() -> None:
    assert (REPOSITORY / "docs" / "settings.md").read_text(encoding="utf-8") == page(), "run `make docs`"


def test_every_setting_is_on_the_page_with_a_text() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|[^|]*\| (.*) \|$", page(), re.MULTILINE)
    leaves = {
        name for name in known_variables() if not any(other.startswith(f"{name}__") for other in known_variables())
    }

    assert {name for name, _, _ in rows} == leaves
    assert [name for name, _, text in rows if not text] == []


def test_the_page_shows_no_secret_as_plain_text() -> None:
    kinds = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", page(), re.MULTILINE))
    sensitive = [name for name in kinds if re.search(r"PASSWORD|SECRET$|TOKEN|API_KEY|DATABASE_URL|BROKER_URL", name)]
    assert sensitive
    assert [name for name in sensitive if kinds[name] != "secret"] == []


@pytest.mark.skipif(sys.version_info >= (3, 15), reason="the image's Python needs packages that this one has itself")
def test_the_licence_page_is_current() -> None:
    lock = (REPOSITORY / "requirements-service.lock").read_text(encoding="utf-8")
    shown = (REPOSITORY / "docs" / "licences.md").read_text(encoding="utf-8")

    assert shown == licences().page(lock), "run `make docs`"
    names = re.findall(r"^([A-Za-z0-9_.-]+)==", lock, re.MULTILINE)
    listed = set(re.findall(r"^\| ([A-Za-z0-9_.-]+) \| \d", shown, re.MULTILINE))
    assert set(names) - listed == {"async-timeout", "colorama", "tzdata"}  # of older Pythons, and of Windows


def test_the_licence_page_is_made_for_the_image_that_is_built() -> None:
    (version,) = set(re.findall(r"^FROM python:([\d.]+)-", (REPOSITORY / "Dockerfile").read_text(), re.MULTILINE))
    assert licences()._IMAGE["python_version"] == version


def test_every_licence_is_known_and_lets_us_pass_the_image_on() -> None:
    rows = re.findall(r"^\| (\S+) \| \S+ \| (.+) \|$", (REPOSITORY / "docs" / "licences.md").read_text(), re.MULTILINE)
    assert len(rows) > 30
    assert [name for name, licence in rows if licence == "not said"] == []
    assert [
        name for name, licence in rows if COPYLEFT.search(licence.replace("LGPL", "")) and "LGPL" not in licence
    ] == []
