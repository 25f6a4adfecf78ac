"""The table of heads: what it lists is what there is, and how it is called."""

import subprocess
import sys
from pathlib import Path

import pytest

from napari_segdino.errors import InputError
from napari_segdino.heads.base import Head
from napari_segdino.heads.registry import (
    DEFAULT_HEAD,
    HEADS,
    head_class,
    make_head,
)
from napari_segdino.segmenter import Segmenter
from napari_segdino.session.settings import Settings

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", HEADS)
def test_a_row_names_its_head_and_says_one_sentence(name):
    assert head_class(name).name == name
    assert HEADS[name].description.endswith(".")
    assert HEADS[name].description.count(".") == 1
    names = {recipe.name for recipe in head_class(name).recipes}
    assert {name, f"{name}_quick"} <= names


@pytest.mark.parametrize("name", HEADS)
def test_a_head_has_all_of_the_protocol(name):
    # It inherits the protocol: what it forgets would be there and return None.
    kind = head_class(name)
    methods = {m for m, f in vars(Head).items() if m[0] != "_" and callable(f)}
    assert len(methods) > 8
    for method in {*methods, "option_names"}:
        assert getattr(kind, method).__qualname__ != f"Head.{method}", method
    missing = [m for m in Head.__annotations__ if not hasattr(kind, m)]
    assert not missing


def test_the_readme_lists_the_heads():
    rows = (ROOT / "README.md").read_text().split("| head |")[1].splitlines()
    listed = [row.split("`")[1] for row in rows if row.startswith("| `")]
    assert listed == list(HEADS)


def test_the_probe_is_the_default_everywhere():
    assert Segmenter().head == Settings().head == DEFAULT_HEAD == "probe"


def test_the_default_head_needs_no_torch():
    code = (
        "import sys; from napari_segdino.heads.registry import DEFAULT_HEAD, make_head;"
        "make_head(DEFAULT_HEAD).default_features(); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


def test_an_unknown_head_is_refused_with_what_there_is():
    with pytest.raises(InputError) as refused:
        make_head("segdino_v3")
    assert str(refused.value) == (
        "There is no head named 'segdino_v3' (did you mean 'segdino_v2'?): there are "
        f"{', '.join(HEADS)}."
    )


def test_mvr_is_a_head_of_its_own():
    assert head_class("mvr") is not head_class("probe")
    segmenter = Segmenter(head="mvr", recipe="mvr:steps=10")
    assert (segmenter.head, segmenter.recipe) == ("mvr", "mvr:steps=10")
    assert make_head("mvr", "mvr_quick").name == "mvr"
    with pytest.raises(InputError, match="is for the head mvr, not probe"):
        make_head("probe", "mvr")
