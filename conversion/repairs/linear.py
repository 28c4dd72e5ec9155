"""Classifiers whose label comes from X @ coef_.T + intercept_, SGDOneClassSVM, and MLPClassifier: in double, label from scores.

skl2onnx 1.20 takes the label from rounded or clipped probabilities (SGDClassifier's modified_huber has ties there that its
scores have not), passes it through int32, gives a binary LinearDiscriminantAnalysis the softmax of both signs instead of the
logistic function, and answers SGDOneClassSVM's rows on the boundary with 0.
"""

from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import DoubleTensorType
from sklearn import linear_model
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import SGDClassifier, SGDOneClassSVM
from sklearn.neural_network import MLPClassifier
from sklearn.svm import LinearSVC

from conversion.errors import NotCovered
from conversion.repairs.classes import SCORES, label_type, write_labels
from conversion.repairs.mlp_shape import layers
from conversion.repairs.registration import register_classifier, register_labels
from conversion.writer import Writer

NAME = "linear"
_LINEAR = (
    linear_model.LogisticRegression,
    linear_model.LogisticRegressionCV,
    linear_model.PassiveAggressiveClassifier,
    linear_model.Perceptron,
    linear_model.RidgeClassifier,
    linear_model.RidgeClassifierCV,
    LinearDiscriminantAnalysis,
    LinearSVC,
    SGDClassifier,
)
COVERED: tuple[type, ...] = (*_LINEAR, SGDOneClassSVM, MLPClassifier)


def register() -> None:
    for kind in _LINEAR:
        update_registered_converter(kind, f"Unjar{kind.__name__}", _shape, _convert, overwrite=True, options=SCORES)
    register_labels(SGDOneClassSVM, lambda model: 1, _one_class)
    register_classifier(MLPClassifier, _network)


def applies(step: Any) -> bool:
    return type(step) in COVERED


def _shape(operator: Any) -> None:
    classes = operator.raw_operator.classes_
    operator.outputs[0].type, operator.outputs[1].type = label_type(classes), DoubleTensorType([None, len(classes)])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """LinearClassifierMixin.decision_function, its predict, and the class's own predict_proba."""
    model, write = operator.raw_operator, Writer(scope, container)
    labels, answers = (output.full_name for output in operator.outputs)
    _check_one_label(model)
    rows = write.node("Cast", [operator.inputs[0].full_name], to=TensorProto.DOUBLE)
    scores = _sums(write, rows, np.atleast_2d(model.coef_), model.intercept_)
    binary = len(model.classes_) == 2
    write_labels(write, model.classes_, _above(write, scores, 0.0) if binary else _largest(write, scores), labels)
    raw = container.get_options(model, {"raw_scores": False}).get("raw_scores", False) or not hasattr(model, "predict_proba")
    if not raw:
        answer = _shares(write, model, scores)
    else:
        # skl2onnx's own converters of what holds a binary classifier take the second of two mirrored scores.
        answer = write.node("Concat", [write.node("Neg", [scores]), scores], axis=1) if binary else scores
    write.node("Identity", [answer], answers)


def _check_one_label(model: Any) -> None:
    binarizer = getattr(model, "_label_binarizer", None)
    if binarizer is not None and binarizer.y_type_.startswith("multilabel"):
        raise NotCovered(f"{type(model).__name__} gives several labels to one row; only one output is served for each")


def _sums(write: Writer, rows: str, weights: Any, constant: Any) -> str:
    weights = np.asarray(weights, np.float64).T
    spread = np.broadcast_to(np.asarray(constant, np.float64).reshape(-1), weights.shape[1:])
    return write.node("Add", [write.node("MatMul", [rows, write.constant(weights)]), write.constant(spread)])


def _above(write: Writer, scores: str, threshold: float) -> str:
    above = write.node("Cast", [write.node("Greater", [scores, write.constant([threshold])])], to=TensorProto.INT64)
    return write.node("Reshape", [above, write.constant([-1], TensorProto.INT64)])


def _largest(write: Writer, scores: str) -> str:
    return write.node("ArgMax", [scores], axis=1, keepdims=0)


def _shares(write: Writer, model: Any, scores: str) -> str:
    binary = len(model.classes_) == 2
    if getattr(model, "loss", "") == "modified_huber":
        clipped = write.node("Clip", [scores, write.constant(-1.0), write.constant(1.0)])
        each = write.node("Div", [write.node("Add", [clipped, write.constant([1.0])]), write.constant([2.0])])
    elif binary:
        each = write.node("Sigmoid", [scores])
    elif isinstance(model, SGDClassifier):
        each = _logistic(write, scores)
    else:
        return write.node("Softmax", [scores], axis=1)
    return _both(write, each) if binary else _normalised(write, each)


def _both(write: Writer, share: str) -> str:
    """The shares of two classes, from that of the second."""
    return write.node("Concat", [write.node("Sub", [write.constant([1.0]), share]), share], axis=1)


def _normalised(write: Writer, shares: str) -> str:
    """Each divided by the row's sum; where every share is zero scikit-learn answers all classes alike."""
    total = write.node("ReduceSum", [shares, write.constant([1], TensorProto.INT64)], keepdims=1)
    none = write.node("Equal", [total, write.constant([0.0])])
    even = write.node("Where", [none, write.constant([1.0]), shares])
    count = write.node("ReduceSum", [even, write.constant([1], TensorProto.INT64)], keepdims=1)
    return write.node("Div", [even, count])


def _logistic(write: Writer, scores: str) -> str:
    """scipy's expit, 1 / (1 + e^-s): ratios are taken, and onnxruntime's Sigmoid rounds the smallest to zero too early."""
    power = write.node("Exp", [write.node("Neg", [scores])])
    return write.node("Div", [write.constant([1.0]), write.node("Add", [write.constant([1.0]), power])])


def _one_class(write: Writer, model: Any, rows: str) -> tuple[str, str]:
    """SGDOneClassSVM.decision_function and predict"""
    scores = _sums(write, rows, np.atleast_2d(model.coef_), -np.asarray(model.offset_))
    inside = write.node("GreaterOrEqual", [scores, write.constant([0.0])])
    sides = [write.constant([side], TensorProto.INT64) for side in (1, -1)]
    label = write.node("Where", [inside, *sides])
    return write.node("Reshape", [label, write.constant([-1], TensorProto.INT64)]), scores


def _network(write: Writer, model: Any, rows: str) -> tuple[str, str]:
    """MLPClassifier.predict: LabelBinarizer.inverse_transform of the last layer."""
    _check_one_label(model)
    value = layers(write, model, rows)
    if model.n_outputs_ == 1:
        return _above(write, value, 0.5), _both(write, value)
    return _largest(write, value), value
