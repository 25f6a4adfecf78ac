import pytest
from batch_scene import scene
from fake_encoder import FakeEncoder

from napari_segdino import Segmenter
from napari_segdino.config import CacheSettings, FeatureSettings


@pytest.fixture
def fake_encoder(monkeypatch):
    return FakeEncoder().installed(monkeypatch)


@pytest.fixture
def segmenter(fake_encoder, tmp_path):
    """Trained on a small scene, cutting larger planes into tiles of 64 pixels."""
    image, mask = scene()
    shown = FeatureSettings(tile=64, overlap=16)
    cache = CacheSettings(1 << 28, 0, tmp_path / "cache")
    return Segmenter("fake", features=shown, cache=cache).fit(image, mask + 1)


@pytest.fixture(scope="session")
def real_probe(tmp_path_factory):
    """A probe file of the built-in encoder."""
    image, mask = scene()
    path = tmp_path_factory.mktemp("probe") / "squares.segdino"
    cache = CacheSettings(1 << 28, 0, path.parent)
    segmenter = Segmenter("efficientnet_lite0", device="cpu", cache=cache)
    return segmenter.fit(image, mask + 1).save(path)


@pytest.fixture
def folder_of(tmp_path):
    """Return a function that writes a folder of scans."""

    def write(count):
        import tifffile

        folder = tmp_path / "scans"
        folder.mkdir()
        for number in range(count):
            image, _ = scene(seed=number)
            tifffile.imwrite(folder / f"scan{number:02}.tif", image)
        return folder

    return write
