"""Is a model's own answer all that the recommender needs to know of it?"""

import numpy as np
import pytest

from recommender.catalogue import CATALOGUE, SHAPE, load
from recommender.encoder import UNIT, Encoder, NotAnEncoder
from serving.model import Model
from tests.recommender.conftest import linear_encoder
from tests.serving import graphs

KNOWN = load().contour.astype(np.float64)


def test_the_way_back_is_the_one_that_training_wrote_down(shipped: Model) -> None:
    with np.load(CATALOGUE, allow_pickle=False) as arrays:
        components, mean = arrays["decode_components"], arrays["decode_mean"]
    latents = load().latent.astype(np.float64)
    expected = latents[:, :SHAPE] @ components + mean
    assert np.abs(Encoder.of(shipped, KNOWN).decode(latents) - expected).max() < 1e-5


def test_decoding_gives_the_shape_back(shipped: Model) -> None:
    encoder = Encoder.of(shipped, KNOWN)
    gap = encoder.decode(encoder.encode(KNOWN)) - KNOWN
    assert 100 * np.sqrt((gap**2).mean(axis=1)).mean() < 0.015


def test_distance_between_coordinates_is_rms_surface_distance_in_percent(shipped: Model) -> None:
    latent = load().latent[:, :SHAPE].astype(np.float64)
    decoded = Encoder.of(shipped, KNOWN).decode(latent)
    apart = 100 * np.sqrt(((decoded[:-1] - decoded[1:]) ** 2).mean(axis=1))
    assert np.abs(np.linalg.norm(latent[:-1] - latent[1:], axis=1) - apart).max() < 1e-5


def test_another_encoder_brings_its_own_way_back(other: Model) -> None:
    encoder = Encoder.of(other, KNOWN)
    again = encoder.encode(encoder.decode(encoder.encode(KNOWN)))
    assert np.abs(again[:, :SHAPE] - encoder.encode(KNOWN)[:, :SHAPE]).max() < 1e-6


def test_a_model_that_takes_something_else_is_no_encoder() -> None:
    with pytest.raises(NotAnEncoder, match=r"takes \[\(-1, 3\)\] and gives \[\(-1, 2\)\], expected \(-1, 130\)"):
        Encoder.of(Model.from_bytes(graphs.linear()), KNOWN)


def test_coordinates_that_do_not_keep_distances_are_named() -> None:
    weights = np.eye(130)[:, :24] * UNIT
    weights[:, 3] *= 1.01
    with pytest.raises(NotAnEncoder, match=r"do not keep distances between shapes: off by 0\.02"):
        Encoder.of(Model.from_bytes(linear_encoder(weights)), KNOWN)


def test_coordinates_that_are_not_linear_are_named() -> None:
    from onnx import helper

    from serving.signature import Tensor

    constants = {"W": np.eye(130)[:, 10:34] * UNIT, "most": np.array(0.05 * UNIT)}
    # As the identity near the middle of all sections, and cut off above.
    nodes = [helper.make_node("MatMul", ["X", "W"], ["Z"]), helper.make_node("Min", ["Z", "most"], ["latent"])]
    given = [Tensor("X", "FP64", (-1, 130))], [Tensor("latent", "FP64", (-1, 24))]
    rows = {"X": np.zeros((3, 130))}
    model = Model.from_bytes(graphs.write(*given, nodes, rows, constants))
    with pytest.raises(NotAnEncoder, match=r"keep distances|no linear map"):
        Encoder.of(model, KNOWN)
