"""Links of the documentation lead to files and headings that exist, and so do files it names."""

import re

import pytest
from processes import ROOT

PAGES = [path.relative_to(ROOT) for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"))]


def anchors(path):
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links(page):
    for link in re.findall(r"\]\((?!\w+://)([^)\s]+)\)", (ROOT / page).read_text()):
        name, _, anchor = link.partition("#")
        path = (ROOT / page).parent / name if name else ROOT / page
        assert path.exists(), link
        assert not anchor or anchor in anchors(path), link


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_files_of_code_exist(page):
    """`tools/doctor.py` is of the repository, `data/sources.py` of the package."""
    for name in re.findall(r"`([\w/]+/\w+\.(?:py|sh|flags))`", (ROOT / page).read_text()):
        assert (ROOT / name).exists() or (ROOT / "a2d_tf" / name).exists(), name
