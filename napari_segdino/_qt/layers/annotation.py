"""One image with its mask and marks, and the layers that lie on it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject

from napari_segdino._qt.layers.channels import members_of, used_key
from napari_segdino._qt.layers.image_layers import (
    centre_shown,
    plane_shown,
    title,
    voxel_spacing,
)
from napari_segdino._qt.layers.made_layers import (
    PLACE,
    kind_of,
    layer_name,
    made_for,
    placed_like,
    read_plane,
)
from napari_segdino._qt.layers.mask_sync import MaskSync
from napari_segdino._qt.layers.mask_writer import MaskWriter, Piece
from napari_segdino._qt.layers.undo import UndoKeys
from napari_segdino.images.planes import Planes
from napari_segdino.marks import Plane
from napari_segdino.session.mask_history import MaskState

if TYPE_CHECKING:
    from napari.layers import Image, Labels, Layer
    from napari.viewer import Viewer

    from napari_segdino.segmenter import Segmenter
    from napari_segdino.session.learning import Marked
    from napari_segdino.session.session import Session


VEIL = 0.2
"""Opacity of the marks of a slice that is marked whole."""


class Attached:
    """Moves and renames the layers that were made for an image along with it.

    A layer that the user gave another name keeps it.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window.
    image : napari.layers.Image
        Is followed until :meth:`release`.
    """

    def __init__(self, viewer: Viewer, image: Image) -> None:
        self._viewer, self._image = viewer, image
        self._name = title(image)
        for name in PLACE:
            getattr(image.events, name).connect(self._place)
        image.events.name.connect(self._rename)

    def release(self) -> None:
        """Let go of the image."""
        for name in PLACE:
            getattr(self._image.events, name).disconnect(self._place)
        self._image.events.name.disconnect(self._rename)

    def _place(self, event: Any = None) -> None:
        for layer in made_for(self._viewer, self._image):
            _put(layer, placed_like(self._image, (1,) * layer.ndim))

    def _rename(self, event: Any = None) -> None:
        before, self._name = self._name, title(self._image)
        # A layer that is called otherwise was renamed by the user.
        for layer in made_for(self._viewer, self._image):
            kind = kind_of(layer)
            # napari numbers layers of one name.
            given = rf"{re.escape(before)} {re.escape(kind)}( \[\d+\])?"
            if re.fullmatch(given, layer.name):
                layer.name = layer_name(self._image, kind)


def _put(layer: Layer, place: dict[str, Any]) -> None:
    for name, wanted in place.items():
        # napari draws anew and tells of it even where a setter changes nothing.
        if not _same(getattr(layer, name), wanted):
            setattr(layer, name, wanted)


def _same(one: Any, other: Any) -> bool:
    # napari's transforms are equal only to themselves; their matrices tell. Units and
    # labels are no numbers, hence arrays of objects.
    one, other = (getattr(x, "affine_matrix", x) for x in (one, other))
    return np.array_equal(np.asarray(one, object), np.asarray(other, object))


class AcceptedVeil:
    """Shows the marks of a slice that is marked whole as a veil.

    As strokes are shown, they would cover the image and the mask that was accepted.

    Parameters
    ----------
    annotation : Annotation
        Is followed until :meth:`release`; its marks are shown as before then.
    """

    def __init__(self, annotation: Annotation) -> None:
        self._annotation = annotation
        self._before: float | None = None
        annotation.mask_sync.changed.connect(self._show)
        annotation.viewer.dims.events.current_step.connect(self._show)
        self._show()

    def release(self) -> None:
        """Let go of the window and of the marks."""
        self._annotation.viewer.dims.events.current_step.disconnect(self._show)
        self._set(False)

    def _show(self, event: Any = None) -> None:
        annotation = self._annotation
        intact = annotation.mask_sync.intact
        self._set(intact and is_accepted(annotation, annotation.shown()))

    def _set(self, on: bool) -> None:
        marks, before = self._annotation.marks, self._before
        if on and before is None and marks.opacity > VEIL:
            self._before, marks.opacity = marks.opacity, VEIL
        elif not on and before is not None:
            self._before = None
            # What the user chose meanwhile stays.
            if marks.opacity == VEIL:
                marks.opacity = before


def is_accepted(annotation: Annotation, plane: int) -> bool:
    """Whether all of a plane is marked, so that no probe has a say in it.

    Parameters
    ----------
    annotation : Annotation
        Whose mask and marks.
    plane : int
        Flat index over the leading axes of the image.
    """
    marks = read_plane(annotation.marks, annotation.planes.index(plane))
    # Most planes are told by their first pixel.
    return bool(marks[0, 0]) and bool(np.all(marks))


class Annotation(QObject):  # type: ignore[misc]
    """One image under work.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window.
    image : napari.layers.Image
        The image.
    planes : Planes
        Its pixels.
    mask, marks : napari.layers.Labels
        Its layers.
    state : MaskState
        What was seen of the mask so far.

    Attributes
    ----------
    layers : list of napari.layers.Image
        The channels of the image, used or not; `image` stands for them.
    channels : tuple
        Names those that are used.
    """

    def __init__(
        self,
        viewer: Viewer,
        image: Image,
        planes: Planes,
        mask: Labels,
        marks: Labels,
        state: MaskState,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.viewer, self.image, self.planes = viewer, image, planes
        self.mask, self.marks = mask, marks
        self.layers = members_of(viewer, image)
        self.channels = used_key(self.layers)
        self.mask_sync = MaskSync(planes, mask, marks, self.shown, state, self)
        self.writer = MaskWriter(self.mask_sync, self)
        self.undo_keys = UndoKeys(self)
        self._attached = Attached(viewer, image)
        self._accepted = AcceptedVeil(self)

    @property
    def key(self) -> Any:
        """Names the image in the session."""
        # Not the layer: what is kept by it outlives the layer, and must not hold its
        # pixels.
        return self.image.unique_id

    def read(
        self, planes: Planes, layers: list[Image], channels: tuple[Any, ...]
    ) -> None:
        """Read the image as these planes of the same shape from now on.

        Parameters
        ----------
        planes : Planes
            Its pixels, of the shape they had.
        layers : list of napari.layers.Image
            Its channels, used or not.
        channels : tuple
            Names those that are used, as :func:`used_key` does.
        """
        self.planes = self.mask_sync.planes = planes
        self.layers, self.channels = layers, channels

    def shown(self) -> int:
        """Return the plane that is on screen."""
        return plane_shown(self.viewer, self.image, self.planes)

    def wanted(self, whole_volume: bool) -> list[int]:
        """Return the planes to draw, the one on screen first.

        Parameters
        ----------
        whole_volume : bool
            All planes, else the one on screen.
        """
        first = self.shown()
        if not whole_volume:
            return [first]
        rest = sorted(set(range(len(self.planes))) - {first}, key=_distance(first))
        return [first, *rest]

    def marked(self, learned: Mapping[int, int] | None = None) -> Marked:
        """Return the image with its marks, for a job that learns them.

        Parameters
        ----------
        learned : mapping of int to int, optional
            Checksums of the marks that the probe has learned; without it, none.
        """
        from napari_segdino.session.learning import Marked

        spacing = voxel_spacing(self.mask)
        marks, known = self.marks.data, dict(learned or {})
        return Marked(self.key, self.planes, marks, known, spacing)

    def lay_over(self, mask: Plane, marks: Plane, probe: int | None) -> None:
        """Draw a saved mask, and marks where there are none.

        Parameters
        ----------
        mask, marks : array of int, shape of the image
            As they were saved.
        probe : int, optional
            Number of the probe that drew the mask.
        """
        for plane in range(len(self.planes)):
            index = self.planes.index(plane)
            marked = bool(marks[index].any())
            if marked:
                # First, so that the writer finds them: what is marked is not drawn
                # over.
                self.mask_sync.add_marks(plane, marks[index])
            if marked or mask[index].any():
                self.writer.add(Piece(plane, mask[index], probe=probe))
        self.writer.finish()

    @property
    def empty(self) -> bool:
        """Whether nothing was drawn or marked."""
        return self.mask_sync.blank and not np.asarray(self.marks.data).any()

    def drawn_by(self, session: Session) -> Segmenter | None:
        """Return a copy of the session's probe, None where no probe has drawn.

        Parameters
        ----------
        session : Session
            Of the window.
        """
        planes = range(len(self.planes))
        drawn = any(self.mask_sync.drawn_with(plane) is not None for plane in planes)
        return session.snapshot() if drawn and session.is_fitted else None

    def centre(self) -> tuple[float, float] | None:
        """Return the pixel (y, x) that is looked at, None in 3D."""
        return centre_shown(self.viewer, self.image)

    def close(self) -> None:
        """Let go of the layers."""
        self.writer.drop()
        self.undo_keys.close()
        self._attached.release()
        self._accepted.release()
        self.mask_sync.close()
        # Not at once: a signal of what is closed may have led here.
        self.deleteLater()


def _distance(first: int) -> Any:
    return lambda plane: abs(plane - first)
