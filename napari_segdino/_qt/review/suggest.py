"""Leads the user to where the probe is in doubt."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject

from napari_segdino._qt.layers import image_planes, is_ours, read_plane
from napari_segdino._qt.review.look import Looked, iter_look, iter_rank
from napari_segdino._qt.review.overlays import Marker, Overlay
from napari_segdino._qt.review.suggest_panel import (
    IMAGES,
    PLACES,
    SLICES,
    SuggestPanel,
)
from napari_segdino._qt.review.travel import go_to, plane_name
from napari_segdino._qt.worker import Job
from napari_segdino.errors import InputError
from napari_segdino.review.places import Place, Ranking, Slice, join
from napari_segdino.session import fingerprint

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_segdino._qt.engine import Engine
    from napari_segdino._qt.idle import IdleWork
    from napari_segdino._qt.works import Work

AT_ONCE = 4_000_000
"""Pixels whose marks are compared on the main thread, a few milliseconds."""

FOLLOW = 0.15
"""Seconds that a slice is shown before its doubt is looked for."""

UNTAUGHT = "Nothing is learned yet: correct the mask and press Retrain first."


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
        self._model: Any = None
        self._looked: dict[Any, dict[int, Looked]] = {}
        self._visited: list[tuple[Any, Place]] = []
        self._seen_slices: set[tuple[Any, int]] = set()
        self._images: list[tuple[str, float]] = []
        self._overlay = Overlay(engine.viewer, "uncertainty", self)
        self._marker = Marker(engine.viewer, self)
        self.panel.next_place.clicked.connect(self.next_place)
        self.panel.next_slice.clicked.connect(self.next_slice)
        self.panel.listed.connect(self._list)
        self.panel.picked.connect(self._go)
        self.panel.doubt.toggled.connect(self._show_doubt)
        self._overlay.gone.connect(partial(self.panel.doubt.setChecked, False))
        engine.viewer.dims.events.current_step.connect(self._on_moved)

    def release(self) -> None:
        """Take the layers away and let go of the window."""
        self._engine.viewer.dims.events.current_step.disconnect(self._on_moved)
        self._marker.remove()
        self._overlay.release()

    # -- what the user does ------------------------------------------------

    def next_place(self) -> None:
        """Go to the most doubtful place that was not visited yet."""
        work = self._ready()
        if work is not None:
            wanted = work.wanted(self._engine.session.settings.whole_volume)
            self._look(work, wanted, partial(self._go_to_next_place, work))

    def next_slice(self) -> None:
        """Go to the most doubtful slice that was not visited yet."""
        work = self._ready()
        if work is None:
            return
        if len(work.planes) == 1:
            self._engine.said.emit("This image has one slice only.")
            return
        then = partial(self._go_to_next_slice, work)
        self._look(work, work.wanted(True), then)

    def _list(self, kind: str) -> None:
        """Show places, slices or images; look for what is not known."""
        work = self._ready()
        if work is None:
            self._refresh()
        elif kind == SLICES:
            self._look(work, work.wanted(True), self._refresh)
        elif kind == IMAGES:
            self._rank_images()
        else:
            whole = self._engine.session.settings.whole_volume
            self._look(work, work.wanted(whole), self._refresh)

    def _go(self, thing: Place | Slice | str) -> None:
        """Go to what stands behind a row of the list."""
        work = self._current()
        if isinstance(thing, str):
            for image in self._candidates():
                if image.name == thing:
                    self._pick(image)
        elif work is not None and isinstance(thing, Place):
            self._visit(work, thing)
        elif work is not None:
            go_to(self._engine.viewer, work, thing.plane)

    def _show_doubt(self, on: bool) -> None:
        work = self._current()
        if not on or work is None:
            self._overlay.hide()
            return
        self._overlay.show(work)
        for looked in self._known(work).values():
            self._overlay.draw(work, looked.plane, looked.doubt)
        self._follow()

    # -- what happens ------------------------------------------------------

    def refresh(self) -> None:
        """Follow a new probe, image or tab."""
        self._forget_if_new()
        if self.panel.doubt.isChecked():
            self._show_doubt(True)
        self._refresh()
        self._follow()

    def _on_moved(self, event: Any = None) -> None:
        if self.panel.doubt.isChecked():
            self._follow()

    def _follow(self) -> None:
        """Have the slice on screen looked at when the user rests."""
        if self.panel.doubt.isChecked() or self.panel.isVisibleTo(self.panel.window()):
            self._idle.ask("look", self._make_look, FOLLOW)

    def _make_look(self) -> Job | None:
        work = self._current()
        if work is None or not self._engine.session.is_fitted:
            return None
        return self._job(work, [work.shown()], self._refresh)

    # -- looking -----------------------------------------------------------

    def _ready(self) -> Work | None:
        work = self._current()
        if work is None or not self._engine.session.is_fitted:
            self._engine.said.emit(UNTAUGHT)
            return None
        return work

    def _forget_if_new(self) -> None:
        """Forget what another probe was in doubt about."""
        session = self._engine.session
        model = session.segmenter.model_ if session.is_fitted else None
        if model is not self._model:
            self._model = model
            self._looked, self._images = {}, []
            self._seen_slices.clear()
            for work in self._engine.works:
                self._overlay.clear(work)

    def _known(self, work: Work) -> dict[int, Looked]:
        self._forget_if_new()
        return self._looked.setdefault(work.key, {})

    def _look(
        self, work: Work, wanted: Sequence[int], then: Callable[[], None]
    ) -> None:
        """Look at planes, at once if all is known, then go on."""
        if self._all_known(work, wanted):
            then()
        elif self._engine.busy:
            self._engine.said.emit("Wait until the probe has learned and drawn.")
        else:
            self._engine.runner.start(self._job(work, wanted, then))

    def _all_known(self, work: Work, wanted: Sequence[int]) -> bool:
        known = self._known(work)
        if len(wanted) * math.prod(work.planes.plane_shape) > AT_ONCE:
            return False
        return all(
            p in known
            and known[p].print
            == fingerprint(read_plane(work.marks, work.planes.index(p)))
            for p in wanted
        )

    def _job(self, work: Work, wanted: Sequence[int], then: Callable[[], None]) -> Job:
        known = self._known(work)
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
            on_error=self._engine.refuse,
        )

    def _rank_images(self) -> None:
        images = [(i.name, image_planes(i)) for i in self._candidates()]
        if self._images or self._engine.busy:
            self._refresh()
            return

        def done(found: list[tuple[str, float]]) -> None:
            self._images = found
            self._refresh()

        steps = partial(iter_rank, self._engine.session.segmenter, images)
        job = Job("Ranking images", steps, on_done=done, on_error=self._engine.refuse)
        self._engine.runner.start(job)

    def _candidates(self) -> list[Image]:
        from napari.layers import Image

        found = []
        for layer in self._engine.viewer.layers:
            if isinstance(layer, Image) and not is_ours(layer):
                try:
                    image_planes(layer)
                except InputError:
                    continue
                found.append(layer)
        return found

    # -- going -------------------------------------------------------------

    def _ranking(self, work: Work) -> Ranking:
        whole = self._engine.session.settings.whole_volume
        wanted = set(work.wanted(whole))
        known = self._known(work)
        places = join([x.ranking for p, x in known.items() if p in wanted])
        slices = join([x.ranking for x in known.values()])
        return Ranking(places.places, slices.slices)

    def _go_to_next_place(self, work: Work) -> None:
        places = self._ranking(work).places
        self._refresh()
        if not places:
            self._engine.said.emit("The probe is in doubt nowhere here.")
            return
        fresh = [p for p in places if not self._was_visited(work, p)]
        if not fresh:
            self._visited = [(key, p) for key, p in self._visited if key != work.key]
            fresh = list(places)
        self._visit(work, fresh[0])

    def _was_visited(self, work: Work, place: Place) -> bool:
        return any(
            key == work.key
            and p.plane == place.plane
            and math.hypot(p.y - place.y, p.x - place.x) <= place.radius
            for key, p in self._visited
        )

    def _visit(self, work: Work, place: Place) -> None:
        self._visited.append((work.key, place))
        at = place.y, place.x
        go_to(self._engine.viewer, work, place.plane, at)
        self._marker.show(work, place.plane, at, place.radius)
        self.panel.show_current(place)
        self._engine.said.emit(
            f"Here the probe is {place.doubt:.0%} in doubt: paint what is in the "
            "ring, or go on to the next place if the mask is right."
        )

    def _go_to_next_slice(self, work: Work) -> None:
        slices = self._ranking(work).slices
        self._refresh()
        if not slices:
            self._engine.said.emit("Every slice is marked.")
            return
        fresh = [s for s in slices if (work.key, s.plane) not in self._seen_slices]
        if not fresh:
            self._seen_slices = {x for x in self._seen_slices if x[0] != work.key}
            fresh = list(slices)
        chosen = fresh[0]
        self._seen_slices.add((work.key, chosen.plane))
        go_to(self._engine.viewer, work, chosen.plane)
        self.panel.show_current(chosen)
        self._engine.said.emit(
            f"The most doubtful slice that is left: {plane_name(work, chosen.plane)}, "
            f"{chosen.doubt:.0%}."
        )

    def _refresh(self) -> None:
        """Show the list that is asked for."""
        work, kind = self._current(), self.panel.kind.currentText()
        if work is None or not self._engine.session.is_fitted:
            self.panel.setValue([], "Retrain first")
        elif kind == IMAGES:
            texts = (f"{v:.1%}" if v >= 0 else "–" for _, v in self._images)
            names = (name for name, _ in self._images)
            self.panel.setValue(
                [(f"{t}  {n}", n) for t, n in zip(texts, names, strict=True)]
            )
        elif kind == SLICES:
            slices = self._ranking(work).slices
            self.panel.setValue(
                [(f"{s.doubt:.1%}  {plane_name(work, s.plane)}", s) for s in slices]
            )
        else:
            assert kind == PLACES
            self.panel.setValue(
                [(_row(work, p), p) for p in self._ranking(work).places],
                "Press Next place",
            )


def _row(work: Work, place: Place) -> str:
    where = plane_name(work, place.plane)
    return f"{place.doubt:.1%}  {where}{', ' if where else ''}y {place.y}, x {place.x}"
