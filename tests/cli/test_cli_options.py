import io
import sys

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from napari_segdino.cli.heads import chosen_head, head_option, recipe_option
from napari_segdino.cli.options import (
    chosen_encoder,
    feature_settings,
    predict_settings,
)
from napari_segdino.cli.parsing import spread
from napari_segdino.cli.terminal import with_bar
from napari_segdino.config import FeatureSettings, PredictSettings
from napari_segdino.progress import Progress

NAMES = {"--shots", "--seeds"}


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("--shots 1 5 DIR", "--shots 1 --shots 5 DIR"),
        ("DIR --shots 1,5", "DIR --shots 1 --shots 5"),
        ("--shots=1,5 20 DIR", "--shots 1 --shots 5 --shots 20 DIR"),
        ("--shots 1 --seeds 2 3 -v", "--shots 1 --seeds 2 --seeds 3 -v"),
        ("--shots 1 -- 5", "--shots 1 -- 5"),
        ("--shots DIR", "--shots DIR"),
        ("DIR --shots", "DIR --shots"),
        ("--shots= DIR", "--shots= DIR"),
        ("--side 5 6", "--side 5 6"),
    ],
)
def test_several_numbers_after_an_option(typed, read):
    assert spread(typed.split(), NAMES) == read.split()


@given(
    st.lists(st.integers(0, 99), min_size=1), st.sampled_from([" ", ","]), st.booleans()
)
def test_every_number_is_kept_in_order(numbers, sign, first):
    option = ["--shots", *sign.join(map(str, numbers)).split()]
    found = spread([*option, "DIR"] if first else ["DIR", *option], NAMES)
    assert found.count("DIR") == 1
    assert [int(v) for v in found if v.isdigit()] == numbers
    assert found.count("--shots") == len(numbers)


def test_settings_come_from_options_and_defaults_from_settings(run):
    names = ("intensity", "flips", "tile", "overlap", "slices", "neighbours")
    nothing = dict.fromkeys(names)
    assert feature_settings(nothing, "probe") is None
    some = nothing | {"flips": True, "intensity": "ct bone", "neighbours": 1}
    assert feature_settings(some, "probe") == FeatureSettings(
        flips=True, intensity="ct bone", neighbours=1
    )
    assert feature_settings(some, "segdino", "segdino").sides == (256,)
    marked = {"fusion": "mean", "regularise": False, "z_sigma": 2.0, "z_unit": "mm"}
    assert predict_settings(marked) == PredictSettings("mean", False, 2.0, "mm")


def test_overlap_of_more_than_half_is_wrong_usage(run, folders, fake):
    base = folders(2)
    args = ("train", base, "-o", base / "a.segdino", "--tile", 64)
    result = run(*args, "--overlap", 33, status=2)
    assert "half of --tile" in result.stderr


def test_the_encoder_that_is_here_is_chosen(monkeypatch, capsys):
    import napari_segdino.encoders as table

    monkeypatch.setattr(table, "find_weights", lambda spec: None)
    assert chosen_encoder(None) == table.BUILTIN_ENCODER
    assert table.DEFAULT_ENCODER in capsys.readouterr().err
    monkeypatch.setattr(table, "find_weights", lambda spec: "file")
    assert chosen_encoder(None) == table.DEFAULT_ENCODER
    assert chosen_encoder("timm:x") == "timm:x"


def task(log):
    yield Progress(0, 2, "Reading")
    yield "a line"
    yield Progress(1, 2, "Reading")
    yield 42
    yield Progress(0, 0, "Training")
    log.append("end")
    return "result"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_sees_a_bar_and_lines(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    log = []
    assert with_bar(task(log), log.append, "[1/3]") == "result"
    assert log == [42, "end"]
    shown = sys.stderr.getvalue()
    assert "[1/3] Reading" in shown
    assert "0/2" in shown
    assert "a line\n" in shown


def test_a_file_sees_lines_only(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert with_bar(task([])) == "result"
    assert sys.stderr.getvalue() == "a line\n"
    monkeypatch.setattr("napari_segdino.cli.terminal.SECONDS_IN_A_LOG", 0)
    with_bar(task([]))
    assert "Reading 1/2\n" in sys.stderr.getvalue()


def test_a_bar_closes_the_task_when_it_is_interrupted(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    closed = []

    def endless():
        try:
            while True:
                yield 1
        finally:
            closed.append(True)

    def interrupt(_step):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        with_bar(endless(), interrupt)
    assert closed == [True]


@pytest.mark.parametrize(
    ("head", "recipe", "default", "chosen"),
    [
        (None, None, "probe", "probe"),
        (None, None, "mvr", "mvr"),
        ("segdino", None, "mvr", "segdino"),
        (None, "segdino_published", "mvr", "segdino"),
        ("segdino", "segdino_published", "mvr", "segdino"),
    ],
)
def test_a_recipe_names_its_head(head, recipe, default, chosen):
    assert chosen_head(head, recipe, default) == chosen


def test_a_recipe_of_another_head_is_wrong_usage():
    with pytest.raises(click.UsageError, match="segdino_published is for --head segd"):
        chosen_head("probe", "segdino_published")


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("--head prob", "did you mean 'probe'?"),
        ("--recipe segdino:width=1", "width"),
        ("--recipe segdin", "did you mean 'segdino'?"),
    ],
)
def test_heads_and_recipes_are_checked_where_they_are_typed(typed, told):
    @click.command()
    @head_option()
    @recipe_option("How.")
    def command(head, recipe):
        raise AssertionError("it was taken")

    done = CliRunner().invoke(command, typed.split())
    assert done.exit_code == 2
    assert told in " ".join(done.output.replace("│", " ").split())
