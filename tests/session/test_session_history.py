"""Which probe is there after each Retrain, and after walking back. No window."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_segdino.compressed import Compressed
from napari_segdino.review.history import learned_of
from napari_segdino.session.probe_history import Rounds
from napari_segdino.session.results import Known, PlaneUpdate
from napari_segdino.session.session import Session
from napari_segdino.session.settings import Settings


class Probe:
    """Knows a number."""

    encoder, head, features, recipe = "e", "probe", None, None
    predicting = Settings().predicting

    def set_params(self, **params: Any) -> None:
        vars(self).update(params)


def start() -> tuple[Session, Rounds]:
    session = Session(lambda **_: Probe(), Settings("e"))
    return session, Rounds(session)


def learn(session: Session, rounds: Rounds, image: str, number: float) -> Any:
    """Play one Retrain on plane 0: the mask goes from ``number - 1`` to `number`."""
    rounds.begin()
    before = learned_of(session.segmenter)
    session.segmenter.model_ = np.array(number)
    session.note_learned(image, {0: int(number)})
    redraw = rounds.learned(image, Known(before, learned_of(session.segmenter)))
    old, new = (
        Compressed.of(np.full((2, 2), n, np.uint8)) for n in (number - 1, number)
    )
    rounds.drew(image, redraw, [PlaneUpdate(0, old, new)])
    return redraw


def knows(session: Session) -> float | None:
    model = getattr(session.segmenter, "model_", None)
    return None if model is None else float(model)


def test_walking_back_and_forth() -> None:
    session, rounds = start()
    assert rounds.place == (0, 0)
    for number in (1, 2):
        learn(session, rounds, "a", number)
    assert rounds.place == (3, 3)
    for by, number, drawn in ((-1, 1, 1), (-1, None, 0), (1, 1, 1), (1, 2, 2)):
        walked = rounds.walk(by)
        assert walked is not None
        assert knows(session) == number
        assert walked[1]["a", 0].array().tolist() == [[drawn, drawn]] * 2
        learned = {"a": {0: number}} if number else {}
        assert session.learned == learned, "so that marks are learned anew"
    assert rounds.walk(1) is None
    assert rounds.place == (3, 3)


def test_undo_and_redo_of_a_redraw_find_their_probes() -> None:
    session, rounds = start()
    first = learn(session, rounds, "a", 1)
    second = learn(session, rounds, "a", 2)
    assert rounds.find("a", second, back=False) is None, "it is there"
    back = rounds.find("a", second, back=True)
    assert back is not None
    rounds.go(back)
    assert knows(session) == 1
    assert rounds.find("a", second, back=True) is None, "other planes say it again"
    start_ = rounds.find("a", first, back=True)
    assert start_ is not None
    rounds.go(start_)
    assert knows(session) is None
    end = rounds.find("a", second, back=False)
    assert end is not None
    rounds.go(end)
    assert knows(session) == 2


def test_undo_never_takes_what_another_image_taught() -> None:
    session, rounds = start()
    on_a = learn(session, rounds, "a", 1)
    learn(session, rounds, "b", 2)
    assert rounds.find("a", on_a, back=True) is None


def test_a_new_round_after_walking_back_drops_the_later_ones() -> None:
    session, rounds = start()
    learn(session, rounds, "a", 1)
    dropped = learn(session, rounds, "a", 2)
    rounds.walk(-1)
    learn(session, rounds, "a", 7)
    assert rounds.place == (3, 3)
    assert rounds.find("a", dropped, back=False) is None
    rounds.walk(-1)
    assert knows(session) == 1


def test_a_redraw_without_learning_is_no_round() -> None:
    session, rounds = start()
    learn(session, rounds, "a", 1)
    rounds.begin()
    same = learned_of(session.segmenter)
    redraw = rounds.learned("a", Known(same, same))
    assert redraw.before == redraw.after
    assert rounds.place == (2, 2)


def test_another_probe_starts_a_new_history() -> None:
    session, rounds = start()
    redraw = learn(session, rounds, "a", 1)
    session.forget()
    assert rounds.place == (0, 0)
    assert rounds.find("a", redraw, back=True) is None
    assert rounds.walk(-1) is None
    learn(session, rounds, "a", 5)
    assert rounds.place == (2, 2)
