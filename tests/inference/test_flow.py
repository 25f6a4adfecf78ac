"""Marks and sure slices speak for their neighbours along z, as far as edges allow."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from fake_device import FakeDevice
from fake_encoder import FakeEncoder

from napari_segdino import Segmenter
from napari_segdino.config import CacheSettings, FeatureSettings, PredictSettings
from napari_segdino.errors import InputError
from napari_segdino.features.intensity import Intensity
from napari_segdino.images.planes import as_planes
from napari_segdino.inference import flow, registration
from napari_segdino.inference.diffusion import resemblance
from napari_segdino.inference.flow import Flow, Volume, slabs
from napari_segdino.inference.predict import PlaneResult
from napari_segdino.progress import Progress, drive


def box(depth=7, until=7):
    """A bright box in the dark on the slices before `until`."""
    mask = np.zeros((depth, 20, 24), np.uint8)
    mask[:until, 5:15, 8:18] = 1
    return mask


def undecided(image, marks, spacing=None):
    """Let a slice marked whole flow through a volume of which nothing is known."""

    def predict(planes):
        yield Progress(0, 1, "Predicting")
        for index in planes:
            maps = np.full((2, *image.shape[1:]), 0.5, np.float32)
            yield PlaneResult(index, maps.argmax(0), maps)

    planes = as_planes(image.astype(np.float32), axes="ZYX")
    volume = Volume(planes, Intensity((0.0,), (1.0,)), spacing)
    return Flow(volume, predict, marks, 1.0)


def labels_of(steps):
    return {s.index: s.labels for s in steps if isinstance(s, PlaneResult)}


def test_a_marked_slice_is_carried_to_the_others():
    image = box()
    found = labels_of(undecided(image, {3: image[3] + 1}).iter_planes(range(7)))
    for index in range(7):
        np.testing.assert_array_equal(found[index], image[index])


def test_slices_that_do_not_fit_the_device_flow_on_the_cpu(caplog):
    image = box()
    flowing = undecided(image, {3: image[3] + 1})
    with FakeDevice("cuda", cells=2000):  # a slice has 480 cells, all have 3360
        there = replace(flowing.volume, device=torch.device("cuda"))
        found = labels_of(replace(flowing, volume=there).iter_planes(range(7)))
    for index in range(7):
        np.testing.assert_array_equal(found[index], image[index])
    assert [r.getMessage() for r in caplog.records] == [
        "7 slices do not fit into the memory of cuda beside the encoder: "
        "probabilities flow on the CPU."
    ]


def test_it_stops_where_the_object_ends():
    image = box(until=5)
    found = labels_of(undecided(image, {2: image[2] + 1}).iter_planes(range(7)))
    np.testing.assert_array_equal(found[4], image[4])
    assert not found[5].any()


def test_one_plane_is_as_in_the_whole_volume():
    image = box()
    flowing = undecided(image, {3: image[3] + 1})
    whole = labels_of(flowing.iter_planes(range(7)))
    for index in (0, 2, 6):
        alone = labels_of(flowing.iter_planes([index]))
        assert list(alone) == [index]
        np.testing.assert_array_equal(alone[index], whole[index])


def test_planes_come_in_the_order_asked_for():
    image = box()
    order = [4, 0, 6]
    assert list(labels_of(undecided(image, {3: image[3] + 1}).iter_planes(order))) == (
        order
    )


def test_distant_slices_say_less():
    image = box()
    planes = as_planes(image, axes="ZYX")
    unit = Intensity((0.0,), (1.0,))
    assert Volume(planes, unit).across() == flow.ACROSS
    assert Volume(planes, unit, (20, 1, 1)).across() == pytest.approx(
        flow.ACROSS / 20**0.5
    )
    found = labels_of(
        undecided(image, {3: image[3] + 1}, (20, 1, 1)).iter_planes([2, 4])
    )
    np.testing.assert_array_equal(found[2], image[2])


@pytest.mark.parametrize(
    "spacing",
    [(0, 1, 1), (-2, 1, 1), (1, 1), (float("nan"), 1, 1), (float("inf"), 1, 1)],
)
def test_a_spacing_that_is_none_is_refused_in_one_sentence(spacing):
    image = box()
    with pytest.raises(InputError, match="three numbers above 0"):
        drive(undecided(image, {3: image[3] + 1}, spacing).iter_planes([2]))


def test_slabs_cover_all_planes_once():
    assert slabs(0, 10, 20) == [(0, 10)]
    cuts = slabs(3, 40, 10)
    assert [i for a, b in cuts for i in range(a, b)] == list(range(3, 40))
    assert max(b - a for a, b in cuts) <= 10


def test_slabs_agree_at_their_seams(monkeypatch):
    random = np.random.default_rng(0)
    mask = box(60)
    image = np.clip(0.7 * mask + random.normal(0.1, 0.1, mask.shape), 0, 1)
    marks = {z: mask[z] + 1 for z in (10, 30, 50)}
    whole = labels_of(undecided(image, marks).iter_planes(range(60)))
    monkeypatch.setattr(flow, "SLAB_CELLS", (2 * flow.HALO + 12) * mask[0].size)
    parts = labels_of(undecided(image, marks).iter_planes(range(60)))
    agree = [np.mean(whole[z] == parts[z]) for z in range(60)]
    assert np.mean(agree) > 0.995


# -- with a probe --------------------------------------------------------------


@pytest.fixture(autouse=True)
def encoder(monkeypatch):
    return FakeEncoder().installed(monkeypatch)


def segmenter(tmp_path, **predicting):
    features = FeatureSettings(intensity="ct brain")  # the same for any part
    return Segmenter(
        "fake",
        features=features,
        predicting=PredictSettings(**predicting),
        cache=CacheSettings(1 << 28, 0, tmp_path),
    )


def twins(seed=0, depth=9):
    """Two boxes that look alike; the left one is the object."""
    mask = np.zeros((depth, 40, 48), np.uint8)
    mask[:, 12:28, 6:20] = 1
    alike = mask | np.roll(mask, 22, 2)
    noise = np.random.default_rng(seed).integers(0, 8, mask.shape)
    return (noise + 60 * alike).astype(np.uint8), mask


def one_slice(mask, at):
    marks = np.zeros_like(mask)
    marks[at] = mask[at] + 1
    return marks


def dice(a, b):
    return 2 * np.sum((a > 0) & (b > 0)) / (np.sum(a > 0) + np.sum(b > 0))


def test_one_slice_marked_whole_gives_the_object(tmp_path):
    image, mask = twins()
    seg = segmenter(tmp_path).fit(image, one_slice(mask, 4), volume=True)
    assert dice(seg.predict(image, volume=True), mask) > 0.95
    alone = segmenter(tmp_path, regularise=False)
    alone.fit(image, one_slice(mask, 4), volume=True)
    assert dice(alone.predict(image, volume=True), mask) < 0.8, "it cannot tell them"


def test_a_plane_of_its_own_is_drawn_from_its_neighbours(tmp_path, encoder):
    image, mask = twins()
    seg = segmenter(tmp_path).fit(image, one_slice(mask, 4), volume=True)
    before = encoder.planes_encoded
    (found,) = labels_of(seg.iter_predict(image, volume=True, planes=[7])).values()
    assert dice(found, mask[7]) > 0.95
    assert encoder.planes_encoded - before <= 2


def test_nothing_flows_along_time(tmp_path):
    (first, mask), (second, _) = twins(0), twins(1)
    series, marks = np.stack([first, second]), np.zeros((2, *mask.shape), np.uint8)
    marks[0] = one_slice(mask, 4)
    seg = segmenter(tmp_path).fit(series, marks, axes="TZYX")
    found = seg.predict(series, axes="TZYX")
    assert dice(found[0], mask) > 0.95
    np.testing.assert_array_equal(found[1], seg.predict(second, axes="ZYX"))
    flat = segmenter(tmp_path).fit(first, one_slice(mask, 4), axes="TYX")
    assert dice(flat.predict(first, axes="TYX"), mask) < 0.8


@pytest.mark.parametrize("shape", [(1, 40, 48), (2, 40, 48), (5, 1, 48), (5, 40, 1)])
def test_thin_volumes(tmp_path, shape):
    image = np.zeros(shape, np.uint8)
    mask = np.zeros(shape, np.uint8)
    inside = tuple(slice(n // 4, n // 4 + max(1, n // 2)) for n in shape[1:])
    mask[(slice(None), *inside)] = 1
    image[mask > 0] = 70
    if mask.all():
        pytest.skip("no background")
    seg = segmenter(tmp_path).fit(image, one_slice(mask, 0), volume=True)
    found = seg.predict(image, volume=True)
    np.testing.assert_array_equal(found[0], mask[0])
    assert dice(found, mask) > 0.8


def test_a_class_on_one_slice_only(tmp_path):
    image, mask = twins()
    marks = one_slice(mask, 4)
    mask = mask + 2 * np.roll(mask, 22, 2)
    marks[6] = mask[6] + 1
    seg = segmenter(tmp_path).fit(image, marks, volume=True)
    found = seg.predict(image, volume=True)
    assert dice(found[6] == 2, mask[6] == 2) > 0.95
    assert dice(found[7] == 2, mask[7] == 2) > 0.9


def test_marks_on_every_slice(tmp_path):
    image, mask = twins()
    seg = segmenter(tmp_path).fit(image, mask + 1, volume=True)
    np.testing.assert_array_equal(seg.predict(image, volume=True), mask)


@pytest.mark.parametrize("stage", [registration.TEXT, flow.TEXT])
def test_cancelled_in_the_middle_nothing_is_lost(tmp_path, stage):
    image, mask = twins()
    seg = segmenter(tmp_path).fit(image, one_slice(mask, 4), volume=True)
    steps = seg.iter_predict(image, volume=True)
    texts = itertools.takewhile(
        lambda text: text != stage, (getattr(s, "text", "") for s in steps)
    )
    assert "Predicting" in set(texts)
    steps.close()
    assert dice(seg.predict(image, volume=True), mask) > 0.95


def test_the_plane_on_screen_does_not_wait_for_the_others(tmp_path, encoder):
    image, mask = twins(depth=20)
    seg = segmenter(tmp_path).fit(image, one_slice(mask, 4), volume=True)
    order = [6, *(i for i in range(20) if i != 6)]
    before, found = encoder.planes_encoded, []
    for step in seg.iter_predict(image, volume=True, planes=order, centre=(9, 9)):
        if isinstance(step, PlaneResult):
            found.append(step.index)
            if len(found) == 1:
                assert encoder.planes_encoded - before <= 2
    assert found == order


def test_unrelated_slices_pass_nothing_on_where_no_edge_lets_it():
    random = np.random.default_rng(0)
    image = random.random((3, 1, 16, 16)).astype(np.float32)
    alike = np.repeat(image[:1], 3, 0)
    found = [
        resemblance(torch.from_numpy(a.transpose(1, 0, 2, 3)))
        for a in (image, alike, 1 - 2 * (np.arange(3) % 2)[:, None, None, None] * alike)
    ]
    assert float(found[0].max()) < 0.2
    np.testing.assert_allclose(found[1], 1, rtol=1e-5)
    assert not found[2].any(), "the opposite of each other"
    assert (resemblance(torch.ones(1, 3, 4, 4)) == 1).all()
