"""A short history of probes, walked back and forth with the masks they drew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from napari_segdino.compressed import Compressed

if TYPE_CHECKING:
    from napari_segdino.segmenter import Segmenter

LEARNED = (
    "model_",
    "samples_",
    "n_classes_",
    "classes_",
    "encoder_key_",
    "channels_",
)
"""Attributes of a segmenter that say what it has learned."""

MADE_WITH = ("encoder", "head", "features", "recipe")
"""Parameters of a segmenter that what it has learned is bound to."""

PARAMS = "params"
"""Where :func:`learned_of` puts them."""

LIMIT = 20
"""Probes kept."""

MAX_BYTES = 512 << 20
"""Bytes kept; what several probes share counts once."""


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
    origin : object
        Whatever the caller wants to find with it again.
    sizes : mapping of int to int
        Bytes of all that is learned, by identity: states share most of it.
    """

    learned: Mapping[str, Any]
    masks: dict[Any, Compressed]
    note: str
    origin: Any = None
    sizes: Mapping[int, int] = field(default_factory=dict, repr=False)

    @property
    def nbytes(self) -> int:
        """Bytes of all that it holds, shared or not."""
        masks = sum(len(packed.data) for packed in self.masks.values())
        return sum(self.sizes.values()) + masks

    def knows(self, learned: Mapping[str, Any]) -> bool:
        """Whether this is what a segmenter knows; see :func:`learned_of`."""
        mine = self.learned
        if mine.get("model_") is not learned.get("model_"):
            return False
        tiles, others = mine.get("samples_", {}), learned.get("samples_", {})
        return tiles.keys() == others.keys() and all(
            tiles[key] is others[key] for key in tiles
        )

    def teach(self, segmenter: Segmenter) -> None:
        """Make a segmenter know what it knew."""
        if made_with := self.learned.get(PARAMS):
            segmenter.set_params(**made_with)
        for name in LEARNED:
            if name in self.learned:
                value = self.learned[name]
                setattr(segmenter, name, dict(value) if name == "samples_" else value)
            elif hasattr(segmenter, name):
                delattr(segmenter, name)


def learned_of(segmenter: Segmenter) -> dict[str, Any]:
    """Return what a segmenter knows: shared, not copied, as a refit makes new.

    With it go the parameters that it is bound to; empty before it learned anything.
    """
    learned = _attributes(segmenter, LEARNED)
    if learned:
        learned[PARAMS] = _attributes(segmenter, MADE_WITH)
    if "samples_" in learned:
        learned["samples_"] = dict(learned["samples_"])
    return learned


def _attributes(segmenter: Segmenter, names: Iterable[str]) -> dict[str, Any]:
    return {n: getattr(segmenter, n) for n in names if hasattr(segmenter, n)}


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
        segmenter: Segmenter | Mapping[str, Any],
        masks: Mapping[Any, NDArray[Any]] | None = None,
        note: str = "",
        origin: Any = None,
    ) -> ProbeState:
        """Note a state after learning or drawing; what lay ahead is dropped.

        Parameters
        ----------
        segmenter : Segmenter or mapping of str to object
            What to note, or what :func:`learned_of` told of it earlier.
        masks : mapping of object to numpy.ndarray of int, optional
            Masks as they are shown now, by any name.
        note : str
            For people.
        origin : object
            Kept with the state.
        """
        learned = segmenter if isinstance(segmenter, Mapping) else learned_of(segmenter)
        packed = {name: Compressed.of(mask) for name, mask in (masks or {}).items()}
        sizes: dict[int, int] = {}
        _measure(learned, sizes)
        state = ProbeState(learned, packed, note, origin, sizes)
        self.states = [*self.states[: self.now + 1], state]
        self.now = len(self.states) - 1
        self._trim()
        return state

    def add_masks(self, index: int, masks: Mapping[Any, Compressed]) -> None:
        """Note masks that the probe of a state has drawn since, or found."""
        self.states[index].masks.update(masks)
        self._trim()

    def around(self, max_bytes: int) -> range:
        """Return states around the one shown that fit, if they share nothing.

        Parameters
        ----------
        max_bytes : int
            Bytes of all of them; the one that is shown counts, and is always
            among them. Earlier ones come before later ones.
        """
        if not self.states:
            return range(0)
        first = last = self.now
        left = max_bytes - self.states[first].nbytes
        while first > 0 and self.states[first - 1].nbytes <= left:
            first -= 1
            left -= self.states[first].nbytes
        while last + 1 < len(self.states) and self.states[last + 1].nbytes <= left:
            last += 1
            left -= self.states[last].nbytes
        return range(first, last + 1)

    def _trim(self) -> None:
        """Drop the oldest states over the bounds, never the one that is shown."""
        while self.now > 0 and (
            len(self.states) > self.limit or self.nbytes > self.max_bytes
        ):
            self.states.pop(0)
            self.now -= 1

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
        state = self.show(index, segmenter)
        return {name: packed.array() for name, packed in state.masks.items()}

    def show(self, index: int, segmenter: Segmenter) -> ProbeState:
        """Restore the probe of a state and leave its masks packed.

        Raises
        ------
        IndexError
            If there is no such state.
        """
        if not 0 <= index < len(self.states):
            raise IndexError(index)
        self.now = index
        self.states[index].teach(segmenter)
        return self.states[index]

    @property
    def nbytes(self) -> int:
        """Bytes held by all states; what they share counts once."""
        sizes: dict[int, int] = {}
        for state in self.states:
            sizes.update(state.sizes)
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
