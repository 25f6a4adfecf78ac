"""The images of a window, each with its mask, its marks and who follows them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from qtpy.QtCore import QObject, QTimer, Signal

from napari_segdino._qt.layers.annotation import Annotation
from napari_segdino._qt.layers.channels import (
    bind,
    images_of,
    members_of,
    planes_of,
    used_key,
)
from napari_segdino._qt.layers.given_marks import came_with, take_up
from napari_segdino._qt.layers.made_layers import (
    Role,
    claim,
    color_layer,
    find_layer,
    is_left,
    is_ours,
    leave_behind,
    make_layer,
    remove_layers,
)
from napari_segdino._qt.messages import NO_IMAGE
from napari_segdino.marks import MAX_LABEL, Plane, apply_marks, too_high
from napari_segdino.session.mask_history import MaskState

if TYPE_CHECKING:
    from napari.layers import Labels
    from napari.viewer import Viewer

    from napari_segdino.session.session import Session


NOT_TRAINED = "Nothing is learned yet: correct the mask and press Retrain first."
NO_MASK = "There is no mask yet: press Segment first."


class Annotations(QObject):  # type: ignore[misc]
    """Every image that was worked on in this window.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window.
    session : Session
        Its classes.
    states : dict of hashable to MaskState
        What earlier docks of the window saw of masks, by the image's id.
    """

    told = Signal(str)
    """Something that the user should know of a label."""
    marks_changed = Signal(object)
    """The marks of this annotation changed, or may have."""
    marked = Signal(object, int)
    """This plane of the marks of this annotation changed."""
    mask_changed = Signal(object, int)
    """This plane of the mask of this annotation changed."""
    settled = Signal(object)
    """Every plane of this annotation has been looked at."""
    label_picked = Signal(int)
    """The user picked this label in napari's own controls."""
    pressed = Signal()
    """A mouse button went down on a mask, or undo is about to happen."""
    undone = Signal(object, object)
    """Emitted with the annotation and its mask update that was undone: see MaskSync."""
    redone = Signal(object, object)
    lost = Signal(object, str)
    """This annotation ended; the sentence says why."""
    channels_changed = Signal(object)
    """The image of this annotation is segmented on other channels from now on."""

    def __init__(
        self,
        viewer: Viewer,
        session: Session,
        states: dict[Any, MaskState],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._session, self._states = viewer, session, states
        self._annotations: dict[Any, Annotation] = {}
        # Masks made ahead, whose image has no annotation yet, by the image's id.
        self._fresh: dict[Any, Labels] = {}
        self._labels = {c.label for c in session.classes}
        viewer.layers.events.removed.connect(self._on_removed)
        session.classes_changed.connect(self._recolor)

    def __iter__(self) -> Iterator[Annotation]:
        return iter(list(self._annotations.values()))

    def get(self, image: Image) -> Annotation | None:
        """Return the work on an image, if there is any.

        Parameters
        ----------
        image : napari.layers.Image
            The layer that stands for all of its channels.
        """
        return self._annotations.get(image.unique_id)

    def drawn(self, image: Image | None) -> Annotation | None:
        """Return the work on an image if there is a mask to use.

        The layers come with the image; a mask into which nothing was drawn
        yet is none.
        """
        annotation = None if image is None else self.get(image)
        return None if annotation is None or annotation.mask_sync.blank else annotation

    def lacking(self, otherwise: str = NO_MASK) -> str:
        """Say what has to be there first: an image, or else something else."""
        layers = self._viewer.layers
        found = any(isinstance(x, Image) and not is_ours(x) for x in layers)
        return otherwise if found else NO_IMAGE

    def add_mask(self, image: Image) -> None:
        """Make the mask layer of an image if it has none.

        Parameters
        ----------
        image : napari.layers.Image
            The layer that stands for all of its channels.

        Raises
        ------
        InputError
            If the image cannot be segmented.
        """
        shape = planes_of(self._viewer, image).spatial_shape
        if find_layer(self._viewer, image, "mask", shape) is not None:
            return
        marks = find_layer(self._viewer, image, "marks", shape)
        data = None if marks is None else np.asarray(marks.data)
        if data is None or not data.any() or came_with(marks, image):
            self._fresh[image.unique_id] = self._add_layer(image, "mask", shape)
        else:
            # The mask was removed, what is marked was not.
            data = apply_marks(np.zeros_like(data), data)
            self._add_layer(image, "mask", shape, data)

    def ensure(self, image: Image) -> Annotation:
        """Return the work on an image; make its layers if need be.

        Parameters
        ----------
        image : napari.layers.Image
            The layer that stands for all of its channels.

        Raises
        ------
        InputError
            If the image cannot be segmented.
        """
        annotation = self.get(image)
        if annotation is not None and annotation.mask_sync.intact:
            return annotation
        if annotation is not None:
            self._drop(annotation)
        planes = planes_of(self._viewer, image)
        shape = planes.spatial_shape
        self.add_mask(image)
        mask = find_layer(self._viewer, image, "mask", shape)
        marks = find_layer(self._viewer, image, "marks", shape)
        if marks is None:
            marks = self._add_layer(image, "marks", shape)
        fresh = self._fresh.pop(image.unique_id, None) is not None
        assert mask is not None
        claim(mask, "mask", image)
        claim(marks, "marks", image)
        state = self._states.get(image.unique_id)
        if state is None or not state.fits(mask):
            # Nobody has seen this mask yet, or it is another than was seen.
            state = self._states[image.unique_id] = MaskState.of(mask, fresh)
        annotation = Annotation(self._viewer, image, planes, mask, marks, state, self)
        self._annotations[image.unique_id] = annotation
        self._recolor()
        self._follow(annotation)
        return annotation

    def resume(self) -> None:
        """Go on with all images of which an earlier dock left mask and marks.

        What was painted in the meantime counts.
        """
        for image in list(self._viewer.layers):
            state = self._states.get(image.unique_id)
            if state is None:
                continue
            shape = tuple(state.seen.shape)
            mask = find_layer(self._viewer, image, "mask", shape)
            marks = find_layer(self._viewer, image, "marks", shape)
            if mask is not None and marks is not None and state.fits(mask):
                self.ensure(image).mask_sync.sync_all()

    def restore(
        self, image: Image, mask: Plane, marks: Plane, probe: int | None = None
    ) -> Annotation:
        """Return the work on an image, with a mask and marks that were saved.

        The mask is taken for what the probe of this number drew. Where there are
        layers already, their marks stay, and what is drawn over them can be undone.

        Raises
        ------
        InputError
            If the image cannot be segmented.
        """
        new = True
        saved: tuple[tuple[Role, Plane], ...] = (("mask", mask), ("marks", marks))
        for role, data in saved:
            if find_layer(self._viewer, image, role, data.shape) is None:
                self._add_layer(image, role, data.shape, data)
            else:
                new = False
        annotation = self.ensure(image)
        if new:
            annotation.mask_sync.note_probe(probe)
        else:
            annotation.lay_over(mask, marks, probe)
        return annotation

    def _add_layer(
        self,
        image: Image,
        role: Role,
        shape: tuple[int, ...],
        data: Plane | None = None,
    ) -> Labels:
        if len(members_of(self._viewer, image)) > 1:
            # The layer is called after what its channels have in common.
            bind(self._viewer, image)
        active = self._viewer.layers.selection.active
        layer = make_layer(self._viewer, image, role, shape, data)
        color_layer(layer, role, self._session.classes)
        self._viewer.layers.selection.active = active
        take_up(self._viewer, image)
        return layer

    def follow_channels(self) -> None:
        """Read images whose channels were chosen anew, came, or are gone."""
        images = {layers[0].unique_id: layers for layers in images_of(self._viewer)}
        for key in self._fresh.keys() - images.keys():
            mask = self._fresh.pop(key)
            if mask in self._viewer.layers and not mask.data.any():
                self._viewer.layers.remove(mask)
        for annotation in self:
            layers = images.get(annotation.key, [])
            channels = used_key(layers)
            if not layers:
                self._clear(annotation)
            if not layers or channels == annotation.channels:
                continue
            planes = planes_of(self._viewer, annotation.image)
            if planes.spatial_shape == annotation.planes.spatial_shape:
                for layer in annotation.layers:
                    layer.events.data.disconnect(self._on_data)
                annotation.read(planes, layers, channels)
                for layer in layers:
                    layer.events.data.connect(self._on_data)
                self.channels_changed.emit(annotation)

    def _clear(self, annotation: Annotation) -> None:
        """Take away empty layers of what is a channel of another image now."""
        if annotation.empty:
            self._drop(annotation)
            remove_layers(self._viewer, (annotation.mask, annotation.marks))

    def close(self) -> None:
        """Let go of everything."""
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        self._session.classes_changed.disconnect(self._recolor)
        for annotation in self:
            self._drop(annotation)

    def _follow(self, annotation: Annotation) -> None:
        annotation.mask_sync.changed.connect(
            lambda: self.marks_changed.emit(annotation)
        )
        annotation.mask_sync.marked.connect(partial(self.marked.emit, annotation))
        annotation.mask_sync.mask_changed.connect(
            partial(self.mask_changed.emit, annotation)
        )
        annotation.mask_sync.settled.connect(lambda: self.settled.emit(annotation))
        annotation.mask_sync.pressed.connect(self.pressed)
        annotation.mask_sync.too_high.connect(self.told)
        annotation.undo_keys.message.connect(self.told)
        annotation.mask_sync.undone.connect(partial(self.undone.emit, annotation))
        annotation.mask_sync.redone.connect(partial(self.redone.emit, annotation))
        annotation.mask.events.selected_label.connect(self._on_label)
        annotation.marks.events.selected_label.connect(self._on_label)
        for layer in (*annotation.layers, annotation.mask, annotation.marks):
            layer.events.data.connect(self._on_data)

    def _drop(self, annotation: Annotation) -> None:
        self._annotations.pop(annotation.key, None)
        for layer in (*annotation.layers, annotation.mask, annotation.marks):
            layer.events.data.disconnect(self._on_data)
        for layer in (annotation.mask, annotation.marks):
            layer.events.selected_label.disconnect(self._on_label)
        annotation.close()

    def _recolor(self) -> None:
        classes = self._session.classes
        labels = {c.label for c in classes}
        gone, self._labels = self._labels - labels, labels
        for annotation in self:
            color_layer(annotation.mask, "mask", classes)
            color_layer(annotation.marks, "marks", classes)
            # The brush must not paint a class that is no more.
            if int(annotation.mask.selected_label) in gone:
                annotation.mask.selected_label = classes[-1].label

    def _on_label(self, event: Any) -> None:
        """Keep the labels of mask and marks in step."""
        for annotation in self:
            if event.source is annotation.mask:
                label = int(annotation.mask.selected_label)
                if label > MAX_LABEL:
                    self.told.emit(too_high(label))
                    return
                annotation.marks.selected_label = label + 1
            elif event.source is annotation.marks and annotation.marks.selected_label:
                label = int(annotation.marks.selected_label) - 1
                annotation.mask.selected_label = label
            else:
                continue
            # napari says this of every layer that is given other colours, too.
            if event.source == self._viewer.layers.selection.active:
                self.label_picked.emit(label)

    def _on_removed(self, event: Any) -> None:
        gone = event.value
        for annotation in self:
            if gone is annotation.image:
                self._drop(annotation)
                self._leave_behind(annotation)
            elif gone in (annotation.mask, annotation.marks):
                self._drop(annotation)
                why = f"The layer {gone.name} was removed, so work on it stopped."
                self.lost.emit(annotation, why)

    def _leave_behind(self, annotation: Annotation) -> None:
        """Keep what was drawn on an image that is gone; what is empty goes too."""
        name = annotation.image.name
        if annotation.empty:
            self.lost.emit(annotation, f"The image {name} was removed.")
            leave = partial(
                remove_layers, self._viewer, (annotation.mask, annotation.marks)
            )
            # Not while napari is removing what was selected.
            QTimer.singleShot(0, leave)
            return
        leave_behind(annotation.mask, "mask", annotation.image)
        leave_behind(annotation.marks, "marks", annotation.image)
        self.lost.emit(annotation, f"The image {name} was removed.")
        # Mask and marks may be selected too, and go next.
        QTimer.singleShot(0, self._say_what_stays)

    def what_stays(self) -> str:
        """Say what is left of images that were removed; empty if nothing."""
        names = [x.name for x in self._viewer.layers if is_left(x)]
        if not names:
            return ""
        return (
            f"The image was removed. {' and '.join(names)} stay, with all that you "
            "painted: open it again to go on, or delete them too."
        )

    def _say_what_stays(self) -> None:
        if text := self.what_stays():
            self.told.emit(text)

    def _on_data(self, event: Any) -> None:
        """React to a layer whose data was replaced."""
        for annotation in self:
            if event.source in annotation.layers:
                self._drop(annotation)
                self.lost.emit(
                    annotation,
                    f"The image {annotation.image.name} was replaced: press Segment.",
                )
            elif not annotation.mask_sync.intact:
                self._drop(annotation)
                self.lost.emit(
                    annotation,
                    f"{event.source.name} no longer has the shape of its image, so "
                    "it was left alone: press Segment for a new one.",
                )
