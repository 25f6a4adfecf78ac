"""What plots show, read from their axes, and what is refused before long work."""

import sys

import numpy as np
import pytest
from PIL import Image

from napari_segdino.errors import InputError, ScanError
from napari_segdino.metrics import Row
from napari_segdino.study import plots
from napari_segdino.study.ablation import StepSummary
from napari_segdino.study.shots import ShotSummary

pytest.importorskip("matplotlib")

NAN = float("nan")


@pytest.fixture
def drawn(monkeypatch):
    """Axes of the last figure that was written."""
    kept = []
    save = plots._save

    def keep(figure, path):
        kept[:] = figure.axes
        save(figure, path)

    monkeypatch.setattr(plots, "_save", keep)
    return kept


def row(case, label, dice, hd95):
    return Row(case, label, dice, dice / 2, hd95, 1.0, 1, 1)


def names(labels):
    return [label.get_text() for label in labels]


def test_scores_are_shown_by_class_without_infinite_ones(drawn, tmp_path):
    rows = [row("a", 1, 0.8, 2.0), row("b", 1, 0.6, np.inf), row("a", 3, 0.5, 4.0)]
    plots.plot_scores(tmp_path / "a.png", rows)
    assert [axis.get_title() for axis in drawn] == ["Dice", "IoU", "HD95"]
    for axis, of_one, of_three in zip(
        drawn, ([0.8, 0.6], [0.4, 0.3], [2]), ([0.5], [0.25], [4]), strict=True
    ):
        assert names(axis.get_xticklabels()) == ["1", "3"]
        points = [line for line in axis.lines if line.get_marker() == "o"]
        assert [list(line.get_ydata()) for line in points] == [of_one, of_three]
        for place, line in enumerate(points, 1):
            assert np.abs(line.get_xdata() - place).max() <= 0.15
    with Image.open(tmp_path / "a.png") as picture:
        assert np.asarray(picture).std() > 5


def test_shots_are_shown_with_their_spread(drawn, tmp_path):
    found = [
        ShotSummary(1, 1, 0.4, NAN, 0.3, 0.5, 0.5),
        ShotSummary(5, 3, 0.8, 0.1, 0.7, 0.9, 1.0),
    ]
    plots.plot_shots(tmp_path / "a.svg", found)
    (axis,) = drawn
    assert axis.get_xscale() == "log"
    assert names(axis.get_xticklabels()) == ["1", "5"]
    (bars,) = axis.collections
    heights = [(low[1], high[1]) for low, high in bars.get_segments()]
    assert heights == [(0.4, 0.4), (pytest.approx(0.7), pytest.approx(0.9))]
    assert (tmp_path / "a.svg").read_text().lstrip().startswith("<?xml")


def test_steps_are_shown_from_top_to_bottom(drawn, tmp_path):
    found = [
        StepSummary("single view", 0.7, NAN, NAN, NAN, NAN),
        StepSummary("+ flips", 0.75, 0.01, 0.05, 0.01, 0.09),
    ]
    plots.plot_steps(tmp_path / "a.pdf", found)
    (axis,) = drawn
    assert names(axis.get_yticklabels()) == ["single view", "+ flips"]
    assert list(axis.lines[0].get_xdata()) == [0.7, 0.75]
    bottom, top = axis.get_ylim()
    assert bottom > top, "the first step stands above the second"
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")


def test_an_unknown_format_is_refused_before_anything_is_drawn(tmp_path):
    with pytest.raises(InputError, match=r"a\.txt is no plot: .*png.*are known"):
        plots.check_plot(tmp_path / "a.txt")
    plots.check_plot(tmp_path / "a.PNG")
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_it_is_said_how_to_get_it(monkeypatch, tmp_path):
    assert plots.can_plot()
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    with pytest.raises(InputError, match=r"pip install 'napari-segdino\[plot\]'"):
        plots.check_plot(tmp_path / "a.png")


def test_a_plot_that_cannot_be_written_leaves_nothing(tmp_path):
    rows = [row("a", 1, 0.8, 2.0)]
    with pytest.raises(ScanError, match="cannot be written"):
        plots.plot_scores(tmp_path / "none" / "a.png", rows)
    assert list(tmp_path.iterdir()) == []
