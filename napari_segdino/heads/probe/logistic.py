"""Ridge logistic regression on the orthonormal functions of a kernel."""

from __future__ import annotations

import torch

NEWTON_STEPS = 30


def whiten(
    kernel: torch.Tensor, of_landmarks: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Express kernels in orthonormal functions.

    Parameters
    ----------
    kernel : torch.Tensor, shape (N, M), float64
        Of rows and landmarks.
    of_landmarks : torch.Tensor, shape (M, M), float64
        Of the landmarks among themselves.

    Returns
    -------
    design : torch.Tensor, shape (N, R), float64
        The functions at the rows.
    back : torch.Tensor, shape (M, R), float64
        Turns weights of the functions into weights of the landmarks.
    """
    values, vectors = torch.linalg.eigh(of_landmarks)
    # Directions in which the landmarks repeat each other would be divided by nearly 0.
    kept = values > values[-1] * 1e-7
    back = vectors[:, kept] / values[kept].sqrt()
    return kernel @ back, back


def logistic(
    design: torch.Tensor,
    target: torch.Tensor,
    weights: torch.Tensor,
    ridge: float,
) -> torch.Tensor:
    """Fit ridge logistic regression with both sides weighing the same.

    Parameters
    ----------
    design : torch.Tensor, shape (N, R), float64
        Functions at the rows.
    target : torch.Tensor, shape (N,), float64
        Chance of each row to be inside, from 0 to 1.
    weights : torch.Tensor, shape (N,), float64
        What each row weighs before the sides are balanced.
    ridge : float
        Precision of the prior on the coefficients.

    Returns
    -------
    torch.Tensor, shape (R,), float64
    """
    inside, outside = weights @ target, weights @ (1 - target)
    # Each side weighs half of what both weighed together: the ridge keeps its meaning.
    shares = target / inside, (1 - target) / outside
    balance = shares[0] + shares[1]
    target = shares[0] / balance
    weights = weights * balance * (inside + outside) / 2
    beta = design.new_zeros(design.shape[1])
    # The ridge makes it strictly convex: the optimum is unique, wherever one starts.
    for _ in range(NEWTON_STEPS):
        p = torch.sigmoid(design @ beta)
        hessian = (design.T * (weights * p * (1 - p))) @ design
        hessian.diagonal().add_(ridge)
        slope = design.T @ (weights * (p - target)) + ridge * beta
        step = torch.linalg.solve(hessian, slope)
        beta = beta - step
        if float(step.abs().max()) < 1e-4:
            break
    return beta
