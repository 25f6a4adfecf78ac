"""Any array: an answer of its shape or a sentence, and the array as it was."""

from __future__ import annotations

import warnings

import dask.array
import numpy as np
import pytest
import torch
from fake_encoder import FakeEncoder
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_segdino import Segmenter
from napari_segdino.config import CacheSettings
from napari_segdino.errors import InputError, SegDINOError

WIDE = ("i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8")
NUMBERS = st.sampled_from(
    ["?", "i1", "u1", *(order + kind for kind in WIDE for order in "<>")]
)
NO_NUMBERS = st.sampled_from(["c8", ">c16", "O", "S2", "U2", "M8[s]", "m8[s]", "u1,f4"])
SHAPES = st.sampled_from(
    [(9, 17), (1, 1), (1, 40), (12, 8, 3), (12, 8, 4), (8, 9, 2), (2, 7, 21)]
    + [(2, 8, 8, 3), (1, 1, 1), (0, 5), (5, 0, 3), (7,), (), (2, 2, 2, 6, 6), (300, 2)]
)
CONTENTS = st.sampled_from(["random", "constant", "zero", "extremes", "nan", "inf"])
LAYOUTS = st.sampled_from(
    ["plain", "fortran", "reversed", "strided", "broadcast", "read-only", "masked"]
    + ["dask", "view of bytes"]
)
MARKS = st.sampled_from(
    [*["strokes"] * 6, *["all"] * 3, "one class", "none", "negative", "high"]
    + ["fractions", "other shape"]
)


def filled(kind, shape, content, seed):
    """An array of any type with a content of its own."""
    dtype = np.dtype(kind)
    random = np.random.default_rng(seed)
    values = np.asarray(random.integers(0, 100, shape))
    if dtype.kind not in "biuf":
        return np.zeros(shape, dtype) if dtype.kind in "V" else values.astype(dtype)
    array = np.asarray(values > 50 if dtype.kind == "b" else values).astype(dtype)
    if content in ("constant", "zero"):
        array[...] = 0 if content == "zero" else 7
    elif content == "extremes" and dtype.kind != "b":
        about = np.iinfo(dtype) if dtype.kind in "iu" else np.finfo(dtype)
        array[...] = np.where(values > 50, about.max, about.min)
    elif content in ("nan", "inf") and dtype.kind == "f":
        bad = {"nan": [np.nan], "inf": [np.inf, -np.inf]}[content]
        some = np.asarray(values % 3 == 0)
        array[some] = random.choice(bad, int(some.sum()))
    return array


def laid_out(array, layout):
    """The same values, in memory otherwise."""
    if layout == "fortran":
        return np.asfortranarray(array)
    if layout == "reversed" and array.ndim:
        return np.flip(np.flip(array).copy())
    if layout == "strided" and array.ndim:
        return np.repeat(array, 2, axis=-1)[..., ::2]
    if layout == "broadcast" and array.size:
        return np.broadcast_to(array.ravel()[:1].reshape(()), array.shape)
    if layout == "read-only":
        array.flags.writeable = False
    if layout == "masked":
        return np.ma.MaskedArray(array, np.zeros(array.shape, bool))
    if layout == "dask" and array.dtype.kind != "O":
        return dask.array.from_array(array)
    if layout == "view of bytes" and array.dtype.kind in "biuf":
        unaligned = np.frombuffer(b"x" + array.tobytes(), array.dtype, offset=1)
        return unaligned.reshape(array.shape)
    return array


def marked(shape, how, kind):
    """Marks of an image of a shape, of a type."""
    marks = np.zeros(shape, kind)
    flat = marks.reshape(-1)
    if how == "all":
        flat[:] = 1 + np.arange(flat.size) % 3
    elif how != "none":
        flat[: flat.size // 3] = 1
        flat[-(flat.size // 3) :] = 1 if how == "one class" else 2
    if flat.size and how == "negative":
        flat[0] = -1 if np.dtype(kind).kind in "if" else 1
    if flat.size and how == "high":
        flat[0] = 127 if np.dtype(kind).itemsize == 1 else 300
    if how == "fractions":
        return marks + np.float32(0.5)
    return marks[..., :-1] if how == "other shape" and marks.ndim else marks


def spatial(shape):
    """Shapes that a mask of an image may have."""
    return {tuple(shape), tuple(shape[:-1])}


def check(image, marks):
    """Fit and predict: an answer, or None after a sentence."""
    before = [np.array(a, copy=True) for a in (image, marks)]
    segmenter = Segmenter("fake", cache=CacheSettings(0, 0))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            found = segmenter.fit(image, marks).predict(image)
    except SegDINOError as error:
        text = str(error)
        assert "\n" not in text and text.endswith("."), text
        assert len(text) < 400, text
        answer = None
    else:
        assert found.max(initial=0) < segmenter.n_classes_
        answer = found
    for now, then in zip((image, marks), before, strict=True):
        assert np.array(now).tobytes() == then.tobytes(), "the input was changed"
    return answer


EXAMPLES = {
    "kind": st.one_of(NUMBERS, NUMBERS, NUMBERS, NO_NUMBERS),
    "shape": SHAPES,
    "content": CONTENTS,
    "layout": LAYOUTS,
    "strokes": MARKS,
    "marks_kind": st.sampled_from(["u1", "u1", "i1", "i2", ">i4", "u8", "?", "f4"]),
    "seed": st.integers(0, 2**16),
}


def any_array(kind, shape, content, layout, strokes, marks_kind, seed):
    """Whether an array is answered as it should be, where it is not refused."""
    array = laid_out(filled(kind, shape, content, seed), layout)
    channels = bool(shape) and shape[-1] in (2, 3, 4) and len(shape) > 2
    marks = marked(shape[:-1] if channels else shape, strokes, marks_kind)
    answer = check(array, marks)
    if answer is None:
        return True
    can_be_answered = np.dtype(kind).kind in "biuf" and 1 < len(shape) < 5
    of_the_marks = answer.shape == marks.shape and answer.shape in spatial(array.shape)
    return can_be_answered and of_the_marks and answer.dtype.kind == "u"


@pytest.fixture(scope="module", autouse=True)
def encoder():
    with pytest.MonkeyPatch.context() as patch:
        yield FakeEncoder().installed(patch)


@settings(max_examples=200)
@given(**EXAMPLES)
def test_any_array_is_answered_or_refused(**example):
    assert any_array(**example)


@pytest.mark.long
@settings(max_examples=2000)
@given(**EXAMPLES)
def test_two_thousand_arrays_are_answered_or_refused(**example):
    assert any_array(**example)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.bool])
def test_tensors_are_refused_in_a_sentence(kind):
    image, marks = np.zeros((8, 9)), np.ones((8, 9), np.uint8)
    tensor = torch.ones(8, 9, dtype=kind)
    with pytest.raises(InputError, match="An image is an array .*, not torch.Tensor"):
        Segmenter("fake").fit(tensor, marks)
    with pytest.raises(InputError, match="Marks are an array .*, not torch.Tensor"):
        Segmenter("fake").fit(image, tensor)


@pytest.mark.parametrize("kind", ["c8", "O", "u1,f4", "M8[s]", "U3"])
def test_what_is_no_number_has_a_sentence_of_its_own(kind):
    marks = np.ones((8, 9), np.uint8)
    with pytest.raises(InputError, match="An image holds numbers|A complex image"):
        Segmenter("fake").fit(np.zeros((8, 9), kind), marks)
