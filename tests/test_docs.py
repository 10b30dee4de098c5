"""The documentation names files, headings and functions that exist."""

import re

import pytest
from processes import ROOT

PAGES = [
    path.relative_to(ROOT) for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"))
]


def anchors(path):
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.M)
    return {
        re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings
    }


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_and_files_of_code_exist(page):
    """`a2d doctor`: the repository; `core/files.py`: the package; `own/`: made."""
    text = (ROOT / page).read_text()
    for link in re.findall(r"\]\((?!\w+://)([^)\s]+)\)", text):
        name, _, anchor = link.partition("#")
        path = (ROOT / page).parent / name if name else ROOT / page
        assert path.exists(), link
        assert not anchor or anchor in anchors(path), link
    for name in re.findall(r"`([\w/]+/\w+\.(?:py|sh|flags))`", text):
        if name.startswith("own/"):
            continue
        assert (ROOT / name).exists() or (ROOT / "a2d_tf" / name).exists(), name


def test_names_in_docstrings_exist():
    """`pipeline.training` is in a pipeline.py."""
    texts, missing = {}, []
    for path in ROOT.glob("a2d_tf/**/*.py"):
        place = path.parent if path.stem == "__init__" else path.with_suffix("")
        for name, text in (
            (place.name, path.read_text()),
            (place.parent.name, f" {place.name} "),
        ):
            texts[name] = texts.get(name, "") + text
    for stem, text in texts.items():
        for module, name in re.findall(r"`(\w+)\.(\w+)`", text):
            is_file = name in ("csv", "h5", "html", "json", "md", "npz", "py", "txt")
            if (
                module in texts
                and not is_file
                and not re.search(rf"\b{name}\b", texts[module])
            ):
                missing.append(f"{stem}: {module}.{name}")
    assert not missing


def test_pages_that_code_and_flagfiles_name_exist():
    """`docs/training.md, flow beside RGB`: a page, and a heading of it."""
    named_pages = set()
    for pattern in ("a2d_tf/**/*.py", "tools/**/*.py", "tools/*.sh", "configs/**/*"):
        for path in ROOT.glob(pattern):
            if path.is_file():
                text = re.sub(r"[\s#\"]+", " ", path.read_text())
                named_pages |= set(
                    re.findall(r"\bdocs/(\w+\.md)((?:, \w[\w ]*)?\))?", text)
                )
    assert len(named_pages) > 10
    for name, heading in sorted(named_pages):
        page = ROOT / "docs" / name
        assert page.exists(), name
        words = heading.strip(",) ").lower().replace(" ", "-")
        assert not words or words in anchors(page), f"docs/{name}, {words}"
