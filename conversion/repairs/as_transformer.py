"""A clusterer or a discriminant analysis before other steps is what its `transform` answers, not its labels.

skl2onnx 1.20 hands both the labels and the scores on to the next step.
"""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.cluster import Birch, BisectingKMeans, KMeans, MiniBatchKMeans
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from conversion.errors import NotCovered
from conversion.repairs.centroids import distances
from conversion.repairs.registration import register_numbers
from conversion.writer import Writer
from serving.signature import Array

NAME = "as_transformer"
_STANDS_FOR = (KMeans, MiniBatchKMeans, BisectingKMeans, Birch, LinearDiscriminantAnalysis)


class AsTransformer(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Stands for such an estimator while the pipeline around it is translated."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.n_features_in_ = model.n_features_in_

    def transform(self, rows: Any) -> Any:
        return self.model.transform(rows)


COVERED: tuple[type, ...] = (AsTransformer,)


def register() -> None:
    register_numbers(AsTransformer, lambda stand: _columns(stand.model), _formula)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def stands_for(step: Any) -> bool:
    return isinstance(step, _STANDS_FOR)


def _columns(model: Any) -> int:
    return model._max_components if isinstance(model, LinearDiscriminantAnalysis) else len(_points(model))


def _points(model: Any) -> Array:
    return np.asarray(model.subcluster_centers_ if isinstance(model, Birch) else model.cluster_centers_, np.float64)


def _formula(write: Writer, stand: Any, rows: str) -> str:
    """KMeans.transform, Birch.transform, LinearDiscriminantAnalysis.transform"""
    model = stand.model
    if not isinstance(model, LinearDiscriminantAnalysis):
        return distances(write, rows, _points(model))
    if model.solver not in ("svd", "eigen"):
        raise NotCovered(f"LinearDiscriminantAnalysis(solver={model.solver!r}) has no transform")
    if model.solver == "svd":
        rows = write.node("Sub", [rows, write.constant(model.xbar_)])
    return write.node("MatMul", [rows, write.constant(model.scalings_[:, : model._max_components])])
