"""What can happen to the files of a project."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from napari_segdino.session.project import PROJECT_FILE

WRONG = (None, "x", -1, 10**12, 1.5, [], [1], {}, {"a": 1}, True)


def damages(folder: Path) -> Iterator[Callable[[], Any]]:
    """Yield functions that change one thing of a project each."""
    about = json.loads((folder / PROJECT_FILE).read_text())

    def put(place, key, value):
        place[key] = value
        (folder / PROJECT_FILE).write_text(json.dumps(about))

    def remove(place, key):
        del place[key]
        (folder / PROJECT_FILE).write_text(json.dumps(about))

    def places(value):
        if isinstance(value, dict | list):
            for key in list(value) if isinstance(value, dict) else range(len(value)):
                yield value, key
                yield from places(value[key])

    for place, key in list(places(about)):
        yield lambda p=place, k=key: remove(p, k)
        for other in WRONG:
            yield lambda p=place, k=key, o=other: put(p, k, o)
    for file in [f for f in folder.rglob("*") if f.is_file()]:
        data = file.read_bytes()
        yield file.unlink
        for cut in (0, len(data) // 2, len(data) - 1):
            yield lambda f=file, d=data[:cut]: f.write_bytes(d)
        for bit in random.Random(len(data)).sample(range(8 * len(data)), 12):
            flipped = bytearray(data)
            flipped[bit // 8] ^= 1 << bit % 8
            yield lambda f=file, d=bytes(flipped): f.write_bytes(d)
