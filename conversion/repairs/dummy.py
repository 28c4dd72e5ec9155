"""DummyClassifier and DummyRegressor answer every row alike, and have no converter in skl2onnx 1.20.

The strategies that draw at random stay refused: no two calls of scikit-learn's own agree.
"""

from typing import Any

import numpy as np
from onnx import TensorProto
from sklearn.dummy import DummyClassifier, DummyRegressor

from conversion.errors import NotCovered
from conversion.repairs.registration import register_classifier, register_numbers
from conversion.writer import Writer
from serving.signature import Array

NAME = "dummy"
COVERED: tuple[type, ...] = (DummyClassifier, DummyRegressor)


def register() -> None:
    register_numbers(DummyRegressor, lambda model: model.n_outputs_, _mean)
    register_classifier(DummyClassifier, _prior)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def _mean(write: Writer, model: Any, rows: str) -> str:
    return repeated(write, np.asarray(model.constant_, np.float64).reshape(1, -1), rows)


def _prior(write: Writer, model: Any, rows: str) -> tuple[str, str]:
    """DummyClassifier.predict_proba"""
    classes, shares = model.classes_, np.asarray(model.class_prior_)
    if model.strategy == "constant":
        shares = np.equal(classes, np.ravel(model.constant)[0]).astype(float)
    elif model.strategy == "most_frequent":
        shares = np.eye(len(classes))[shares.argmax()]
    elif model.strategy != "prior":
        raise NotCovered(f"DummyClassifier with the strategy {model.strategy!r} draws at random")
    proba = repeated(write, shares.reshape(1, -1), rows)
    return write.node("ArgMax", [proba], axis=1, keepdims=0), proba


def repeated(write: Writer, row: Array, rows: str) -> str:
    """(n, k), where `row` is (1, k)."""
    count = write.node("Shape", [rows], start=0, end=1)
    shape = write.node("Concat", [count, write.constant([row.shape[1]], TensorProto.INT64)], axis=0)
    return write.node("Expand", [write.constant(row), shape])
