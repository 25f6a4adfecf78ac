"""A short history of probes, walked back and forth with the masks they drew."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari_segdino.segmenter import Segmenter

LEARNED = ("model_", "memory_", "n_classes_", "classes_", "encoder_key_")
"""Attributes of a segmenter that say what it has learned."""

LIMIT = 20
"""Probes kept."""

MAX_BYTES = 512 << 20
"""Bytes kept; what several probes share counts once."""


@dataclass(frozen=True, slots=True)
class Packed:
    """An array of labels, compressed.

    Parameters
    ----------
    data : bytes
        Deflated content.
    shape : tuple of int
        Its shape.
    dtype : str
        Its number type.
    """

    data: bytes
    shape: tuple[int, ...]
    dtype: str

    @classmethod
    def of(cls, array: NDArray[Any]) -> Packed:
        """Compress an array."""
        content = zlib.compress(np.ascontiguousarray(array).data, 1)
        return cls(content, array.shape, array.dtype.str)

    def array(self) -> NDArray[Any]:
        """Return the array anew."""
        flat = np.frombuffer(zlib.decompress(self.data), self.dtype)
        return flat.reshape(self.shape).copy()


@dataclass(frozen=True, slots=True)
class ProbeState:
    """A probe, and the masks that it drew.

    Parameters
    ----------
    learned : mapping of str to object
        Attributes of the segmenter; empty before it learned anything.
    masks : mapping of object to Packed
        Masks by any name, such as a layer's or (layer, plane).
    note : str
        For people, such as ``"round 3"``.
    """

    learned: Mapping[str, Any]
    masks: Mapping[Any, Packed]
    note: str

    def restore(self, segmenter: Segmenter) -> dict[Any, NDArray[Any]]:
        """Make a segmenter know what it knew; return the masks by name."""
        for name in LEARNED:
            if name in self.learned:
                value = self.learned[name]
                setattr(segmenter, name, dict(value) if name == "memory_" else value)
            elif hasattr(segmenter, name):
                delattr(segmenter, name)
        return {name: packed.array() for name, packed in self.masks.items()}


class ProbeHistory:
    """States of one segmenter, oldest first, bounded in number and bytes.

    Parameters
    ----------
    limit : int
        States kept, at least one.
    max_bytes : int
        Bytes kept; the state that is shown is always kept.
    """

    def __init__(self, limit: int = LIMIT, max_bytes: int = MAX_BYTES) -> None:
        self.limit, self.max_bytes = max(1, limit), max_bytes
        self.states: list[ProbeState] = []
        self.now = -1

    def record(
        self,
        segmenter: Segmenter,
        masks: Mapping[Any, NDArray[Any]] | None = None,
        note: str = "",
    ) -> ProbeState:
        """Note a state after learning or drawing; what lay ahead is dropped.

        Parameters
        ----------
        segmenter : Segmenter
            Its state is shared, not copied: a refit makes new objects.
        masks : mapping of object to numpy.ndarray of int, optional
            Masks as they are shown now, by any name.
        note : str
            For people.
        """
        learned = {n: getattr(segmenter, n) for n in LEARNED if hasattr(segmenter, n)}
        if "memory_" in learned:
            learned["memory_"] = dict(learned["memory_"])
        packed = {name: Packed.of(mask) for name, mask in (masks or {}).items()}
        state = ProbeState(learned, packed, note)
        self.states = [*self.states[: self.now + 1], state][-self.limit :]
        while len(self.states) > 1 and self.nbytes > self.max_bytes:
            self.states.pop(0)
        self.now = len(self.states) - 1
        return state

    @property
    def can_go_back(self) -> bool:
        """Whether there is an earlier state."""
        return self.now > 0

    @property
    def can_go_forth(self) -> bool:
        """Whether there is a later state."""
        return self.now + 1 < len(self.states)

    def back(self, segmenter: Segmenter) -> dict[Any, NDArray[Any]] | None:
        """Restore the state before; return its masks, None if there is none."""
        return self.go(self.now - 1, segmenter) if self.can_go_back else None

    def forth(self, segmenter: Segmenter) -> dict[Any, NDArray[Any]] | None:
        """Restore the state after; return its masks, None if there is none."""
        return self.go(self.now + 1, segmenter) if self.can_go_forth else None

    def go(self, index: int, segmenter: Segmenter) -> dict[Any, NDArray[Any]]:
        """Restore a state of :attr:`states`; return its masks.

        Raises
        ------
        IndexError
            If there is no such state.
        """
        if not 0 <= index < len(self.states):
            raise IndexError(index)
        self.now = index
        return self.states[index].restore(segmenter)

    @property
    def nbytes(self) -> int:
        """Bytes held by all states; what they share counts once."""
        sizes: dict[int, int] = {}
        for state in self.states:
            _measure(state.learned, sizes)
            for packed in state.masks.values():
                sizes[id(packed)] = len(packed.data)
        return sum(sizes.values())


def _measure(thing: Any, sizes: dict[int, int]) -> None:
    """Add the bytes of all tensors and arrays in a thing, by their identity."""
    if hasattr(thing, "nbytes"):
        sizes[id(thing)] = int(thing.nbytes)
    elif isinstance(thing, Mapping):
        for value in thing.values():
            _measure(value, sizes)
    elif isinstance(thing, list | tuple):
        for value in thing:
            _measure(value, sizes)
    elif hasattr(thing, "state_dict"):
        _measure(thing.state_dict(keep_vars=True), sizes)
    elif hasattr(thing, "__dataclass_fields__"):
        _measure([getattr(thing, name) for name in thing.__dataclass_fields__], sizes)
