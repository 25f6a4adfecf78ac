from napari_segdino.heads.registry import make_head
from napari_segdino.progress import drive
from napari_segdino.review.guard import recheck
from napari_segdino.review.live_score import iter_copy

PROBE = make_head("probe")


def test_ten_later_images_do_not_make_the_probe_forget_the_first(segmenter, scene):
    first, _, marks = scene()
    marks[40:60:4, 2:60] = 1  # many strokes: more than a share of the units
    marks[18:30:4, 18:30] = 2
    segmenter.fit(first, marks)
    (key,) = segmenter.samples_
    for seed in range(1, 11):
        # darker objects, brighter noise: another kind of image each time
        image, _, marked = scene(seed, low=40 + 4 * seed, high=180 - 5 * seed)
        segmenter.partial_fit(image, marked)
    assert len(segmenter.samples_) == 11
    own = recheck(PROBE, segmenter.model_, {key: segmenter.samples_[key]})
    followed = sum(s.share * s.pixels for s in own)
    assert followed >= 0.97 * sum(s.pixels for s in own)
    untold = drive(iter_copy(segmenter, samples={}))
    right = untold.predict(first) + 1 == marks
    assert right[marks > 0].mean() >= 0.97
