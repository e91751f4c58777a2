"""Write docs/licences.md: every distribution that the service installs, with its licence. `make docs` runs it.

The names and versions are those of requirements-service.lock, the licences what each distribution says of itself.
"""

import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

from packaging.markers import Marker

_LOCKED: Final = re.compile(r"^([A-Za-z0-9_.-]+)==([^ ;\\]+)(?: ; ([^\\]+?))? \\", re.MULTILINE)
_IMAGE: Final = {
    "implementation_name": "cpython",
    "platform_python_implementation": "CPython",
    "python_full_version": "3.13.0",
    "python_version": "3.13",
    "sys_platform": "linux",
}
"""Where the service runs: in the image that the Dockerfile builds. The page is the same wherever it is made."""
_CLASSIFIER: Final = "License :: OSI Approved :: "
_HEAD: Final = """\
# Licences

What the image installs (requirements-service.lock), and under which licence, as each distribution says of itself.
Made by `make docs`. Of those that are under the LGPL we change nothing: they are imported, and can be replaced.
Distributions that only other systems or Python versions need are left out.

| distribution | version | licence |
|---|---|---|
"""


def page(lock: str) -> str:
    """Return the page for a lock file."""
    return _HEAD + "".join(f"| {name} | {version} | {licence} |\n" for name, version, licence in _rows(lock))


def _rows(lock: str) -> Iterator[tuple[str, str, str]]:
    for name, version, marker in sorted(_LOCKED.findall(lock)):
        if not marker or Marker(marker).evaluate(_IMAGE):
            yield name, version, licence_of(metadata.metadata(name))


def licence_of(about: metadata.PackageMetadata) -> str:
    """Return a distribution's licence: its expression, else its classifiers, else the first line of its text."""
    if expression := about.get("License-Expression"):
        return str(expression)
    classified = [
        value.removeprefix(_CLASSIFIER) for value in about.get_all("Classifier") or () if _CLASSIFIER in value
    ]
    text = (about.get("License") or "").strip().splitlines()
    return " or ".join(classified) or (text[0] if text else "not said")


if __name__ == "__main__":
    locked = Path("requirements-service.lock").read_text(encoding="utf-8")
    Path(sys.argv[1]).write_text(page(locked), encoding="utf-8")
