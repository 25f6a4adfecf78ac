"""The linear system that regularises, against its solution by hand or by numpy."""

import numpy as np
import pytest
import torch

from napari_segdino.inference.diffusion import (
    EDGE,
    LEAK,
    PAINTED,
    SMOOTHNESS,
    UNSURE,
    VOLUME_EDGE,
    diffuse,
    iter_diffuse_volume,
    marks_on_cells,
    put_marks,
    trust_in,
)
from napari_segdino.progress import drive


def test_a_cell_is_marked_where_any_of_its_pixels_is():
    marks = torch.zeros(3, 5, dtype=torch.uint8)
    marks[0, 1], marks[2, 4], marks[1, 3] = 1, 2, 3
    assert marks_on_cells(marks, 2).tolist() == [[1, 3, 0], [0, 0, 2]]
    assert marks_on_cells(marks, 1).tolist() == marks.tolist()


def test_trust_follows_the_lead_of_the_likeliest_class():
    maps = torch.tensor([[0.5, 1.0, 0.2], [0.5, 0.0, 0.2], [0.0, 0.0, 0.6]])
    expected = [UNSURE, 1 + UNSURE, 0.16 + UNSURE]
    np.testing.assert_allclose(trust_in(maps), expected, rtol=1e-5)
    two = torch.tensor([[0.5, 1.0, 0.3], [0.5, 0.0, 0.7]])
    np.testing.assert_allclose(trust_in(two), expected, rtol=1e-5)


def test_marks_outweigh_what_the_probe_says():
    evidence = torch.full((3, 1, 2), 1 / 3)
    trust = torch.full((1, 2), 0.5)
    put_marks(evidence, trust, torch.tensor([[0, 3]]))
    assert evidence[:, 0, 1].tolist() == [0, 0, 1]
    np.testing.assert_allclose(evidence[:, 0, 0], 1 / 3)
    assert trust.tolist() == [[0.5, PAINTED]]


def test_two_cells_by_hand():
    """(t + w) a - w b = t e, and the same for the other one."""
    w = SMOOTHNESS * (1 + LEAK)
    evidence = torch.tensor([[[1.0, 0.0]]])
    found = diffuse(torch.zeros(1, 1, 2), evidence, torch.ones(1, 2))
    a = (1 + w) / (1 + 2 * w)
    np.testing.assert_allclose(found, [[[a, 1 - a]]], atol=1e-5)
    assert found.dtype == torch.float32


def dense(guides, evidence, trust, link):
    """Solve the system with a full matrix; `link` weighs neighbours along an axis."""
    shape = trust.shape
    number = np.arange(trust.size).reshape(shape)
    matrix = np.diag(trust.ravel()).astype(float)
    for axis in range(len(shape)):
        count = shape[axis] - 1
        near, far = (np.take(number, range(s, s + count), axis).ravel() for s in (0, 1))
        squares = (np.diff(guides, axis=axis + 1) ** 2).sum(0).ravel()
        for i, j, w in zip(near, far, link(axis, squares), strict=True):
            matrix[[i, j], [i, j]] += w
            matrix[i, j] -= w
            matrix[j, i] -= w
    wanted = (trust * evidence).reshape(len(evidence), -1)
    return np.linalg.solve(matrix, wanted.T).T.reshape(evidence.shape)


def problem(*shape):
    random = np.random.default_rng(0)
    guides = random.random((2, *shape)).astype(np.float32)
    evidence = random.random((3, *shape)).astype(np.float32)
    trust = random.uniform(0.1, 1, shape).astype(np.float32)
    return guides, evidence, trust


@pytest.mark.parametrize("edges", [None, 0.02])
def test_a_tile_is_solved_as_by_a_full_matrix(edges):
    guides, evidence, trust = problem(4, 5)
    squares = [(np.diff(guides, axis=a) ** 2).sum(0) for a in (1, 2)]
    usual = edges or np.concatenate([s.ravel() for s in squares]).mean()

    def link(axis, squares):
        return SMOOTHNESS * (np.exp(-EDGE * squares / usual) + LEAK)

    tensors = (torch.from_numpy(a) for a in (guides, evidence, trust))
    found = diffuse(*tensors, edges)
    np.testing.assert_allclose(found, dense(guides, evidence, trust, link), atol=1e-3)


def test_a_volume_is_solved_as_by_a_full_matrix():
    guides, evidence, trust = problem(3, 4, 5)
    guides[:, 1:] = guides[:, :1]  # equal slices resemble each other fully
    across, usual = 0.7, 0.3

    def link(axis, squares):
        return (
            (across if axis == 0 else 1.0)
            * SMOOTHNESS
            * (np.exp(-VOLUME_EDGE * squares / usual) + LEAK)
        )

    tensors = (torch.from_numpy(a) for a in (guides, evidence, trust))
    found = drive(iter_diffuse_volume(*tensors, usual, across, "")).numpy()
    np.testing.assert_allclose(found, dense(guides, evidence, trust, link), atol=1e-3)


def test_nothing_passes_an_edge_but_the_leak():
    guides, evidence = torch.zeros(1, 1, 6), torch.zeros(1, 1, 6)
    guides[..., 3:] = 1
    evidence[..., :3] = 1
    trust = torch.full((1, 6), UNSURE)
    kept = diffuse(guides, evidence, trust, edges=0.01)[0, 0]
    assert kept[:3].min() > 0.85
    assert kept[3:].max() < 0.15
    blurred = diffuse(torch.zeros_like(guides), evidence, trust)[0, 0]
    assert (blurred - 0.5).abs().max() < 0.05, "without an edge they meet halfway"
