"""Ridge logistic regression, and the functions it works on."""

import torch

from napari_segdino.heads.probe.logistic import logistic, whiten

DESIGN = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)


def test_at_the_optimum_the_slope_is_zero():
    target = torch.tensor([1.0, 0.0], dtype=torch.float64)
    (beta,) = logistic(DESIGN, target, torch.ones(2, dtype=torch.float64), 0.5)
    p = torch.sigmoid(beta)
    assert abs(float(2 * (p - 1) + 0.5 * beta)) < 1e-4, "two rows pull alike"
    assert beta > 0


def test_both_sides_weigh_the_same_however_many_there_are():
    target = torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    design = torch.ones(4, 1, dtype=torch.float64)
    beta = logistic(design, target, torch.ones(4, dtype=torch.float64), 0.1)
    assert abs(float(beta)) < 1e-6


def test_rows_that_may_be_either_pull_nowhere():
    target = torch.tensor([0.5, 0.5], dtype=torch.float64)
    beta = logistic(DESIGN, target, torch.ones(2, dtype=torch.float64), 0.1)
    assert abs(float(beta)) < 1e-6


def test_whitened_functions_have_the_kernel_as_inner_products():
    kernel = torch.tensor([[2.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
    design, back = whiten(kernel, kernel)
    assert torch.allclose(design @ design.T, kernel)
    assert torch.allclose(kernel @ back, design)
    twice = torch.ones(2, 2, dtype=torch.float64)
    assert whiten(twice, twice)[0].shape == (2, 1), "the same landmark twice"
