"""SGDClassifier(loss="modified_huber") takes its label from the decision scores, not from the probabilities.

skl2onnx 1.20 takes the largest probability, which is one third for all where scikit-learn's scores still differ.
"""

from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import DoubleTensorType
from sklearn.linear_model import SGDClassifier

from conversion.repairs.classes import SCORES, label_type, write_labels
from conversion.writer import Writer

NAME = "sgd_labels"
COVERED: tuple[type, ...] = (SGDClassifier,)


def register() -> None:
    update_registered_converter(SGDClassifier, "UnjarSGDClassifier", _shape, _convert, overwrite=True, options=SCORES)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def _shape(operator: Any) -> None:
    classes = operator.raw_operator.classes_
    operator.outputs[0].type, operator.outputs[1].type = label_type(classes), DoubleTensorType([None, len(classes)])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """`LinearClassifierMixin.predict` for the label, `SGDClassifier.predict_proba` for the shares; all in double."""
    model, write = operator.raw_operator, Writer(scope, container)
    labels, answers = (output.full_name for output in operator.outputs)
    rows = write.node("Cast", [operator.inputs[0].full_name], to=TensorProto.DOUBLE)
    coefficients = model.coef_.astype(np.float64).T
    scores = write.node("Gemm", [rows, write.constant(coefficients), write.constant(model.intercept_.astype(np.float64))])
    binary = len(model.classes_) == 2
    if binary:
        above = write.node("Cast", [write.node("Greater", [scores, write.constant([0.0])])], to=TensorProto.INT64)
        index = write.node("Reshape", [above, write.constant([-1], TensorProto.INT64)])
    else:
        index = write.node("ArgMax", [scores], axis=1, keepdims=0)
    write_labels(write, model.classes_, index, labels)
    raw = container.get_options(model, {"raw_scores": False}).get("raw_scores", False) or not hasattr(model, "predict_proba")
    write.node("Identity", [scores if raw else _shares(write, model.loss, scores, binary)], answers)


def _shares(write: Writer, loss: str, scores: str, binary: bool) -> str:
    if loss == "log_loss":
        each = _logistic(write, scores)
    else:
        clipped = write.node("Clip", [scores, write.constant(-1.0), write.constant(1.0)])
        each = write.node("Div", [write.node("Add", [clipped, write.constant([1.0])]), write.constant([2.0])])
    if binary:
        return write.node("Concat", [write.node("Sub", [write.constant([1.0]), each]), each], axis=1)
    total = write.node("ReduceSum", [each, write.constant([1], TensorProto.INT64)], keepdims=1)
    none = write.node("Equal", [total, write.constant([0.0])])
    # Where every share is zero scikit-learn answers all classes alike.
    alike = write.node("Where", [none, write.constant([1.0]), each])
    count = write.node("ReduceSum", [alike, write.constant([1], TensorProto.INT64)], keepdims=1)
    return write.node("Div", [alike, count])


def _logistic(write: Writer, scores: str) -> str:
    """1 / (1 + e^-s), which keeps the smallest numbers: onnxruntime's Sigmoid rounds them to zero, and ratios are taken."""
    one = write.constant([1.0])
    small = write.node("Exp", [write.node("Neg", [write.node("Abs", [scores])])])
    above = write.node("GreaterOrEqual", [scores, write.constant([0.0])])
    return write.node("Div", [write.node("Where", [above, one, small]), write.node("Add", [one, small])])
