"""What mkdocs needs to build the site of pages that also work in the repository.

README.md and CHANGELOG.md become its start and its last page, so that each stands in
one place, and links to files that are no page lead to the repository.
"""

from __future__ import annotations

import re
from pathlib import Path
from posixpath import normpath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
PAGES = {"README.md": "index.md", "CHANGELOG.md": "changelog.md"}
"""Files of the repository's root that are pages, and what they are called there."""

_LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)\s#]+)(#[^)\s]*)?(?=\))")
_FOREIGN = re.compile(r"<(?:script|img|link rel=.stylesheet)[^>]+https?:[^>]*")
_ROLE = re.compile(r":(?:attr|class|data|func|meth|mod):<code>(?:~[\w.]*\.)?")
_SHOWN = (".md", ".png", ".webp")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie beside docs/, and leave out what is no page."""
    for source, name in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, name, content=text))
    for file in list(files):
        if file.src_uri.endswith((".py", ".ipynb")):
            files.remove(file)
    return files


def on_page_markdown(text: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links of a page at where things are on the site."""
    sources = {name: source for source, name in PAGES.items()}
    uri = page.file.src_uri
    here = Path(sources.get(uri) or f"docs/{uri}").parent
    up = "../" * uri.count("/")

    def moved(match: re.Match[str]) -> str:
        target = normpath((here / match[1]).as_posix())
        inside = PAGES.get(target) or target.removeprefix("docs/")
        on_site = target in PAGES or target.startswith("docs/")
        if on_site and inside.endswith(_SHOWN):
            return f"{up}{inside}{match[2] or ''}"
        return f"{config.extra['repository']}{target}{match[2] or ''}"

    return _LINK.sub(moved, text)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Refuse what a reader's browser would fetch from elsewhere; tidy docstrings."""
    foreign = _FOREIGN.findall(output)
    if foreign:
        raise PluginError(f"{page.file.src_uri} loads from elsewhere: {foreign}")
    # Docstrings name what they refer to as Sphinx does.
    return _ROLE.sub("<code>", output)
