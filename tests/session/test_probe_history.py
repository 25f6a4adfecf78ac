"""Which probe is there after each Retrain, and after going back. No window."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_segdino.compressed import Compressed
from napari_segdino.session.probe_history import ProbeHistory
from napari_segdino.session.probe_state import fitted_state
from napari_segdino.session.results import PlaneUpdate, Trained
from napari_segdino.session.session import Session
from napari_segdino.session.settings import Settings


class Probe:
    """Knows a number."""

    encoder, head, features, recipe = "e", "probe", None, None
    predicting = Settings().predicting

    def set_params(self, **params: Any) -> None:
        vars(self).update(params)


def start(**bounds: int) -> tuple[Session, ProbeHistory]:
    session = Session(lambda **_: Probe(), Settings("e"))
    return session, ProbeHistory(session, **bounds)


def learn(session: Session, history: ProbeHistory, image: str, number: float) -> Any:
    """Play one Retrain on plane 0: the mask goes from ``number - 1`` to `number`."""
    history.begin()
    before = fitted_state(session.segmenter)
    session.segmenter.model_ = np.array(number)
    session.note_learned(image, {0: int(number)})
    update = history.trained(image, Trained(before, fitted_state(session.segmenter)))
    old, new = (
        Compressed.of(np.full((2, 2), n, np.uint8)) for n in (number - 1, number)
    )
    history.add_masks(image, update, [PlaneUpdate(0, old, new)])
    return update


def number_of(session: Session) -> float | None:
    model = getattr(session.segmenter, "model_", None)
    return None if model is None else float(model)


def test_going_back_and_forth() -> None:
    session, history = start()
    assert history.place == (0, 0)
    for number in (1, 2):
        learn(session, history, "a", number)
    assert history.place == (3, 3)
    for by, number, drawn in ((-1, 1, 1), (-1, None, 0), (1, 1, 1), (1, 2, 2)):
        found = history.step(by)
        assert found is not None
        assert number_of(session) == number
        assert found[1]["a", 0].array().tolist() == [[drawn, drawn]] * 2
        learned = {"a": {0: number}} if number else {}
        assert session.learned == learned, "so that marks are learned anew"
    assert history.step(1) is None
    assert history.place == (3, 3)


def test_undo_and_redo_of_a_mask_update_find_their_probes() -> None:
    session, history = start()
    first = learn(session, history, "a", 1)
    second = learn(session, history, "a", 2)
    assert history.find("a", second, back=False) is None, "it is there"
    back = history.find("a", second, back=True)
    assert back is not None
    history.go(back)
    assert number_of(session) == 1
    assert history.find("a", second, back=True) is None, "other planes say it again"
    start_ = history.find("a", first, back=True)
    assert start_ is not None
    history.go(start_)
    assert number_of(session) is None
    end = history.find("a", second, back=False)
    assert end is not None
    history.go(end)
    assert number_of(session) == 2


def test_undo_never_takes_what_another_image_taught() -> None:
    session, history = start()
    on_a = learn(session, history, "a", 1)
    learn(session, history, "b", 2)
    assert history.find("a", on_a, back=True) is None


def test_a_new_round_after_going_back_drops_the_later_ones() -> None:
    session, history = start()
    learn(session, history, "a", 1)
    dropped = learn(session, history, "a", 2)
    history.step(-1)
    learn(session, history, "a", 7)
    assert history.place == (3, 3)
    assert history.find("a", dropped, back=False) is None
    history.step(-1)
    assert number_of(session) == 1


def test_a_mask_update_without_learning_is_no_state() -> None:
    session, history = start()
    learn(session, history, "a", 1)
    history.begin()
    same = fitted_state(session.segmenter)
    update = history.trained("a", Trained(same, same))
    assert update.before == update.after
    assert history.place == (2, 2)


def test_another_probe_starts_a_new_history() -> None:
    session, history = start()
    update = learn(session, history, "a", 1)
    session.forget()
    assert history.place == (0, 0)
    assert history.find("a", update, back=True) is None
    assert history.step(-1) is None
    learn(session, history, "a", 5)
    assert history.place == (2, 2)


def test_bounded_in_number_and_bytes() -> None:
    session, history = start(limit=3)
    for number in range(1, 6):
        learn(session, history, "a", number)
    assert [float(s.fitted["model_"]) for s in history.states] == [3, 4, 5]
    assert history.place == (3, 3)
    session, history = start(max_bytes=1)
    for number in range(1, 4):
        learn(session, history, "a", number)
    assert [float(s.fitted["model_"]) for s in history.states] == [3]


def test_states_around_the_shown_one_that_fit_a_budget() -> None:
    session, history = start()
    assert list(history.around(100)) == []
    for number in range(1, 6):
        learn(session, history, "a", number)
    history.step(-1)
    size = max(state.nbytes for state in history.states)
    assert list(history.around(1)) == [4], "the one that is shown, whatever it takes"
    assert list(history.around(2 * size)) == [3, 4]
    assert list(history.around(6 * size)) == [0, 1, 2, 3, 4, 5]
