"""One image under work: its mask, its marks, and who follows and draws them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject

from napari_segdino._qt.attached import Attached
from napari_segdino._qt.channels import members_of, used_key
from napari_segdino._qt.layers import centre_shown, plane_shown
from napari_segdino._qt.mask_sync import MaskSync
from napari_segdino._qt.undo import UndoKeys
from napari_segdino._qt.writer import MaskWriter, Piece
from napari_segdino.images.planes import Planes
from napari_segdino.marks import Plane
from napari_segdino.session.mask_history import MaskState

if TYPE_CHECKING:
    from napari.layers import Image, Labels
    from napari.viewer import Viewer


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
        self.watch = MaskSync(planes, mask, marks, self.shown, state, self)
        self.writer = MaskWriter(self.watch, self)
        self.undo_keys = UndoKeys(self)
        self._attached = Attached(viewer, image)

    @property
    def key(self) -> Any:
        """Names the image in the session."""
        return self.image.unique_id

    def read(
        self, planes: Planes, layers: list[Image], channels: tuple[Any, ...]
    ) -> None:
        """Read the image as these planes of the same shape from now on."""
        self.planes = self.watch.planes = planes
        self.layers, self.channels = layers, channels

    def shown(self) -> int:
        """Return the plane that is on screen."""
        return plane_shown(self.viewer, self.image, self.planes)

    def wanted(self, whole: bool) -> list[int]:
        """Return the planes to draw, the one on screen first."""
        first = self.shown()
        if not whole:
            return [first]
        rest = sorted(set(range(len(self.planes))) - {first}, key=_distance(first))
        return [first, *rest]

    def lay_over(self, mask: Plane, marks: Plane, probe: int | None) -> None:
        """Draw a saved mask, and marks where there are none."""
        for plane in range(len(self.planes)):
            index = self.planes.index(plane)
            marked = bool(marks[index].any())
            if marked:
                self.watch.add_marks(plane, marks[index])
            if marked or mask[index].any():
                self.writer.add(Piece(plane, mask[index], probe=probe))
        self.writer.finish()

    @property
    def empty(self) -> bool:
        """Whether nothing was drawn or marked."""
        return self.watch.blank and not np.asarray(self.marks.data).any()

    def centre(self) -> tuple[float, float] | None:
        """Return the pixel (y, x) that is looked at, None in 3D."""
        return centre_shown(self.viewer, self.image)

    def close(self) -> None:
        """Let go of the layers."""
        self.writer.drop()
        self.undo_keys.close()
        self._attached.release()
        self.watch.close()
        self.deleteLater()


def _distance(first: int) -> Any:
    return lambda plane: abs(plane - first)
