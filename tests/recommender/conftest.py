"""The shipped encoder, another one, and what stands ready for questions."""

from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from recommender.catalogue import load
from recommender.contour import Array
from recommender.encoder import UNIT
from recommender.polar import Polar
from recommender.workshop import Workshop
from serving.model import Model
from serving.signature import Tensor
from tests.serving import graphs

ROOT = Path(__file__).resolve().parents[2]


def linear_encoder(weights: Array) -> bytes:
    """A model file: latent = X @ weights, (130, k)."""
    rows = {"X": load().contour[:3].astype(np.float64)}
    takes, gives = Tensor("X", "FP64", (-1, weights.shape[0])), Tensor("latent", "FP64", (-1, weights.shape[1]))
    nodes = [helper.make_node("MatMul", ["X", "W"], ["latent"])]
    rows = {"X": np.resize(rows["X"], (3, weights.shape[0]))}
    return graphs.write([takes], [gives], nodes, rows, {"W": weights})


def turned(seed: int = 1) -> bytes:
    """Another encoder: 24 other orthonormal axes, found in the catalogue turned by chance, and 8 coordinates of no meaning."""
    known = load().contour.astype(np.float64)
    axes = np.linalg.svd(known - known.mean(axis=0), full_matrices=False)[2][:24]
    turn, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((24, 24)))
    return linear_encoder(np.hstack([(turn @ axes).T * UNIT, np.ones((130, 8))]))


@pytest.fixture(scope="session")
def shipped() -> Model:
    return Model.load(ROOT / "model.onnx")


@pytest.fixture(scope="session")
def other() -> Model:
    return Model.from_bytes(turned())


@pytest.fixture(scope="session")
def shop(shipped: Model) -> Workshop:
    return Workshop.of(shipped, load(), Polar())
