"""The same part, drawn carelessly, is found again by the shipped encoder. The distortion is written anew here, not imported."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from recommender.catalogue import SHAPE, Catalogue, load
from recommender.contour import normalise, outline

Array = NDArray[np.float64]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load()


@pytest.fixture(scope="module")
def encoder() -> Pipeline:
    return pickle.loads((ROOT / "model.pkl").read_bytes())


def drawn(heights: Array, rng: np.random.Generator, points: int, noise: float) -> Array:
    full = outline(heights.astype(np.float64))
    at = np.linspace(0, len(full) - 1, points)
    some = np.column_stack([np.interp(at, np.arange(len(full)), column) for column in full.T])
    angle = np.radians(rng.uniform(-8, 8))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = (some + rng.normal(scale=noise, size=some.shape)) @ turn * 10 ** rng.uniform(-1, 2.4) + rng.normal(size=2)
    return np.asarray(moved, dtype=np.float64)


def found(catalogue: Catalogue, encoder: Pipeline, points: int, noise: float, count: int = 300) -> float:
    rng = np.random.default_rng(7)
    rows = rng.choice(len(catalogue), size=count, replace=False)
    queries = np.stack([normalise(drawn(catalogue.contour[row], rng, points, noise)).heights for row in rows])
    latents = encoder.predict(queries)[:, None, :SHAPE]
    nearest = ((catalogue.latent[None, :, :SHAPE] - latents) ** 2).sum(axis=2).argmin(axis=1)
    return float((nearest == rows).mean())


def test_the_catalogue_holds_the_encoders_own_answers(catalogue: Catalogue, encoder: Pipeline) -> None:
    assert np.abs(encoder.predict(catalogue.contour.astype(np.float64)) - catalogue.latent).max() < 1e-5


def test_forty_clean_points_find_their_part(catalogue: Catalogue, encoder: Pipeline) -> None:
    assert found(catalogue, encoder, points=40, noise=0.0) >= 0.99


def test_forty_noisy_turned_scaled_points_find_their_part(catalogue: Catalogue, encoder: Pipeline) -> None:
    assert found(catalogue, encoder, points=40, noise=0.001) >= 0.95


def test_the_encoder_is_one_plain_pipeline_of_scikit_learn(encoder: Pipeline) -> None:
    assert [type(step).__name__ for _, step in encoder.steps] == ["PCA", "StandardScaler", "MLPRegressor"]
    assert all(type(step).__module__.startswith("sklearn.") for _, step in encoder.steps)
    assert encoder.predict(np.zeros((2, 130))).shape == (2, 32)
