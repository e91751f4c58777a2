"""A headless Chromium of Debian's, installed by root where it is missing."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.debian_packages import install, may_install
from tests.processes import REPOSITORY

SCREENSHOTS = REPOSITORY / ".screenshots"
"""Where screenshots of the run stay; the folder is ignored by git."""
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_MISSING = (
    "make test-browser needs Chromium, and none is installed: run `apt-get install chromium` as root, "
    "or name one in CHROMIUM=/path/to/chromium"
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium; installed from Debian's packages if it is missing and we may."""
    if given := os.environ.get("CHROMIUM"):
        return given
    if not _found() and may_install():
        install("chromium", program="chromium")
    path = _found()
    if path is None:
        pytest.fail(_MISSING, pytrace=False)
    return path


def _found() -> str | None:
    return next(filter(None, map(shutil.which, _NAMES)), None)


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """A Chromium for one module: while Playwright runs, its event loop is that of this thread."""
    sandbox = [] if os.geteuid() else ["--no-sandbox"]  # Chromium's own sandbox does not run as root
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=[*sandbox, "--disable-dev-shm-usage"])
        yield running
        running.close()


@pytest.fixture(scope="session")
def artefacts() -> Path:
    SCREENSHOTS.mkdir(exist_ok=True)
    return SCREENSHOTS
