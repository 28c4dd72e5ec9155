"""Are random features the fitted ones?"""

from typing import Any

import numpy as np
import pytest
from sklearn.kernel_approximation import AdditiveChi2Sampler, PolynomialCountSketch, RBFSampler, SkewedChi2Sampler

from conversion.repairs import random_features
from serving.signature import Array
from tests.conversion.lacking import agrees, lacks

SIGNED = [
    RBFSampler(n_components=7, random_state=0), RBFSampler(gamma="scale", random_state=0),
    *(PolynomialCountSketch(degree=d, coef0=d - 1, gamma=0.5, n_components=30, random_state=0) for d in (1, 2, 3)),
]  # fmt: skip
POSITIVE = [
    SkewedChi2Sampler(random_state=0), AdditiveChi2Sampler(sample_steps=1), AdditiveChi2Sampler(sample_steps=3),
    AdditiveChi2Sampler(sample_steps=4, sample_interval=0.3),
]  # fmt: skip


def test_skl2onnx_still_lacks_them() -> None:
    assert lacks(random_features.COVERED)


@pytest.mark.parametrize("sampler", SIGNED, ids=str)
def test_samplers_for_any_number_agree(sampler: Any, rows: Array) -> None:
    agrees(sampler.fit(rows), rows, random_features.NAME)


@pytest.mark.parametrize("sampler", POSITIVE, ids=str)
def test_samplers_for_histograms_agree(sampler: Any, rows: Array) -> None:
    agrees(sampler.fit(abs(rows[:, :2])), abs(rows[:, :2]), random_features.NAME)


def test_where_scikit_learn_raises_the_graph_answers_nan(rows: Array) -> None:
    accepted = agrees(AdditiveChi2Sampler().fit(abs(rows[:, :2])), abs(rows[:, :2]), random_features.NAME)
    answer = accepted.session.answer({"X": np.array([[-1.0, 0.0]])}, ["transform"])["transform"]
    assert np.isnan(answer[0, ::2]).all()
    assert (answer[0, 1::2] == 0).all()
