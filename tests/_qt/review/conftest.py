"""A user whose probe has learned something."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def train(make_user: Callable[..., Any], probe_maker: Any) -> Callable[..., Any]:
    """Open an image, mark the middling field as class 1 and the square as not."""

    def make(data: np.ndarray, review: bool = True, **kwargs: Any) -> Any:
        how = {
            k: kwargs.pop(k) for k in ("show", "whole_volume", "follow") if k in kwargs
        }
        user = make_user(maker=probe_maker, **how)
        user.open(data, **kwargs)
        if review:
            user.dock.tabs.setCurrentWidget(user.dock.review)
        user.segment()
        mark(user, 1, (50, 60))
        mark(user, 0, (25, 25))
        user.retrain()
        return user

    return make


def mark(user: Any, label: int, at: tuple[int, int]) -> None:
    """Paint a dot of 3 pixels on the slice that is shown."""
    mask = user.annotation.mask
    mask.brush_size, mask.mode = 3, "paint"
    lead = user.annotation.planes.index(user.annotation.shown())
    mask.paint((*lead, *at), label)


@pytest.fixture
def contradict() -> Callable[[Any, tuple[int, int]], None]:
    """Paint a dot of the class that the mask has not there."""

    def paint(user: Any, at: tuple[int, int]) -> None:
        lead = user.annotation.planes.index(user.annotation.shown())
        mark(user, 1 - int(user.annotation.mask.data[(*lead, *at)]), at)

    return paint


@pytest.fixture
def dot() -> Callable[..., None]:
    """Paint a dot of 3 pixels on the slice that is shown."""
    return mark
