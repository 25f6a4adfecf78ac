"""Leads the user to where the probe is uncertain."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject

from napari_segdino._qt.layers.annotations import NOT_TRAINED
from napari_segdino._qt.layers.channels import images_of, name_of, planes_of
from napari_segdino._qt.layers.made_layers import read_plane
from napari_segdino._qt.layers.overlays import Marker, Overlay
from napari_segdino._qt.layers.screen import go_to, in_sight, plane_name
from napari_segdino._qt.widgets.review_panels import IMAGES, SLICES, SuggestPanel
from napari_segdino._qt.worker.runner import Job
from napari_segdino.errors import InputError
from napari_segdino.images.planes import Planes
from napari_segdino.images.reslice import depth_of
from napari_segdino.review.places import Place, Slice
from napari_segdino.session.session import checksum
from napari_segdino.session.uncertainty import (
    UncertainPlaces,
    UncertainPlane,
    iter_rank,
    iter_uncertain_planes,
    unranked,
)

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer

    from napari_segdino._qt.controllers.session_controller import SessionController
    from napari_segdino._qt.layers.annotation import Annotation
    from napari_segdino._qt.worker.drawing import Drawing
    from napari_segdino._qt.worker.idle import IdleTask

AT_ONCE = 4_000_000
"""Pixels whose marks are compared on the main thread, a few milliseconds."""

FOLLOW = 0.15
"""Seconds that a slice is shown before its uncertainty is looked for."""

SEEN = 2
"""Radii around a place that are to be on screen, else it comes into the middle."""

MOST = 3
"""Slices that are called the most uncertain ones."""


class Suggester(QObject):  # type: ignore[misc]
    """Knows where the probe is uncertain, and goes there.

    Parameters
    ----------
    controller : SessionController
        Has the probe and the worker.
    idle : IdleTask
        For what can wait.
    current : callable
        Returns the annotation of the image that is picked, or None.
    pick : callable
        Picks an image.
    """

    def __init__(
        self,
        controller: SessionController,
        idle: IdleTask,
        current: Callable[[], Annotation | None],
        pick: Callable[[Image], None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.panel = SuggestPanel()
        self._controller, self._idle = controller, idle
        self._current, self._pick = current, pick
        self._uncertain_places = UncertainPlaces(controller.session)
        self._overlay = Overlay(controller, "uncertainty", self)
        self._marker = Marker(controller, self)
        self.panel.next_place.clicked.connect(self.next_place)
        self.panel.next_slice.clicked.connect(self.next_slice)
        self.panel.listed.connect(self._list)
        self.panel.picked.connect(self._go)
        self.panel.uncertainty.toggled.connect(self._on_uncertainty)
        self._overlay.gone.connect(partial(self.panel.uncertainty.setChecked, False))
        controller.viewer.dims.events.current_step.connect(self._on_moved)
        controller.trained.connect(self._on_trained)
        controller.uncertainty_wanted = self._is_wanted

    def release(self) -> None:
        """Take the layers away and let go of the window."""
        self._controller.trained.disconnect(self._on_trained)
        self._controller.viewer.dims.events.current_step.disconnect(self._on_moved)
        self._marker.remove()
        self._overlay.release()

    # -- what the user does ------------------------------------------------

    def next_place(self) -> None:
        """Go to the most uncertain place that was not visited yet."""
        annotation = self._ready()
        if annotation is not None:
            then = partial(self._go_to_next_place, annotation)
            self._find_uncertainty(annotation, self._scope(annotation), then)

    def next_slice(self) -> None:
        """Go to the most uncertain slice that was not visited yet."""
        annotation = self._ready()
        if annotation is None:
            return
        if len(annotation.planes) == 1:
            self._controller.message.emit("This image has one slice only.")
            return
        self._find_uncertainty(
            annotation,
            annotation.wanted(True),
            partial(self._go_to_next_slice, annotation),
        )

    def _list(self, kind: str) -> None:
        """Show places, slices or images; look for what is not known."""
        annotation = self._ready()
        if annotation is None:
            self._show_list()
        elif kind == IMAGES:
            self._rank_images()
        else:
            wanted = (
                annotation.wanted(True) if kind == SLICES else self._scope(annotation)
            )
            self._find_uncertainty(annotation, wanted, self._show_list)

    def _go(self, thing: Place | Slice | str) -> None:
        """Go to what stands behind a row of the list."""
        annotation = self._current()
        if isinstance(thing, str):
            # By name: the image may be gone by the time its row is picked.
            images = images_of(self._controller.viewer)
            named = [layers[0] for layers in images if name_of(layers) == thing]
            if named:
                self._pick(named[0])
        elif annotation is not None and isinstance(thing, Place):
            self._visit(annotation, thing)
        elif annotation is not None:
            go_to(self._controller.viewer, annotation, thing.plane)

    def _on_uncertainty(self, on: bool) -> None:
        if on and self._ready() is None:
            self.panel.uncertainty.setChecked(False)
        else:
            self._show_uncertainty(on)

    def _show_uncertainty(self, on: bool) -> None:
        annotation = self._current()
        if not on or annotation is None:
            self._overlay.hide()
            return
        self._overlay.show(annotation)
        for uncertain in self._uncertain_places.found(annotation.key).values():
            self._overlay.draw(annotation, uncertain.plane, uncertain.uncertainty)
        self._follow()

    def most_uncertain(self, annotation: Annotation) -> list[int]:
        """Return the planes with the highest mean uncertainty, as far as is known.

        Parameters
        ----------
        annotation : Annotation
            Only planes that were looked at since the probe learned count.
        """
        known = self._uncertain_places.found(annotation.key)
        means = {plane: float(one.uncertainty.mean()) for plane, one in known.items()}
        return sorted(means, key=lambda plane: -means[plane])[:MOST]

    # -- what happens ------------------------------------------------------

    def refresh(self) -> None:
        """Follow a new probe, image or tab."""
        self._renew()
        if self.panel.uncertainty.isChecked():
            self._show_uncertainty(True)
        self._show_list()
        self._follow()

    def _on_moved(self, event: Any = None) -> None:
        if self.panel.uncertainty.isChecked():
            self._follow()

    def _follow(self) -> None:
        """Have the slice on screen looked at when the user rests."""
        if self._is_wanted():
            self._idle.ask("uncertainty", self._make_uncertainty, FOLLOW)

    def _is_wanted(self) -> bool:
        """Whether the uncertainty is on screen."""
        shown = self.panel.isVisibleTo(self.panel.window())
        return bool(shown or self.panel.uncertainty.isChecked())

    def _on_trained(self, drawing: Drawing) -> None:
        """Take what Retrain found on the way."""
        self._renew()
        known = self._uncertain_places.found(drawing.annotation.key)
        # Retrain had the probabilities at hand; places are ranked when they are wanted.
        known.update({one.plane: unranked(one) for one in drawing.uncertain_parts})

    def _make_uncertainty(self) -> Job | None:
        annotation, session = self._current(), self._controller.session
        if annotation is None or not session.is_fitted:
            return None
        from napari_segdino.session.learning import fits

        if not fits(session.segmenter, annotation.planes):
            return None
        return self._job(annotation, [annotation.shown()], self._show_list)

    # -- looking -----------------------------------------------------------

    def _ready(self) -> Annotation | None:
        annotation = self._current()
        if annotation is None or not self._controller.session.is_fitted:
            self._controller.refuse(self._controller.annotations.lacking(NOT_TRAINED))
            return None
        self._renew()
        return annotation

    def _renew(self) -> None:
        if self._uncertain_places.renew():
            for annotation in self._controller.annotations:
                self._overlay.clear(annotation)

    def _scope(self, annotation: Annotation) -> list[int]:
        """Planes whose places count: those that Retrain draws."""
        return annotation.wanted(self._controller.session.settings.whole_volume)

    def _find_uncertainty(
        self, annotation: Annotation, wanted: Sequence[int], then: Callable[[], None]
    ) -> None:
        """Look at planes, at once if all is known, then go on."""
        if self._controller.busy:
            self._controller.message.emit("Wait until the model has learned and drawn.")
        elif self._all_found(annotation, wanted):
            then()
        else:
            self._controller.runner.start(self._job(annotation, wanted, then))

    def _all_found(self, annotation: Annotation, wanted: Sequence[int]) -> bool:
        if len(wanted) * math.prod(annotation.planes.plane_shape) > AT_ONCE:
            return False
        now = {
            p: read_plane(annotation.marks, annotation.planes.index(p)) for p in wanted
        }
        checksums = {p: checksum(marks) for p, marks in now.items()}
        return self._uncertain_places.covers(annotation.key, checksums)

    def _job(
        self, annotation: Annotation, wanted: Sequence[int], then: Callable[[], None]
    ) -> Job:
        known = self._uncertain_places.found(annotation.key)
        steps = partial(
            iter_uncertain_planes,
            self._controller.session.segmenter,
            annotation.planes,
            annotation.marks.data,
            wanted,
            # A copy: the worker reads it while the main thread goes on writing.
            dict(known),
        )

        def take(uncertain: UncertainPlane) -> None:
            known[uncertain.plane] = uncertain
            if self.panel.uncertainty.isChecked():
                self._overlay.draw(annotation, uncertain.plane, uncertain.uncertainty)

        return Job(
            "Looking for uncertainty",
            steps,
            on_step=take,
            on_done=lambda _: then(),
            on_error=self._controller.report,
        )

    def _rank_images(self) -> None:
        if self._uncertain_places.images or self._controller.busy:
            self._show_list()
            return

        def done(found: list[tuple[str, float]]) -> None:
            self._uncertain_places.images = found
            self._show_list()

        # Read here: layers belong to the window's thread.
        images = readable_images(self._controller.viewer)
        steps = partial(iter_rank, self._controller.session.segmenter, images)
        job = Job(
            "Ranking images", steps, on_done=done, on_error=self._controller.report
        )
        self._controller.runner.start(job)

    # -- going -------------------------------------------------------------

    def _go_to_next_place(self, annotation: Annotation) -> None:
        self._show_list()
        place = self._uncertain_places.next_place(
            annotation.key, self._scope(annotation)
        )
        if place is None:
            self._controller.message.emit("The model is uncertain nowhere here.")
        else:
            self._visit(annotation, place)

    def _visit(self, annotation: Annotation, place: Place) -> None:
        self._uncertain_places.visit(annotation.key, place)
        at = place.y, place.x
        seen = in_sight(annotation, at, SEEN * place.radius)
        go_to(self._controller.viewer, annotation, place.plane, None if seen else at)
        self._marker.show(annotation, place.plane, at, place.radius)
        self.panel.show_current(place)
        self._controller.message.emit(
            f"Here the model is {place.uncertainty:.0%} uncertain: paint what is in "
            "the ring, or go on to the next place if the mask is right."
        )

    def _go_to_next_slice(self, annotation: Annotation) -> None:
        self._show_list()
        chosen = self._uncertain_places.next_slice(
            annotation.key, depth_of(annotation.planes)
        )
        if chosen is None:
            self._controller.message.emit("Every slice is marked.")
            return
        go_to(self._controller.viewer, annotation, chosen.plane)
        self.panel.show_current(chosen)
        name = plane_name(annotation, chosen.plane)
        blank = not read_plane(
            annotation.mask, annotation.planes.index(chosen.plane)
        ).any()
        self._controller.message.emit(
            f"Worth marking next: {name}, {chosen.uncertainty:.1%} uncertain."
            + (" Press Segment to draw it." if blank else "")
        )

    def _show_list(self) -> None:
        """Show the list that is asked for."""
        annotation, kind = self._current(), self.panel.kind.currentText()
        rows: list[tuple[str, object]] = []
        hint = "Press Next place"
        if annotation is None or not self._controller.session.is_fitted:
            hint = "Retrain first"
        elif kind == IMAGES:
            rows = [
                (_image_row(*pair), pair[0]) for pair in self._uncertain_places.images
            ]
        elif kind == SLICES:
            slices = self._uncertain_places.slices(
                annotation.key, depth_of(annotation.planes)
            )
            rows = [
                (f"{s.uncertainty:.1%}  {plane_name(annotation, s.plane)}", s)
                for s in slices
            ]
        else:
            places = self._uncertain_places.places(
                annotation.key, self._scope(annotation)
            )
            rows = [(_place_row(annotation, p), p) for p in places]
        self.panel.setValue(rows, hint)


def readable_images(viewer: Viewer) -> list[tuple[str, Planes]]:
    """Return the images of a window that can be segmented, with their names.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window.
    """
    found = []
    for layers in images_of(viewer):
        try:
            found.append((name_of(layers), planes_of(viewer, layers[0])))
        except InputError:
            continue
    return found


def _place_row(annotation: Annotation, place: Place) -> str:
    where = plane_name(annotation, place.plane)
    here = f"y {place.y}, x {place.x}"
    return f"{place.uncertainty:.1%}  {where}{', ' if where else ''}{here}"


def _image_row(name: str, uncertainty: float) -> str:
    return f"{uncertainty:.1%}  {name}" if uncertainty >= 0 else f"–  {name}"
