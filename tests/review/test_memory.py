import numpy as np

from napari_segdino.progress import drive
from napari_segdino.review.guard import kept_share, recheck, score_strokes
from napari_segdino.review.twin import iter_twin


def test_ten_later_images_do_not_make_the_probe_forget_the_first(segmenter, scene):
    first, _, marks = scene()
    marks[40:60:4, 2:60] = 1  # many strokes: more than a share of the units
    marks[18:30:4, 18:30] = 2
    segmenter.fit(first, marks)
    (key,) = segmenter.memory_
    for seed in range(1, 11):
        # darker objects, brighter noise: another kind of image each time
        image, _, said = scene(seed, low=40 + 4 * seed, high=180 - 5 * seed)
        segmenter.partial_fit(image, said)
    assert len(segmenter.memory_) == 11
    own = recheck(segmenter.model_, {key: segmenter.memory_[key]})
    assert kept_share(own) >= 0.97
    untold = drive(iter_twin(segmenter, memory={}))
    raw = score_strokes(untold.predict(first), marks)
    assert kept_share(raw) >= 0.97
    assert sum(s.pixels for s in raw) == np.count_nonzero(marks)
