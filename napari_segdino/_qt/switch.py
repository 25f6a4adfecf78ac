"""Another encoder, head or view: it takes over once it is there and has learned."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject

from napari_segdino._qt.worker import Job
from napari_segdino.session.results import Switched
from napari_segdino.session.tasks import iter_switch

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_segdino._qt.engine import Engine

TITLE = "Change"


class ProbeSwitch(QObject):  # type: ignore[misc]
    """Changes settings that the probe is bound to.

    The present probe stays until the new one has its encoder and has learned the
    marks there are, and where that fails or is cancelled.

    Parameters
    ----------
    engine : Engine
        Of the window.
    """

    def __init__(self, engine: Engine, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._engine = engine
        self._changes: dict[str, Any] = {}
        engine.busy_changed.connect(self._on_busy)

    def switch(self, image: Image | None, **changes: Any) -> None:
        """Make a new probe and draw the mask of an image with it.

        Parameters
        ----------
        image : napari.layers.Image, optional
            The image that is picked.
        **changes
            Fields of :class:`~napari_segdino.session.settings.Settings`; those of a
            switch that is under way go with them.
        """
        engine, session = self._engine, self._engine.session
        self._changes |= changes
        annotation = engine.annotations.get(image) if image is not None else None
        steps = partial(
            iter_switch,
            session.segmenter,
            session.candidate(**self._changes),
            dict(self._changes),
            [engine.marked(w, {}) for w in engine.annotations],
        )
        if annotation is None:
            self._load(steps)
            return
        drawn = partial(
            steps,
            engine.marked(annotation, {}),
            annotation.mask.data,
            annotation.wanted(session.settings.whole_volume),
            annotation.centre(),
            engine.uncertainty_wanted(),
        )
        engine.draw(annotation, TITLE, drawn)

    def _load(self, steps: Any) -> None:
        """Have the new probe take over with nothing to draw."""
        engine = self._engine

        def done(_: Any) -> None:
            engine.message.emit(summary(engine.session.is_fitted))

        engine.message.emit(f"{TITLE}: working...")
        engine.runner.start(
            Job(TITLE, steps, self._take, on_done=done, on_error=engine.report)
        )

    def _take(self, step: Any) -> None:
        if isinstance(step, Switched):
            self._engine.history.switch(step.segmenter, **step.changes)

    def _on_busy(self, busy: bool) -> None:
        if not busy:
            self._changes = {}


def summary(fitted: bool) -> str:
    """Say what has come of it, and what to do next."""
    if fitted:
        return "Your marks were learned anew. Go back in Review brings the old probe."
    return "It is loaded. Press Segment for a mask, or paint and press Retrain."
