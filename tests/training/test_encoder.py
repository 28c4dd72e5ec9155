import hashlib
import pickletools

import numpy as np
import pytest
from numpy.typing import NDArray

from recommender.catalogue import load
from recommender.contour import SIDE
from training import artifacts, encoder, evaluation
from training.encoder import PERFORMANCE, SHAPE, UNIT, Encoder, fit, fit_shape
from training.labels import label
from training.retrieval import ranks
from training.sources import Shapes, Source

Array = NDArray[np.float64]


@pytest.fixture(scope="module")
def heights() -> Array:
    return load().contour[::4].astype(np.float64)


@pytest.fixture(scope="module")
def labels(heights: Array) -> Array:
    return label(heights)[0]


@pytest.fixture(scope="module")
def trained(heights: Array, labels: Array) -> Encoder:
    patch = pytest.MonkeyPatch()
    patch.setattr(encoder, "EPOCHS", 3)
    made = fit(heights, heights, labels, seed=0)
    patch.undo()
    return made


def test_the_network_carries_the_shape_block_through_unchanged(trained: Encoder, heights: Array) -> None:
    exact = trained.pipeline[0].transform(heights) * UNIT
    assert np.abs(trained.encode(heights)[:, :SHAPE] - exact).max() < 1e-12


def test_the_network_answers_as_the_head_it_was_composed_from(trained: Encoder, heights: Array) -> None:
    head = (trained.predict(heights) - trained.mean) / trained.spread
    assert np.abs(trained.encode(heights)[:, SHAPE:] - trained.behaviour.transform(head)).max() < 1e-11


def test_distance_is_rms_surface_distance_in_percent(trained: Encoder, heights: Array) -> None:
    latents = trained.encode(heights)
    decoded = trained.decode(latents)
    apart = 100 * np.sqrt(((decoded[0] - decoded[1:]) ** 2).mean(axis=1))
    assert np.abs(np.linalg.norm(latents[0, :SHAPE] - latents[1:, :SHAPE], axis=1) - apart).max() < 1e-12


def test_every_axis_is_pure_thickness_or_pure_camber(heights: Array) -> None:
    axes = fit_shape(heights, SHAPE).components_
    camber = np.abs(axes[:, :SIDE] - axes[:, SIDE:]).max(axis=1)
    thickness = np.abs(axes[:, :SIDE] + axes[:, SIDE:]).max(axis=1)
    assert np.minimum(camber, thickness).max() < 1e-6


def test_axes_are_orthonormal_and_in_order_of_variance(heights: Array) -> None:
    pca = fit_shape(heights, SHAPE)
    assert np.abs(pca.components_ @ pca.components_.T - np.eye(SHAPE)).max() < 1e-12
    assert (np.diff(pca.explained_variance_) <= 0).all()


def test_training_twice_gives_the_same_bytes(
    heights: Array, labels: Array, trained: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder, "EPOCHS", 3)
    again = fit(heights, heights, labels, seed=0)
    assert artifacts.model(again) == artifacts.model(trained)


def test_another_seed_gives_another_head(
    heights: Array, labels: Array, trained: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder, "EPOCHS", 3)
    assert artifacts.model(fit(heights, heights, labels, seed=1)) != artifacts.model(trained)


def test_the_pickle_imports_from_scikit_learn_and_numpy_only(trained: Encoder) -> None:
    strings: list[str] = []
    imports: set[str] = set()
    for operation, argument, _ in pickletools.genops(artifacts.model(trained)):
        if isinstance(argument, str):
            strings.append(argument)
        assert operation.name not in {"GLOBAL", "INST", "EXT1"}
        if operation.name == "STACK_GLOBAL":
            imports.update(text for text in strings if text.startswith(("sklearn.", "numpy")))
    classes = {"sklearn.pipeline", "sklearn.decomposition._pca", "sklearn.preprocessing._data"}
    assert {text for text in imports if text.startswith("sklearn.")} == classes | {
        "sklearn.neural_network._multilayer_perceptron"
    }


def test_the_catalogue_names_the_digest_of_its_encoder(trained: Encoder, heights: Array) -> None:
    source = Source("a.dat", "A", "NACA", "NACA M", "a test")
    shapes = Shapes((source,) * len(heights), heights)
    pickled = artifacts.model(trained)
    first, again = (artifacts.catalogue(shapes, trained, pickled) for _ in range(2))
    assert first == again
    assert hashlib.sha256(pickled).hexdigest().encode("utf-32-le") in first


def test_no_fold_learns_from_a_family_it_is_judged_on(trained: Encoder, heights: Array, labels: Array) -> None:
    families = [f"family {row % 7}" for row in range(len(heights))]
    shapes = Shapes(tuple(Source(f"{row}.dat", "A", "NACA", name, "") for row, name in enumerate(families)), heights)
    learned: list[set[str]] = []

    def train(seen: Shapes, seen_labels: Array) -> Encoder:
        assert len(seen.sources) == len(seen_labels)
        learned.append(set(seen.families.tolist()))
        return trained

    evaluation.held_out(shapes, labels, train, lambda message: None)
    judged = [set(shapes.families[unseen].tolist()) for _, unseen in evaluation.folds(shapes)]
    assert all(seen.isdisjoint(unseen) for seen, unseen in zip(learned, judged, strict=True))
    assert set().union(*judged) == set(families)


def test_one_point_out_of_tolerance_puts_the_shape_out() -> None:
    error = np.zeros((4, 130))
    error[1, 3], error[2, 60], error[3, 70] = 4.1e-4, 7.9e-4, -4.1e-4
    assert evaluation.shape_score(error)["in_tolerance"] == 0.5


def test_a_shape_is_found_by_its_own_heights_and_missed_where_the_reader_refused(trained: Encoder, heights: Array) -> None:
    queries = np.vstack([heights[[5, 9]], np.full((1, 130), np.nan)])
    assert ranks(trained, heights, np.array([5, 9, 0]), queries).tolist() == [0, 0, len(heights)]


def test_a_query_nearer_to_another_shape_is_not_found(trained: Encoder, heights: Array) -> None:
    found = ranks(trained, heights, np.array([5, 9]), heights[[6, 9]])
    assert found[0] > 0
    assert evaluation.retrieval_score(found) == {"top1": 0.5, "top5": pytest.approx(0.5 + 0.5 * (found[0] < 5))}


def test_the_head_is_trained_for_exactly_its_epochs(trained: Encoder) -> None:
    assert trained.head.n_iter_ == 3


def test_the_block_of_eight_is_the_rest(trained: Encoder, heights: Array) -> None:
    assert trained.encode(heights[:5]).shape == (5, SHAPE + PERFORMANCE)
