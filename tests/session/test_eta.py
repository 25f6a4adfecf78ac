"""What is said before a long wait."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from napari_segdino.images.planes import as_planes
from napari_segdino.progress import Progress, Steps, drive
from napari_segdino.session.eta import Notice, foretell, memory_notice


def work(total: int) -> Steps[str]:
    for done in range(total):
        yield Progress(done, total, "Training")
    return "done"


def ticking(seconds: float) -> Any:
    now = iter(float(n) * seconds for n in range(10_000))
    return lambda: next(now)


def told(total: int, seconds: float) -> tuple[str, list[Notice], int]:
    seen: list[Any] = []
    result = drive(foretell(work(total), ticking(seconds)), seen.append)
    notices = [s for s in seen if isinstance(s, Notice)]
    return result, notices, len(seen) - len(notices)


@pytest.mark.parametrize(
    ("total", "seconds", "minutes"), [(100, 0.5, None), (300, 1.0, 5), (100, 6.0, 10)]
)
def test_minutes_are_said_once(total: int, seconds: float, minutes: int | None) -> None:
    result, notices, passed = told(total, seconds)
    assert (result, passed) == ("done", total)
    if minutes is None:
        assert notices == []
    else:
        (notice,) = notices
        assert f"about {minutes} min" in notice.text


def test_closing_closes_the_task() -> None:
    closed: list[bool] = []

    def task() -> Iterator[Progress]:
        try:
            for done in range(9999):
                yield Progress(done, 9999)
        finally:
            closed.append(True)

    steps = foretell(task(), ticking(1.0))  # type: ignore[arg-type]
    for _ in range(50):
        next(steps)
    steps.close()
    assert closed == [True]


def test_memory_of_a_decoder_is_said_above_a_gigabyte() -> None:
    segmenter = SimpleNamespace(
        head="segdino_v2", encoder="dinov3_vitl16", recipe=None, features=None
    )
    volume = as_planes(np.zeros((200, 256, 256), np.uint8), volume=True)
    marks = np.ones((200, 256, 256), np.uint8)
    few = memory_notice(segmenter, [(volume, marks, [0, 1])])
    assert few is None
    many = memory_notice(segmenter, [(volume, marks, list(range(200)))])
    # 200 slices and 8 copies of each, 4 levels of 1024 x 16 x 16 float16.
    assert many is not None
    assert f"{200 * 9 * 4 * 1024 * 256 * 2 / 2**30:.1f} GiB" in many.text
    segmenter.head = "probe"
    many = memory_notice(segmenter, [(volume, marks, list(range(200)))])
    # 400 pixels of the class and 1024 from all over, of 3 blocks in 2 sizes.
    assert many is not None
    assert f"{200 * 1424 * 3 * 1024 * 2 * 2 / 2**30:.1f} GiB" in many.text
    segmenter.head = "mvr"
    marks[:, :128] = 2
    assert memory_notice(segmenter, [(volume, marks, list(range(200)))]) is None
    many = memory_notice(segmenter, [(volume, marks, list(range(200)) * 2)])
    assert many is not None
    assert f"{400 * 800 * 3 * 1024 * 2 / 2**30:.1f} GiB" in many.text
    strokes = np.zeros_like(marks)
    strokes[:, 3, :9] = 1
    assert memory_notice(segmenter, [(volume, strokes, list(range(200)))]) is None
    segmenter.head, segmenter.encoder = "segdino", "/weights/mine.pth"
    assert memory_notice(segmenter, [(volume, marks, [0])]) is None
