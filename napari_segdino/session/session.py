"""What one window knows: its classes, its probe and what the probe has learned.

No Qt and no napari here: the dock shows this and changes it, tests use it as it is.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Hashable, Mapping
from copy import copy
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_segdino.errors import DAMAGE, InputError, ProjectError
from napari_segdino.marks import MAX_LABEL, Plane
from napari_segdino.schema import check_types
from napari_segdino.session.classes import (
    COLORS,
    FIRST_CLASSES,
    LabelClass,
    contrasting_color,
)
from napari_segdino.session.settings import Settings, first_encoder

if TYPE_CHECKING:
    from napari_segdino.segmenter import Segmenter


def checksum(plane: Plane) -> int:
    """Return a number that changes when a plane does.

    Parameters
    ----------
    plane : numpy.ndarray of int, shape (Y, X)
        Of a mask or marks.

    Returns
    -------
    int
        CRC-32 of its bytes; another number type gives another one.
    """
    return zlib.crc32(np.ascontiguousarray(plane).data)


class Session:
    """Classes, settings, the probe, and which marks it has learned.

    Parameters
    ----------
    make_segmenter : callable, optional
        Takes the parameters of a :class:`Segmenter` by name and returns one.
    settings : Settings, optional
        What to start with.
    machine : mapping, optional
        Parameters of every probe that belong to the machine, such as its cache.

    Attributes
    ----------
    learned : dict
        By image, by plane: checksum of the marks that the probe knows.
    """

    classes_changed = Signal()
    settings_changed = Signal()
    probe_changed = Signal()

    def __init__(
        self,
        make_segmenter: Callable[..., Any] | None = None,
        settings: Settings | None = None,
        machine: Mapping[str, Any] | None = None,
    ) -> None:
        self._make = make_segmenter or _make_segmenter
        self._machine = dict(machine or {})
        self.settings = settings or Settings(encoder=first_encoder())
        self.classes: tuple[LabelClass, ...] = FIRST_CLASSES
        self._pixels: NDArray[Any] = np.zeros((0, 3))
        self._suited = COLORS[0]
        self.learned: dict[Hashable, dict[int, int]] = {}
        self._segmenter: Any = None

    # classes

    def add_class(self, name: str = "", color: str = "") -> LabelClass:
        """Add a class under the lowest label that is free.

        Parameters
        ----------
        name, color : str
            Empty for the next of those there are; the colour is ``"#rrggbb"``.

        Raises
        ------
        InputError
            If there are too many.
        """
        used = {c.label for c in self.classes}
        label = next(n for n in range(1, len(used) + 2) if n not in used)
        if label > MAX_LABEL:
            raise InputError(f"A mask holds at most {MAX_LABEL} classes.")
        new = self._new_class(label)
        new = replace(new, name=name or new.name, color=color or new.color)
        self.classes = tuple(sorted((*self.classes, new), key=lambda c: c.label))
        self.classes_changed.emit()
        return new

    def _new_class(self, label: int) -> LabelClass:
        """Return a class as it is called and coloured until the user says otherwise."""
        color = contrasting_color(self._pixels, [c.color for c in self.classes])
        return LabelClass(label, f"Class {label}", color)

    def remove_class(self, label: int) -> None:
        """Remove a class; the last one stays.

        Parameters
        ----------
        label : int
            One that there is not changes nothing.

        Raises
        ------
        InputError
            If it is the only one.
        """
        if len(self.classes) == 1:
            raise InputError("One class has to stay.")
        self.classes = tuple(c for c in self.classes if c.label != label)
        self.classes_changed.emit()

    def suit_color(self, pixels: NDArray[Any], seen: bool = False) -> None:
        """Have classes stand out from an image: those to come, and the untouched first.

        Parameters
        ----------
        pixels : numpy.ndarray, shape (N, 3)
            Red, green and blue of some pixels of an image, 0 to 255; of a grey image
            none.
        seen : bool
            The user knows the colours of the classes there are: they stay.
        """
        self._pixels = pixels
        if not (seen or self.is_fitted or self.has_own_classes):
            self._suited = contrasting_color(pixels)
            self.change_class(1, color=self._suited)

    @property
    def has_own_classes(self) -> bool:
        """Whether the user named, coloured, added or removed a class."""
        suited = replace(FIRST_CLASSES[0], color=self._suited)
        return self.classes not in (FIRST_CLASSES, (suited,))

    def change_class(self, label: int, name: str = "", color: str = "") -> None:
        """Rename or recolour a class.

        Parameters
        ----------
        label : int
            Of the class.
        name, color : str
            Empty to keep what it has.
        """

        def changed(c: LabelClass) -> LabelClass:
            if c.label != label:
                return c
            return replace(c, name=name or c.name, color=color or c.color)

        classes = tuple(changed(c) for c in self.classes)
        if classes != self.classes:
            self.classes = classes
            self.classes_changed.emit()

    @property
    def n_groups(self) -> int:
        """Groups to look for with nothing learned: background and classes."""
        return max(c.label for c in self.classes) + 1

    # settings and probe

    @property
    def segmenter(self) -> Any:
        """The probe of this window; made when it is first asked for."""
        if self._segmenter is None:
            parameters = self.settings.parameters() | self._machine
            self._segmenter = self._make(**parameters)
        return self._segmenter

    def owns(self, segmenter: Any) -> bool:
        """Whether this is the window's probe, and no earlier one.

        Parameters
        ----------
        segmenter : Segmenter, optional
            None is no probe.
        """
        return segmenter is not None and segmenter is self._segmenter

    @property
    def is_fitted(self) -> bool:
        """Whether there is a probe that has learned something."""
        return self._segmenter is not None and bool(self._segmenter.is_fitted)

    def change(self, **changes: Any) -> None:
        """Change settings that the probe is not bound to; see :meth:`switch`."""
        before, self.settings = self.settings, replace(self.settings, **changes)
        if before == self.settings:
            return
        if before.parameters() != self.settings.parameters():
            self.segmenter.set_params(**self.settings.parameters())
        self.settings_changed.emit()

    def candidate(self, **changes: Any) -> Any:
        """Return a new segmenter made with other settings; the present one stays."""
        parameters = replace(self.settings, **changes).parameters() | self._machine
        return self.segmenter.unfitted(**parameters)

    def switch(self, segmenter: Any, **changes: Any) -> None:
        """Go on with a segmenter that was made with these changes of settings.

        Parameters
        ----------
        segmenter : Segmenter
            From :meth:`candidate`.
        **changes : object
            Fields of :class:`Settings`, as :meth:`candidate` was given.
        """
        self.settings = replace(self.settings, **changes)
        # Settings that a probe is not bound to may have changed while it was made.
        segmenter.set_params(**self.settings.parameters())
        self._start(segmenter)
        self.settings_changed.emit()

    def change_machine(self, **changes: Any) -> None:
        """Change parameters that belong to the machine; the probe stays."""
        self._machine |= changes
        if self._segmenter is not None:
            self._segmenter.set_params(**changes)

    def adopt(self, segmenter: Any) -> None:
        """Go on with a probe that was loaded from a file.

        Parameters
        ----------
        segmenter : Segmenter
            Fitted; its classes without a name are given one.
        """
        self.settings = self.settings.taking(segmenter)
        if named := segmenter.class_info_:
            self.classes = tuple(LabelClass(**info) for info in named)
        # A probe that was trained on the command line or by a script names no classes.
        have = {c.label for c in self.classes}
        missing = [n for n in range(1, segmenter.n_classes_) if n not in have]
        for label in missing:
            self.classes += (self._new_class(label),)
        self._start(segmenter)
        self.classes_changed.emit()
        self.settings_changed.emit()

    def state(self) -> dict[str, Any]:
        """Return classes and settings, as JSON can hold them."""
        return {
            "classes": [asdict(c) for c in self.classes],
            "settings": asdict(self.settings),
        }

    def restore(self, state: Mapping[str, Any], segmenter: Any = None) -> None:
        """Go back to classes, settings and a probe that were saved.

        Parameters
        ----------
        state : mapping
            From :meth:`state`; see :meth:`Settings.restored`.
        segmenter : Segmenter, optional
            The probe; without one, a new one is made.
        """
        self.settings = self.settings.restored(state["settings"])
        self._start(None)
        if segmenter is not None:
            self.adopt(segmenter)
        # After the probe: the window's classes may be newer than those in its file.
        self.classes = tuple(LabelClass(**one) for one in state["classes"])
        self.classes_changed.emit()
        self.settings_changed.emit()

    def check(self, state: Mapping[str, Any]) -> None:
        """See that :meth:`restore` can go back to it.

        Parameters
        ----------
        state : mapping
            From :meth:`state`, after JSON.

        Raises
        ------
        ProjectError
            If it is none that was saved.
        """
        try:
            for one in state["classes"]:
                check_types(asdict(LabelClass(**one)), get_type_hints(LabelClass))
                if one["label"] < 1:
                    raise ValueError(f"no class has the label {one['label']}")
            self.settings.restored(state["settings"])
        except DAMAGE as error:
            raise ProjectError("The settings of the project are damaged.") from error

    def save(self, path: str | Path) -> Path:
        """Write the probe to a file, with the classes' names and colours.

        Parameters
        ----------
        path : path
            Where to; an older file is replaced.
        """
        saved: Path = self.snapshot().save(path)
        return saved

    def snapshot(self) -> Any:
        """Return a copy of the probe that can be saved while this one learns on."""
        probe = copy(self.segmenter)
        probe.class_info_ = [asdict(c) for c in self.classes]
        return probe

    def forget(self) -> None:
        """Start a new probe; marks stay where they are."""
        self._start(None)

    def _start(self, segmenter: Any) -> None:
        self._segmenter = segmenter
        self.learned = {}
        self.probe_changed.emit()

    def load(self, path: str | Path) -> Any:
        """Read a probe file; :meth:`adopt` then takes it.

        Parameters
        ----------
        path : path
            The probe file.

        Returns
        -------
        Segmenter
            Fitted; the session's own stays as it is.
        """
        # The device is the window's, not the one it was trained on.
        loaded = type(self.segmenter).load(path, device=self.settings.device)
        return loaded.set_params(**self._machine)

    def note_learned(self, image: Hashable, checksums: Mapping[int, int]) -> None:
        """Remember that the probe knows these planes' marks now.

        Parameters
        ----------
        image : hashable
            Names the image.
        checksums : mapping of int to int
            By plane; 0 where its marks are gone.
        """
        self.learned.setdefault(image, {}).update(checksums)
        self.probe_changed.emit()

    def put_back(
        self,
        restore: Callable[[Any], Any],
        learned: Mapping[Hashable, Mapping[int, int]],
    ) -> None:
        """Return to what the probe knew earlier.

        Parameters
        ----------
        restore : callable
            Gives the segmenter the state of then.
        learned : mapping of hashable to mapping of int to int
            :attr:`learned` as it was then.
        """
        restore(self.segmenter)
        settings = self.settings.taking(self.segmenter)
        if settings != self.settings:
            self.settings = settings
            self.settings_changed.emit()
        self.learned = {image: dict(checksums) for image, checksums in learned.items()}
        self.probe_changed.emit()


def _make_segmenter(**parameters: Any) -> Segmenter:
    from napari_segdino.segmenter import Segmenter

    return Segmenter(**parameters)
