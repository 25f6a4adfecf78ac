"""Training the perceptrons of a probe from whole masks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from napari_segdino.encoders.device import upload
from napari_segdino.heads.probe.basis import Basis
from napari_segdino.heads.probe.model import NetworkProbe
from napari_segdino.heads.probe.samples import Place, Sample
from napari_segdino.progress import Progress, Steps

HIDDEN, BATCH, GAIN = 64, 1024, 3.0
"""Hidden units, pixels a step, input scale; tried in docs/benchmarks/interactive.md."""

CENTRING = 0.0, 1.0
"""Of each member: what part of the mean of its tile is taken off a vector. One sees
what is there, the other how it differs from the rest of the image."""

ONE_IMAGE_CENTRING = 1.0, 1.0
"""The same where all is of one image: what is particular to it helps with no other."""


def iter_fit_network(
    samples: Sequence[Sample],
    basis: Basis,
    present: torch.Tensor,
    seed: int,
    steps: int,
    one_image: bool = False,
) -> Steps[NetworkProbe]:
    """Train perceptrons on pixels drawn by weight, with dropout.

    Parameters
    ----------
    samples : sequence of Sample
        Marked pixels; their weights are how often they are drawn.
    basis : Basis
        Makes vectors of features.
    present : torch.Tensor, shape (K,), bool
        Classes with marks.
    seed : int
        The same seed gives the same perceptrons; torch's own seed is neither read nor
        changed.
    steps : int
        Steps of descent.
    one_image : bool
        Whether all samples are of one image.

    Yields
    ------
    Progress
        Before each step.

    Returns
    -------
    NetworkProbe
    """
    features = torch.cat([s.features for s in samples])
    # A block's mean squared norm is 1 over all its components: each of them is small.
    x = basis.project(features) * GAIN
    means = torch.stack([basis.project(s.context).mean(0) for s in samples]) * GAIN
    device = x.device
    counts = torch.tensor([len(s.codes) for s in samples], device=device)
    tile = torch.repeat_interleave(counts)
    # A tile that is a part of its plane may be all object: its mean says little.
    wanted = torch.tensor(ONE_IMAGE_CENTRING if one_image else CENTRING)
    centring = (wanted * all(_is_plane(s) for s in samples)).to(device)
    classes = torch.cat([s.codes for s in samples]).long() - 1
    # Drawn on the CPU: the same seed gives the same pixels and units on any device.
    chance = torch.cat([s.weights for s in samples]).cpu()
    random = torch.Generator().manual_seed(seed)
    weights = _initial(x.shape[1], len(present), random, device)
    members = len(CENTRING)
    # Callers may hold inference mode or no_grad: without this nothing would be learned.
    with torch.enable_grad():
        optimiser = torch.optim.AdamW(weights, 3e-3, weight_decay=1e-2)
        rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, total_steps=steps)
        for step in range(steps):
            yield Progress(step, steps, "Training")
            drawn = torch.multinomial(chance, BATCH * members, True, generator=random)
            drawn = upload(drawn, device)
            rows = drawn.view(members, -1)
            shown = x[rows] - centring[:, None, None] * means[tile[rows]]
            features = _drop(shown, 0.1, random)
            units = functional.gelu(features @ weights[0] + weights[1])
            logits = _drop(units, 0.3, random) @ weights[2] + weights[3]
            loss = functional.cross_entropy(logits.flatten(0, 1), classes[drawn])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            rate.step()
    hidden, hidden_bias, output, output_bias = (w.detach() for w in weights)
    output_bias[..., ~present] = -torch.inf
    # The input scale goes into the first layer, so that vectors are read as they are.
    layers = hidden * GAIN, hidden_bias, output, output_bias
    return NetworkProbe(basis, *layers, centring)


def _is_plane(sample: Sample) -> bool:
    """Whether a tile is known to be the whole of its plane."""
    if sample.place is None:  # a file of before it was kept
        return False
    place = Place(*sample.place.tolist())
    return place[2:] == (0, 1, 0, 1)


def _initial(
    width: int, n_classes: int, random: torch.Generator, device: torch.device
) -> list[torch.Tensor]:
    """Weights and biases of both layers of all members."""
    hidden = torch.empty(len(CENTRING), width, HIDDEN)
    output = torch.empty(len(CENTRING), HIDDEN, n_classes)
    for layer in (hidden, output):
        bound = layer.shape[1] ** -0.5
        layer.uniform_(-bound, bound, generator=random)
    biases = (
        torch.zeros(len(CENTRING), 1, HIDDEN),
        torch.zeros(len(CENTRING), 1, n_classes),
    )
    layers = [hidden, biases[0], output, biases[1]]
    return [w.to(device).requires_grad_() for w in layers]


def _drop(x: torch.Tensor, share: float, random: torch.Generator) -> torch.Tensor:
    # functional.dropout takes no generator: it would draw from torch's own seed.
    kept = torch.rand(x.shape, generator=random) > share
    return x * upload(kept, x.device) / (1 - share)
