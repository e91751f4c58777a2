"""Every link of a page leads to a file, and to a heading if it names one."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "client").glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
CODE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


def anchors(page: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them; a repeated one gets a number."""
    found: dict[str, int] = {}
    for heading in re.findall(r"^#+ (.+)$", CODE.sub("", page), re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        found[slug] = found.get(slug, -1) + 1
    return {f"{slug}-{number}" if number else slug for slug, times in found.items() for number in range(times + 1)}


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    links = [
        (page.parent / link if link else page, anchor)
        for link, anchor in LINK.findall(page.read_text(encoding="utf-8"))
    ]

    assert [str(target) for target, _ in links if not target.exists()] == []
    assert [
        f"{target}#{anchor}"
        for target, anchor in links
        if anchor and target.suffix == ".md" and anchor not in anchors(target.read_text(encoding="utf-8"))
    ] == []


def test_anchors_are_those_of_headings() -> None:
    page = "# One\n\n## `two`: [a link](there.md), and 3.\n\n## One\n\n```sh\n# no heading\n```\n"
    assert anchors(page) == {"one", "one-1", "two-a-link-and-3"}
