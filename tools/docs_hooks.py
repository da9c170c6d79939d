"""Hooks of MkDocs: pages of the repository outside docs/ are pages of the site, so that every link can be checked.

A file ``X`` outside docs/ is ``repository/X`` in the site. The pages keep the links that work in the repository.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
OUTSIDE = "repository"
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "harness/ARCHITECTURE.md",
    "targets/README.md",
    "examples/*/README.md",
)
LINK = re.compile(r"(?<=\]\()[^)#\s]+")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages, and the other files that they link to."""
    pages = [path for pattern in PAGES for path in sorted(ROOT.glob(pattern))]
    linked = {target for page in pages for target in linked_files(page) if not target.is_relative_to(DOCS)}
    for path in sorted({*pages, *linked}):
        files.append(File.generated(config, site_path(path), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links to files lead to where these are in the site."""
    here = Path(page.file.abs_src_path or DOCS)

    def lead(link: re.Match[str]) -> str:
        target = (here.parent / link[0]).resolve()
        if not target.is_file() or not target.is_relative_to(ROOT):
            return link[0]
        return os.path.relpath(site_path(target), Path(page.file.src_uri).parent)

    return LINK.sub(lead, markdown)


def site_path(path: Path) -> str:
    """Where a file of the repository is in the site."""
    return str(path.relative_to(DOCS) if path.is_relative_to(DOCS) else OUTSIDE / path.relative_to(ROOT))


def linked_files(page: Path) -> Iterator[Path]:
    """The files of the repository that a page links to."""
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        target = (page.parent / link).resolve()
        if target.is_file() and target.is_relative_to(ROOT):
            yield target
