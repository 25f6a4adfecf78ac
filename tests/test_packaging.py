"""What is built of the project, and what it says of itself in several places."""

import re
import tomllib
from pathlib import Path

import pytest

from napari_segdino import __version__
from napari_segdino.io.formats import READ_SUFFIXES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
HOOK = PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
ADDRESS = PROJECT["project"]["urls"]["Source Code"]


def built(text):
    """Text as the description of the package has it."""
    for step in HOOK["substitutions"]:
        text = re.sub(step["pattern"], step["replacement"], text)
    return text


def test_the_description_has_no_relative_link():
    targets = re.findall(r"\]\(([^)]+)\)", built(README))
    assert len(targets) == len(re.findall(r"\]\(([^)]+)\)", README)) > 20
    assert [t for t in targets if not t.startswith("https://")] == []


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("[a](docs/a.md#b)", f"[a]({ADDRESS}/blob/main/docs/a.md#b)"),
        ("![a](docs/a.png)", f"![a]({ADDRESS}/main/docs/a.png)"),
        ("[a](https://napari.org)", "[a](https://napari.org)"),
        ("[a](#licence)", "[a](#licence)"),
    ],
)
def test_links_and_pictures_become_absolute(written, expected):
    raw = expected.replace("github.com", "raw.githubusercontent.com")
    assert built(written) == (raw if written.startswith("!") else expected)


def test_there_is_one_address_of_the_project():
    owner = ADDRESS.removeprefix("https://github.com/")
    files = [
        "pyproject.toml",
        "CITATION.cff",
        "mkdocs.yml",
        *ROOT.glob(".github/**/*.yml"),
    ]
    texts = [(ROOT / name).read_text() for name in files]
    hosts = r"https://(?:raw\.githubusercontent|github)\.com/([\w-]+/[\w-]+)"
    found = [re.findall(hosts, text) for text in texts]
    assert sum(map(len, found)) >= 10
    assert {one for some in found for one in some} == {owner}


def test_the_index_links_to_all_that_a_user_may_look_for():
    wanted = {"Homepage", "Source Code", "Bug Tracker", "User Support"}
    wanted |= {"Documentation", "Changelog"}
    urls = PROJECT["project"]["urls"]
    assert set(urls) == wanted
    blob = f"{ADDRESS}/blob/main/"
    inside = [u.removeprefix(blob) for u in urls.values() if u.startswith(blob)]
    assert len(inside) == 2
    assert all((ROOT / name).is_file() for name in inside)


def test_the_citation_is_of_this_version():
    text = (ROOT / "CITATION.cff").read_text()
    assert re.findall(r"^version: (.+)$", text, re.M) == [__version__]


def test_files_that_the_readme_says_it_opens_are_opened():
    table = README.split("| files | opened |")[1].split("\n\n")[0]
    rows = [line.split("|")[2] for line in table.splitlines()[2:]]
    named = {suffix for row in rows for suffix in re.findall(r"`(\.[\w.]+)`", row)}
    assert len(named) > 20
    assert named <= set(READ_SUFFIXES)


def test_links_between_documents_lead_somewhere():
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
    broken = []
    for page in [*pages, *(ROOT / "docs").rglob("*.md")]:
        text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            path, _, anchor = link.partition("#")
            if path.startswith("http"):
                continue
            target = page.parent / path if path else page
            if not target.exists() or (anchor and anchor not in anchors(target)):
                broken.append(f"{page.name}: {link}")
    assert broken == []


def anchors(page):
    """Names of a page's headings, as links on GitHub have them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    plain = (re.sub(r"[^\w\- ]", "", h.lower()) for h in headings)
    return {h.replace(" ", "-") for h in plain}
