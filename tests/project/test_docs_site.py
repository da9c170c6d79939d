"""The documentation as a site: it builds strictly, every page has its place, and reading it needs no network."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config

pytestmark = pytest.mark.xdist_group("docs")  # tests share the fixture
ROOT = Path(__file__).resolve().parents[2]
PARTS = {"Tutorial", "How to", "Reference", "Explanation"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; a link or an anchor that leads nowhere fails here."""
    directory = tmp_path_factory.mktemp("site")
    build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(directory), strict=True))
    return directory


def places(entry: Any) -> Iterator[str]:
    """The pages below an entry of the navigation."""
    for value in entry.values() if isinstance(entry, dict) else entry:
        if isinstance(value, str):
            yield value
        else:
            yield from places(value)


def test_every_page_of_the_docs_is_in_one_of_the_four_parts() -> None:
    navigation: Any = load_config(str(ROOT / "mkdocs.yml")).nav
    parts = {title: list(places({title: inner})) for entry in navigation for title, inner in entry.items()}
    assert set(parts) >= PARTS
    placed = [page for title in PARTS for page in parts[title]]
    assert sorted([*placed, "index.md"]) == sorted(path.name for path in (ROOT / "docs").glob("*.md"))


def test_the_first_page_links_to_every_page_of_the_four_parts() -> None:
    page = (ROOT / "docs" / "index.md").read_text()
    missing = [path.name for path in (ROOT / "docs").glob("*.md") if f"({path.name})" not in page]
    assert missing == ["index.md"]


def test_a_page_loads_nothing_from_another_host(site: Path) -> None:
    loads = re.compile(r'<(?:script|img|iframe|source)\b[^>]*\bsrc="(?:https?:)?//|<link\b[^>]*\bhref="(?:https?:)?//')
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    assert [str(page.relative_to(site)) for page in pages if loads.search(page.read_text())] == []
    styles = [
        path for path in site.rglob("*.css") if re.search(r"(?:url\(|@import )['\"]?(?:https?:)?//", path.read_text())
    ]
    assert styles == []


def test_pages_outside_of_docs_are_part_of_the_site(site: Path) -> None:
    example = site / "repository" / "examples" / "flask_counter" / "index.html"
    assert "Flask" in example.read_text()
    assert "repository/examples/flask_counter/index.html" in (site / "your-service.html").read_text()
