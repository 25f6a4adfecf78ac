"""Parameters, copies and files of an estimator, without what it predicts."""

import copy
import pickle

import pytest
from fake_encoder import FakeEncoder, bright_square

from napari_segdino import Segmenter
from napari_segdino.config import CacheSettings, PredictSettings
from napari_segdino.errors import InputError, ModelFileError, NotFittedError
from napari_segdino.estimator import Estimator, Params
from napari_segdino.progress import drive


class Two(Params):
    def __init__(self, first=1, second="b"):
        self.first, self.second = first, second


@pytest.fixture
def encoder(monkeypatch):
    return FakeEncoder().installed(monkeypatch)


@pytest.fixture
def estimator(encoder, tmp_path):
    return Segmenter("fake", device="cpu", cache=CacheSettings(1 << 28, 0, tmp_path))


def test_parameters_are_those_of_init():
    two = Two(second="c")
    assert two.get_params() == {"first": 1, "second": "c"}
    assert two.set_params(first=5) is two
    assert repr(two) == "Two(first=5, second='c')"


def test_an_unknown_parameter_is_named_and_nothing_is_lost():
    two = Two()
    with pytest.raises(InputError, match="parameter of Two.*secnd"):
        two.set_params(secnd=3)
    assert two.get_params() == {"first": 1, "second": "b"}
    assert not hasattr(two, "secnd")


def test_nothing_is_learned_at_first(estimator, tmp_path):
    assert not estimator.is_fitted
    with pytest.raises(NotFittedError, match="fit it, or load one"):
        estimator.check_fitted()
    with pytest.raises(NotFittedError):
        estimator.save(tmp_path / "a.segdino")
    assert not (tmp_path / "a.segdino").exists()


def test_the_encoder_is_loaded_when_it_is_needed_and_once(estimator, encoder):
    assert encoder.loaded == 0
    first = drive(estimator.iter_pipeline())
    assert drive(estimator.iter_pipeline()) is first
    assert encoder.loaded == 1
    estimator.set_params(random_state=3)
    other = drive(estimator.iter_pipeline())
    assert (other.seed, encoder.loaded) == (3, 1)
    assert other.extractor is first.extractor
    estimator.set_params(encoder="another")
    assert drive(estimator.iter_pipeline()).extractor is not first.extractor
    assert encoder.loaded == 2


def test_a_copy_shares_the_encoder_and_a_pickle_leaves_it_behind(estimator, encoder):
    drive(estimator.iter_pipeline())
    assert drive(copy.copy(estimator).iter_pipeline()).extractor.encoder is encoder
    assert encoder.loaded == 1
    again = pickle.loads(pickle.dumps(estimator))
    assert again.get_params() == estimator.get_params()
    assert not hasattr(again, "_pipeline")


def test_one_that_has_learned_nothing_shares_the_encoder_where_it_can(
    estimator, encoder
):
    estimator.fit(*bright_square(64))
    predicting = PredictSettings(regularise=False)
    other = estimator.unfitted(predicting=predicting, random_state=1)
    assert isinstance(other, Estimator)
    assert (other.is_fitted, other.random_state) == (False, 1)
    assert drive(other.iter_pipeline()).predicting == predicting
    assert encoder.loaded == 1
    drive(estimator.unfitted(encoder="another").iter_pipeline())
    assert encoder.loaded == 2


def test_a_file_holds_parameters_and_state_but_not_the_device(estimator, tmp_path):
    estimator.fit(*bright_square(64))
    estimator.class_info_ = [{"name": "cell"}]
    path = estimator.save(tmp_path / "a.segdino")
    loaded = Segmenter.load(path, device="cuda")
    assert (loaded.device, loaded.encoder, loaded.head) == ("cuda", "fake", "probe")
    assert (loaded.n_classes_, loaded.classes_.tolist()) == (2, [0, 1])
    assert loaded.class_info_ == [{"name": "cell"}]
    assert (loaded.encoder_key_, loaded.channels_) == ("fake:1", 1)
    assert list(loaded.samples_) == list(estimator.samples_)


def test_a_probe_of_another_encoder_is_refused(estimator, tmp_path, monkeypatch):
    estimator.fit(*bright_square(64))
    path = estimator.save(tmp_path / "a.segdino")
    FakeEncoder("fake:2").installed(monkeypatch)
    loaded = Segmenter.load(path).set_params(cache=estimator.cache)
    with pytest.raises(ModelFileError, match="another encoder than fake"):
        drive(loaded.iter_pipeline())


def test_a_damaged_file_is_one_sentence(tmp_path):
    path = tmp_path / "a.segdino"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ModelFileError):
        Segmenter.load(path)
