"""What mkdocs needs to build the site of pages that also work in the repository.

README.md and CHANGELOG.md become its start and its last page, so that each stands in
one place, links to files that are no page lead to the repository, and notebooks are
pages with what their cells gave.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from posixpath import normpath

import nbformat
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
        if file.src_uri.endswith(".ipynb"):
            for name, content in of_notebook(Path(file.abs_src_path)):
                uri = f"{Path(file.src_uri).parent.as_posix()}/{name}"
                files.append(File.generated(config, uri, content=content))
    return files


def of_notebook(path: Path) -> Iterator[tuple[str, str | bytes]]:
    """Yield name and content of a notebook's pictures and of its page."""
    text: list[str] = []
    pictures = 0
    for cell in nbformat.read(path, as_version=4).cells:
        code = cell.cell_type == "code"
        text.append(f"```python\n{cell.source}\n```" if code else cell.source)
        for output in cell.get("outputs", ()):
            shown = output.get("data", {})
            if "image/png" in shown:
                pictures += 1
                name = f"{path.stem}_{pictures}.png"
                yield name, b64decode(shown["image/png"])
                text.append(f"![What the lines above draw]({name})")
            elif "text/markdown" in shown:
                text.append(shown["text/markdown"])
            else:
                said = shown.get("text/plain") or output.text
                text.append(f"```text\n{said.rstrip()}\n```")
    yield f"{path.stem}.md", "\n\n".join(text)


def on_page_markdown(text: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links of a page at where things are on the site."""
    sources = {name: source for source, name in PAGES.items()}
    uri = page.file.src_uri
    here = Path(sources.get(uri) or f"docs/{uri}").parent
    up = "../" * uri.count("/")

    def moved(match: re.Match[str]) -> str:
        target = normpath((here / match[1]).as_posix())
        inside = PAGES.get(target) or target.removeprefix("docs/")
        inside = re.sub(r"\.ipynb$", ".md", inside)
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
