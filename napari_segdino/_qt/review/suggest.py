"""Leads the user to where the probe is in doubt."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject

from napari_segdino._qt.channels import images_of, name_of, planes_of
from napari_segdino._qt.layers import read_plane
from napari_segdino._qt.review.overlays import Marker, Overlay
from napari_segdino._qt.review.suggest_panel import IMAGES, SLICES, SuggestPanel
from napari_segdino._qt.review.travel import go_to, in_sight, plane_name
from napari_segdino._qt.worker import Job
from napari_segdino._qt.works import UNTAUGHT
from napari_segdino.errors import InputError
from napari_segdino.images.planes import Planes
from napari_segdino.review.places import Place, Slice
from napari_segdino.session.session import fingerprint
from napari_segdino.session.tasks import fits
from napari_segdino.session.uncertain_places import Doubts
from napari_segdino.session.uncertainty import Looked, iter_look, iter_rank, unranked

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer

    from napari_segdino._qt.drawing import Drawing
    from napari_segdino._qt.engine import Engine
    from napari_segdino._qt.idle import IdleWork
    from napari_segdino._qt.work import Work

AT_ONCE = 4_000_000
"""Pixels whose marks are compared on the main thread, a few milliseconds."""

FOLLOW = 0.15
"""Seconds that a slice is shown before its doubt is looked for."""

SEEN = 2
"""Radii around a place that are to be on screen, else it comes into the middle."""


class Suggester(QObject):  # type: ignore[misc]
    """Knows where the probe is in doubt, and goes there.

    Parameters
    ----------
    engine : Engine
        Has the probe and the worker.
    idle : IdleWork
        For what can wait.
    current : callable
        Returns the Work on the image that is picked, or None.
    pick : callable
        Picks an image.
    """

    def __init__(
        self,
        engine: Engine,
        idle: IdleWork,
        current: Callable[[], Work | None],
        pick: Callable[[Image], None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.panel = SuggestPanel()
        self._engine, self._idle = engine, idle
        self._current, self._pick = current, pick
        self._doubts = Doubts(engine.session)
        self._overlay = Overlay(engine, "uncertainty", self)
        self._marker = Marker(engine, self)
        self.panel.next_place.clicked.connect(self.next_place)
        self.panel.next_slice.clicked.connect(self.next_slice)
        self.panel.listed.connect(self._list)
        self.panel.picked.connect(self._go)
        self.panel.doubt.toggled.connect(self._on_doubt)
        self._overlay.gone.connect(partial(self.panel.doubt.setChecked, False))
        engine.viewer.dims.events.current_step.connect(self._on_moved)
        engine.trained.connect(self._on_trained)
        engine.doubt_wanted = self._is_wanted

    def release(self) -> None:
        """Take the layers away and let go of the window."""
        self._engine.trained.disconnect(self._on_trained)
        self._engine.viewer.dims.events.current_step.disconnect(self._on_moved)
        self._marker.remove()
        self._overlay.release()

    # -- what the user does ------------------------------------------------

    def next_place(self) -> None:
        """Go to the most doubtful place that was not visited yet."""
        work = self._ready()
        if work is not None:
            then = partial(self._go_to_next_place, work)
            self._look(work, self._scope(work), then)

    def next_slice(self) -> None:
        """Go to the most doubtful slice that was not visited yet."""
        work = self._ready()
        if work is None:
            return
        if len(work.planes) == 1:
            self._engine.said.emit("This image has one slice only.")
            return
        self._look(work, work.wanted(True), partial(self._go_to_next_slice, work))

    def _list(self, kind: str) -> None:
        """Show places, slices or images; look for what is not known."""
        work = self._ready()
        if work is None:
            self._show_list()
        elif kind == IMAGES:
            self._rank_images()
        else:
            wanted = work.wanted(True) if kind == SLICES else self._scope(work)
            self._look(work, wanted, self._show_list)

    def _go(self, thing: Place | Slice | str) -> None:
        """Go to what stands behind a row of the list."""
        work = self._current()
        if isinstance(thing, str):
            images = images_of(self._engine.viewer)
            named = [layers[0] for layers in images if name_of(layers) == thing]
            if named:
                self._pick(named[0])
        elif work is not None and isinstance(thing, Place):
            self._visit(work, thing)
        elif work is not None:
            go_to(self._engine.viewer, work, thing.plane)

    def _on_doubt(self, on: bool) -> None:
        if on and self._ready() is None:
            self.panel.doubt.setChecked(False)
        else:
            self._show_doubt(on)

    def _show_doubt(self, on: bool) -> None:
        work = self._current()
        if not on or work is None:
            self._overlay.hide()
            return
        self._overlay.show(work)
        for looked in self._doubts.known(work.key).values():
            self._overlay.draw(work, looked.plane, looked.doubt)
        self._follow()

    # -- what happens ------------------------------------------------------

    def refresh(self) -> None:
        """Follow a new probe, image or tab."""
        self._renew()
        if self.panel.doubt.isChecked():
            self._show_doubt(True)
        self._show_list()
        self._follow()

    def _on_moved(self, event: Any = None) -> None:
        if self.panel.doubt.isChecked():
            self._follow()

    def _follow(self) -> None:
        """Have the slice on screen looked at when the user rests."""
        if self._is_wanted():
            self._idle.ask("look", self._make_look, FOLLOW)

    def _is_wanted(self) -> bool:
        """Whether the doubt is on screen."""
        shown = self.panel.isVisibleTo(self.panel.window())
        return bool(shown or self.panel.doubt.isChecked())

    def _on_trained(self, drawing: Drawing) -> None:
        """Take what Retrain found on the way."""
        self._renew()
        known = self._doubts.known(drawing.work.key)
        known.update({one.plane: unranked(one) for one in drawing.doubted})

    def _make_look(self) -> Job | None:
        work, session = self._current(), self._engine.session
        if work is None or not session.is_fitted:
            return None
        if not fits(session.segmenter, work.planes):
            return None
        return self._job(work, [work.shown()], self._show_list)

    # -- looking -----------------------------------------------------------

    def _ready(self) -> Work | None:
        work = self._current()
        if work is None or not self._engine.session.is_fitted:
            self._engine.refuse(self._engine.works.lacking(UNTAUGHT))
            return None
        self._renew()
        return work

    def _renew(self) -> None:
        if self._doubts.renew():
            for work in self._engine.works:
                self._overlay.clear(work)

    def _scope(self, work: Work) -> list[int]:
        """Planes whose places count: those that Retrain draws."""
        return work.wanted(self._engine.session.settings.whole_volume)

    def _look(
        self, work: Work, wanted: Sequence[int], then: Callable[[], None]
    ) -> None:
        """Look at planes, at once if all is known, then go on."""
        if self._engine.busy:
            self._engine.said.emit("Wait until the probe has learned and drawn.")
        elif self._all_known(work, wanted):
            then()
        else:
            self._engine.runner.start(self._job(work, wanted, then))

    def _all_known(self, work: Work, wanted: Sequence[int]) -> bool:
        if len(wanted) * math.prod(work.planes.plane_shape) > AT_ONCE:
            return False
        now = {p: read_plane(work.marks, work.planes.index(p)) for p in wanted}
        prints = {p: fingerprint(marks) for p, marks in now.items()}
        return self._doubts.covers(work.key, prints)

    def _job(self, work: Work, wanted: Sequence[int], then: Callable[[], None]) -> Job:
        known = self._doubts.known(work.key)
        steps = partial(
            iter_look,
            self._engine.session.segmenter,
            work.planes,
            work.marks.data,
            wanted,
            dict(known),
        )

        def take(looked: Looked) -> None:
            known[looked.plane] = looked
            if self.panel.doubt.isChecked():
                self._overlay.draw(work, looked.plane, looked.doubt)

        return Job(
            "Looking for doubt",
            steps,
            on_step=take,
            on_done=lambda _: then(),
            on_error=self._engine.report,
        )

    def _rank_images(self) -> None:
        if self._doubts.images or self._engine.busy:
            self._show_list()
            return

        def done(found: list[tuple[str, float]]) -> None:
            self._doubts.images = found
            self._show_list()

        images = readable_images(self._engine.viewer)
        steps = partial(iter_rank, self._engine.session.segmenter, images)
        job = Job("Ranking images", steps, on_done=done, on_error=self._engine.report)
        self._engine.runner.start(job)

    # -- going -------------------------------------------------------------

    def _go_to_next_place(self, work: Work) -> None:
        self._show_list()
        place = self._doubts.next_place(work.key, self._scope(work))
        if place is None:
            self._engine.said.emit("The probe is in doubt nowhere here.")
        else:
            self._visit(work, place)

    def _visit(self, work: Work, place: Place) -> None:
        self._doubts.visit(work.key, place)
        at = place.y, place.x
        seen = in_sight(work, at, SEEN * place.radius)
        go_to(self._engine.viewer, work, place.plane, None if seen else at)
        self._marker.show(work, place.plane, at, place.radius)
        self.panel.show_current(place)
        self._engine.said.emit(
            f"Here the probe is {place.doubt:.0%} in doubt: paint what is in the "
            "ring, or go on to the next place if the mask is right."
        )

    def _go_to_next_slice(self, work: Work) -> None:
        self._show_list()
        chosen = self._doubts.next_slice(work.key)
        if chosen is None:
            self._engine.said.emit("Every slice is marked.")
            return
        go_to(self._engine.viewer, work, chosen.plane)
        self.panel.show_current(chosen)
        name = plane_name(work, chosen.plane)
        blank = not read_plane(work.mask, work.planes.index(chosen.plane)).any()
        self._engine.said.emit(
            f"The most doubtful slice that is left: {name}, {chosen.doubt:.1%}."
            + (" Press Segment to draw it." if blank else "")
        )

    def _show_list(self) -> None:
        """Show the list that is asked for."""
        work, kind = self._current(), self.panel.kind.currentText()
        rows: list[tuple[str, object]] = []
        hint = "Press Next place"
        if work is None or not self._engine.session.is_fitted:
            hint = "Retrain first"
        elif kind == IMAGES:
            rows = [(_image_row(*pair), pair[0]) for pair in self._doubts.images]
        elif kind == SLICES:
            slices = self._doubts.slices(work.key)
            rows = [(f"{s.doubt:.1%}  {plane_name(work, s.plane)}", s) for s in slices]
        else:
            places = self._doubts.places(work.key, self._scope(work))
            rows = [(_place_row(work, p), p) for p in places]
        self.panel.setValue(rows, hint)


def readable_images(viewer: Viewer) -> list[tuple[str, Planes]]:
    """Return the images of a window that can be segmented, with their names."""
    found = []
    for layers in images_of(viewer):
        try:
            found.append((name_of(layers), planes_of(viewer, layers[0])))
        except InputError:
            continue
    return found


def _place_row(work: Work, place: Place) -> str:
    where = plane_name(work, place.plane)
    return f"{place.doubt:.1%}  {where}{', ' if where else ''}y {place.y}, x {place.x}"


def _image_row(name: str, doubt: float) -> str:
    return f"{doubt:.1%}  {name}" if doubt >= 0 else f"–  {name}"
