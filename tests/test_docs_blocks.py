"""Every block of code and every command of the documentation is run, or is one.

A block that needs what a test has not got, such as a network, a cluster or hours, says
so in a comment above it, ``<!-- not run: downloads PyTorch -->``; its commands must
still be ones that there are, with options that there are.
"""

import ast
import doctest
import importlib
import re
import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from fake_encoder import FakeEncoder
from skimage import data
from skimage.io import imsave

from napari_segdino import Segmenter
from napari_segdino.cli import main
from napari_segdino.heads.registry import get_recipe
from napari_segdino.io import Header, write_mask

ROOT = Path(__file__).parent.parent
FENCE = re.compile(
    r"(?:^<!-- not run: (?P<why>[^\n]+) -->\n)?^```(?P<kind>\w*)\n(?P<code>.*?)^```$",
    re.M | re.S,
)
SHELL = {"sh", "bash", "console"}
SHOWN = {"diff", "text"}
"""Languages of blocks that nobody would run."""

IMAGES = "IMAGES", "INPUTS", "photos", "more"
MASKS = "MASKS", "PREDICTED", "TRUE", "masks", "true"
"""Folders that blocks name, with files of the same names."""


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    kind: str
    code: str
    why: str | None

    def __str__(self):
        return f"{self.page}:{self.line}"


@cache
def pages():
    paths = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return {p.relative_to(ROOT).as_posix(): p.read_text("utf-8") for p in paths}


@cache
def blocks():
    return [
        Block(page, text[: m.start("code")].count("\n"), m["kind"], m["code"], m["why"])
        for page, text in pages().items()
        for m in FENCE.finditer(text)
    ]


def those(kinds, run):
    """Blocks of some languages that are run, or are not."""
    found = [b for b in blocks() if b.kind in kinds and (b.why is None) == run]
    return pytest.mark.parametrize("block", found, ids=str)


def commands(code):
    """Words of each command of a shell block, comments and variables left out."""
    for line in code.replace("\\\n", " ").splitlines():
        words = shlex.split(line.removeprefix("$ "), comments=True)
        while words:
            end = words.index("&&") if "&&" in words else len(words)
            command = [w for w in words[:end] if not re.match(r"[A-Z_]+=", w)]
            words = words[end + 1 :]
            if command:
                yield command


def parse(words):
    """Read a command's options as the program does, with every file in its place."""
    name, *rest = words
    for word in rest:
        path = Path(word)
        if not word.startswith("-") and not path.is_absolute() and not path.exists():
            path.mkdir(parents=True)
    context = main.commands[name].make_context(name, rest)
    if recipe := context.params.get("recipe"):
        get_recipe(recipe)


def prepare(folder, encoder):
    """Make what blocks name: pictures and masks, a scan, a slide, a probe."""
    coins = data.coins()
    for n in range(2):
        image = coins[4 * n :, 12 * n :][:48, :48]
        mask = (image > 110).astype(np.uint8)
        for names, pixels in ((IMAGES, image), (MASKS, mask)):
            for name in names:
                (folder / name).mkdir(exist_ok=True)
                path = folder / name / f"case_{n}.png"
                imsave(path, pixels, check_contrast=False)
    image = coins[:96, :96]
    (folder / "scans").mkdir()
    for name, pixels in (
        ("scans/one.nii.gz", np.stack([image, image[::-1]])),
        ("slide.ome.zarr", image),
    ):
        axes = "ZYX"[-pixels.ndim :]
        header = Header(
            shape=pixels.shape,
            axes=axes,
            spacing=(1.0,) * len(axes),
            units=("mm",) * len(axes),
        )
        write_mask(folder / name, pixels, header)
    marks = np.where(image > 130, 2, np.where(image < 60, 1, 0)).astype(np.uint8)
    probe = Segmenter(encoder, device="cpu").fit(image, marks)
    probe.save(folder / "polyp.segdino")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A prepared folder whose probes are of the built-in encoder."""
    made = tmp_path_factory.mktemp("folder")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(made / "cache"))
        prepare(made, "efficientnet_lite0")
        yield made


def test_every_block_says_what_it_is():
    fences = [text.count("\n```") // 2 for text in pages().values()]
    assert len(blocks()) == sum(fences) > 30
    assert {b.kind for b in blocks()} <= SHELL | SHOWN | {"python"}


@those({"python"}, run=True)
def test_blocks_of_python_run(block, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    names = {"__name__": "__main__"}
    before = set(folder.iterdir())
    exec(compile(block.code, str(block), "exec"), names)
    made = set(names) - {"__name__", "__builtins__"}
    assert made or capsys.readouterr().out or set(folder.iterdir()) - before


@those({"python"}, run=False)
def test_blocks_of_python_that_are_not_run_name_what_there_is(block):
    for node in ast.walk(ast.parse(block.code)):
        if isinstance(node, ast.ImportFrom) and node.module.startswith(
            "napari_segdino"
        ):
            module = importlib.import_module(node.module)
            assert all(hasattr(module, name.name) for name in node.names)


@those(SHELL, run=True)
def test_blocks_of_commands_run(block, tmp_path, monkeypatch):
    FakeEncoder().installed(monkeypatch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    prepare(tmp_path, "fake")
    for program, *rest in commands(block.code):
        assert program == "napari-segdino", "say why it is not run"
        result = CliRunner().invoke(main, rest)
        assert result.exit_code == 0, (rest, result.output, result.exception)


@those(SHELL, run=False)
def test_commands_that_are_not_run_are_ones_that_there_are(
    block, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for program, *rest in commands(block.code):
        if program == "napari-segdino" and rest:
            parse(rest)
        if program == "make":
            assert re.search(rf"^{rest[0]}:", (ROOT / "Makefile").read_text(), re.M)
        if program.endswith("python") and rest[0] == "-c":
            ast.parse(rest[1])
        for extra in re.findall(r"napari-segdino\[([\w-]+)\]", " ".join(rest)):
            assert f"\n{extra} = [" in (ROOT / "pyproject.toml").read_text()


def test_commands_within_a_line_are_ones_that_there_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = 0
    for page, text in pages().items():
        for line in re.findall(r"`napari-segdino ([a-z][^`]*)`", FENCE.sub("", text)):
            words = [w for w in shlex.split(line) if w != "..."]
            try:
                parse(words)
            except click.MissingParameter:
                # The sentence around it says what is left out.
                assert len(words) < 3, (page, line)
            found += 1
    assert found > 30


def test_scripts_that_are_named_are_there():
    named = {
        path
        for text in pages().values()
        for path in re.findall(r"\b(?:docs|tests)/[\w/]+\.py\b", text)
    }
    assert len(named) > 10
    assert {path for path in named if not (ROOT / path).is_file()} == set()


WITH_EXAMPLES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sorted((ROOT / "napari_segdino").rglob("*.py"))
    if "    >>> " in path.read_text("utf-8")
]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_of_docstrings_give_what_they_say(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert doctest.testmod(importlib.import_module(name)).failed == 0
