"""No two masks of a run have one name, on any file system."""

import numpy as np
import pytest
import tifffile

from napari_segdino.batch.jobs import plan_jobs
from napari_segdino.io.pairs import mask_name


@pytest.mark.parametrize(
    "stems",
    [
        ("scan", "SCAN"),
        ("Läsion", "Läsion".replace("ä", "a\u0308")),
        ("straße", "STRASSE"),
        ("x" * 240, "x" * 239 + "y"),
    ],
)
def test_masks_of_names_that_are_nearly_alike(tmp_path, stems):
    for number, stem in enumerate(stems):
        (tmp_path / f"{number}").mkdir()
        path = tmp_path / f"{number}" / f"{stem}.tif"
        tifffile.imwrite(path, np.zeros((4, 4), np.uint8))
    inputs = [tmp_path / "0", tmp_path / "1"]
    targets = [job.target(".tif") for job in plan_jobs(inputs, tmp_path / "masks")]
    assert len({target.name.casefold() for target in targets}) == 2
    (tmp_path / "masks").mkdir()
    for target in targets:
        target.touch()
        assert target.parent == tmp_path / "masks"


def test_a_series_of_any_name_has_a_mask_of_a_safe_one(tmp_path):
    for series in ("../../x", "T1 : post/contrast", "a" * 300, "\0", "CON"):
        name = mask_name(tmp_path / "scan.nii.gz", series=series)
        assert "/" not in name and len(name.encode()) < 200
        (tmp_path / name).touch()
        assert name.startswith("scan") and name.endswith("_mask.nii.gz")
    long = {mask_name(tmp_path / "s.nii", series=n * 300) for n in "ab"}
    assert len(long) == 2
