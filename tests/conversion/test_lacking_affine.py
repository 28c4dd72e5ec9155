"""Are estimators that are one matrix product written as such?"""

from typing import Any

import numpy as np
import pytest
from skl2onnx import convert_sklearn
from skl2onnx._parse import sklearn_parsers_map
from skl2onnx._supported_operators import build_sklearn_operator_name_map, sklearn_operator_name_map
from skl2onnx.common.data_types import FloatTensorType
from sklearn.cluster import FeatureAgglomeration
from sklearn.cross_decomposition import CCA, PLSSVD, PLSCanonical, PLSRegression
from sklearn.decomposition import FactorAnalysis, FastICA, MiniBatchSparsePCA, SparsePCA
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import BernoulliRBM
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, StandardScaler
from sklearn.random_projection import SparseRandomProjection

from conversion.errors import Refused
from conversion.repairs import affine
from conversion.search import search
from serving.signature import Array
from tests.conversion.asking import question
from tests.conversion.lacking import agrees, lacks

ESTIMATORS = [
    FactorAnalysis(2), FastICA(3, random_state=0), FastICA(whiten=False, random_state=0), PLSRegression(2), PLSCanonical(2),
    CCA(2), PLSSVD(2), SparsePCA(2, max_iter=20), MiniBatchSparsePCA(2, max_iter=20), FeatureAgglomeration(2),
    SparseRandomProjection(3, random_state=0), BernoulliRBM(3, n_iter=2, random_state=0),
]  # fmt: skip


@pytest.fixture
def targets(rows: Array) -> Array:
    wanted: Array = rows[:, :2] @ np.array([[1.0, 2.0], [0.3, 0.1]]) + 0.1 * np.random.default_rng(2).standard_normal(
        (len(rows), 2)
    )
    return wanted


def test_skl2onnx_still_lacks_all_but_two() -> None:
    assert lacks(tuple(set(affine.COVERED) - {MaxAbsScaler, PLSRegression}))


def test_skl2onnx_still_declares_an_output_for_every_feature(
    rows: Array, targets: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sklearn_operator_name_map, PLSRegression, build_sklearn_operator_name_map()[PLSRegression])
    monkeypatch.delitem(sklearn_parsers_map, PLSRegression, raising=False)
    graph = convert_sklearn(PLSRegression(2).fit(rows, targets), initial_types=[("X", FloatTensorType([None, 4]))])
    assert graph.graph.output[0].type.tensor_type.shape.dim[1].dim_value == 4


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: type(estimator).__name__)
def test_every_one_agrees(estimator: Any, rows: Array, targets: Array) -> None:
    agrees(estimator.fit(rows, targets), rows, affine.NAME)


def test_a_single_target_is_answered_without_an_axis(rows: Array, targets: Array) -> None:
    accepted = agrees(PLSRegression(2).fit(rows, targets[:, 0]), rows, affine.NAME)
    assert accepted.signature.outputs[0].shape == (-1,)


@pytest.mark.parametrize("inner", [FactorAnalysis(2), FeatureAgglomeration(2)], ids=lambda inner: type(inner).__name__)
def test_one_in_the_middle_of_a_pipeline_feeds_the_next(inner: Any, rows: Array, targets: Array) -> None:
    fitted = make_pipeline(StandardScaler(), inner, LogisticRegression()).fit(rows, targets[:, 0] > targets[:, 0].mean())
    agrees(fitted, rows, affine.NAME)


def test_another_pooling_is_refused(rows: Array) -> None:
    with pytest.raises(Refused, match=r"pools with another function than numpy\.mean"):
        search(question(FeatureAgglomeration(2, pooling_func=np.max).fit(rows)))
