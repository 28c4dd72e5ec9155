"""Estimators that answer (X - centre) @ matrix + offset, most of which have no converter in skl2onnx 1.20.

It has one for PLSRegression, which subtracts in float32 and declares as many outputs as there are features, and one for
MaxAbsScaler, which does not clip.
Each entry of _READ names the scikit-learn method whose arithmetic it mirrors.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from skl2onnx import update_registered_converter
from sklearn.cluster import FeatureAgglomeration
from sklearn.cross_decomposition import CCA, PLSSVD, PLSCanonical, PLSRegression
from sklearn.decomposition import FactorAnalysis, FastICA, MiniBatchSparsePCA, SparsePCA
from sklearn.linear_model import ridge_regression
from sklearn.neural_network import BernoulliRBM
from sklearn.preprocessing import MaxAbsScaler
from sklearn.random_projection import SparseRandomProjection

from conversion.errors import NotCovered
from conversion.repairs.registration import register_numbers
from conversion.writer import Writer, real_of
from serving.signature import Array

NAME = "affine"


@dataclass(frozen=True)
class Affine:
    """centre: (features,), matrix: (features, outputs), offset: (outputs,); None stands for zeros."""

    matrix: Array
    centre: Array | None = None
    offset: Array | None = None


def _factor_analysis(model: Any) -> Affine:
    """FactorAnalysis.transform: Barber, Bayesian Reasoning and Machine Learning, 21.2.33."""
    weighted = model.components_ / model.noise_variance_
    inner = np.eye(len(model.components_)) + weighted @ model.components_.T
    return Affine(weighted.T @ np.linalg.inv(inner), model.mean_)


def _fast_ica(model: Any) -> Affine:
    return Affine(model.components_.T, model.mean_ if model.whiten else None)


def _partial_least_squares(model: Any) -> Affine:
    """_PLS.predict"""
    return Affine(model.coef_.T, model._x_mean, np.ravel(model.intercept_))


def _partial_least_squares_svd(model: Any) -> Affine:
    """PLSSVD.transform"""
    return Affine(model.x_weights_ / model._x_std[:, None], model._x_mean)


def _sparse_components(model: Any) -> Affine:
    """SparsePCA.transform: ridge regression on fixed components is linear in the rows."""
    unit = np.eye(model.n_features_in_)
    return Affine(ridge_regression(model.components_.T, unit, model.ridge_alpha, solver="cholesky"), model.mean_)


def _agglomeration(model: Any) -> Affine:
    """AgglomerationTransform.transform with the mean of each group of features."""
    if model.pooling_func is not np.mean:
        raise NotCovered("FeatureAgglomeration pools with another function than numpy.mean")
    member = np.eye(int(model.labels_.max()) + 1)[model.labels_]
    return Affine(member / member.sum(axis=0))


def _random_projection(model: Any) -> Affine:
    return Affine(np.asarray(model.components_.todense()).T)


def _boltzmann(model: Any) -> Affine:
    return Affine(model.components_.T, offset=model.intercept_hidden_)


_READ: dict[type, Callable[[Any], Affine]] = {
    FactorAnalysis: _factor_analysis,
    FastICA: _fast_ica,
    PLSRegression: _partial_least_squares,
    PLSCanonical: _partial_least_squares,
    CCA: _partial_least_squares,
    PLSSVD: _partial_least_squares_svd,
    SparsePCA: _sparse_components,
    MiniBatchSparsePCA: _sparse_components,
    FeatureAgglomeration: _agglomeration,
    SparseRandomProjection: _random_projection,
    BernoulliRBM: _boltzmann,
}
COVERED: tuple[type, ...] = (*_READ, MaxAbsScaler)


def register() -> None:
    for kind in _READ:
        register_numbers(kind, lambda model: _READ[type(model)](model).matrix.shape[1], _formula)
    update_registered_converter(MaxAbsScaler, "UnjarMaxAbsScaler", _same_shape, _largest_is_one, overwrite=True)


def applies(step: Any) -> bool:
    return type(step) in COVERED


def _formula(write: Writer, model: Any, rows: str) -> str:
    affine = _READ[type(model)](model)
    if affine.centre is not None:
        rows = write.node("Sub", [rows, write.constant(affine.centre)])
    value = write.node("MatMul", [rows, write.constant(affine.matrix)])
    if affine.offset is not None:
        value = write.node("Add", [value, write.constant(affine.offset)])
    return write.node("Sigmoid", [value]) if isinstance(model, BernoulliRBM) else value


def _same_shape(operator: Any) -> None:
    operator.outputs[0].type = real_of(operator)[0]([None, operator.raw_operator.n_features_in_])


def _largest_is_one(scope: Any, operator: Any, container: Any) -> None:
    """MaxAbsScaler.transform, in the graph's own precision"""
    model, real = operator.raw_operator, real_of(operator)[1]
    write = Writer(scope, container, real)
    value = write.node("Div", [write.node("Cast", [operator.inputs[0].full_name], to=real), write.constant(model.scale_)])
    value = write.node("Clip", [value, write.constant(-1.0), write.constant(1.0)]) if model.clip else value
    write.node("Identity", [value], operator.outputs[0].full_name)
