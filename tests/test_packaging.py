"""What is built of the project, and what it says of itself in several places."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from napari_segdino import __version__
from napari_segdino.io.formats import READ_SUFFIXES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
HOOK = PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
TEXT = {"capture_output": True, "text": True}
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


def test_the_citation_is_of_the_last_release():
    text = (ROOT / "CITATION.cff").read_text()
    _, last, *_ = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert re.findall(r"^version: (.+)$", text, re.M) == [last]


def test_the_version_is_read_only_when_it_is_asked_for():
    code = (
        "import sys, napari_segdino as n; early = 'importlib.metadata' in sys.modules;"
        "print(early, len(sys.modules), n.__version__)"
    )
    bare = [sys.executable, "-I", "-S", "-c"]
    before = subprocess.run([*bare, "import sys; print(len(sys.modules))"], **TEXT)
    paths = f"import sys; sys.path[:] = {sys.path!r}; "
    found = subprocess.run([*bare, paths + code], **TEXT).stdout.split()
    assert found[::2] == ["False", __version__]
    assert int(found[1]) - int(before.stdout) < 60, "modules of Python's own and ours"


def test_what_builds_the_package_is_there_when_it_is_tested():
    wanted = set(PROJECT["build-system"]["requires"])
    assert wanted <= set(PROJECT["project"]["optional-dependencies"]["test"])


@pytest.mark.parametrize(
    ("described", "version"),
    [
        ("v0.3.1", "0.3.1"),
        ("v0.3.1-5-g35d39e62", "0.3.2.dev5+g35d39e62"),
        ("", "0.0"),
        (None, "0.0"),
    ],
)
def test_archives_without_git_have_a_version(tmp_path, described, version):
    """What `git archive` makes of a tag, of no tag, and a folder of files alone."""
    for name in ("pyproject.toml", "README.md"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    if described is not None:
        archival = (ROOT / ".git_archival.txt").read_text()
        lines = {"node": "35d39e62" * 5, "node-date": "2026-11-27T18:00:00+00:00"}
        lines["describe-name"] = described
        filled = "".join(f"{name}: {value}\n" for name, value in lines.items())
        assert re.findall(r"^[\w-]+:", archival, re.M) == [f"{n}:" for n in lines]
        (tmp_path / ".git_archival.txt").write_text(filled)
    code = (
        "from hatchling.metadata.core import ProjectMetadata as M;"
        "from hatchling.plugin.manager import PluginManager as P;"
        "print(M('.', P()).version)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, **TEXT)
    assert done.stdout.split()[-1:] == [version], done.stderr


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
