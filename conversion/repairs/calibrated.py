"""CalibratedClassifierCV: each classifier's scores, calibrated class by class, then the mean of all classifiers.

skl2onnx 1.20 reads the probabilities where scikit-learn reads the scores, refuses a classifier that has scores alone inside
a pipeline, and computes in float32.
"""

from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import DoubleTensorType
from sklearn.calibration import CalibratedClassifierCV
from sklearn.isotonic import IsotonicRegression

from conversion.repairs import isotonic
from conversion.repairs.chains import last_column
from conversion.repairs.classes import OPTIONS, label_type, write_labels
from conversion.repairs.inside import outputs_of
from conversion.writer import Writer

NAME = "calibrated"
COVERED: tuple[type, ...] = (CalibratedClassifierCV,)


def register() -> None:
    update_registered_converter(CalibratedClassifierCV, "UnjarCalibrated", _shape, _convert, overwrite=True, options=OPTIONS)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def _shape(operator: Any) -> None:
    classes = operator.raw_operator.classes_
    operator.outputs[0].type, operator.outputs[1].type = label_type(classes), DoubleTensorType([None, len(classes)])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """`predict_proba` is the mean, `predict` its largest class."""
    model, write = operator.raw_operator, Writer(scope, container)
    labels, shares = (output.full_name for output in operator.outputs)
    members = model.calibrated_classifiers_
    total = write.node("Sum", [_calibrated(write, one, operator.inputs, len(model.classes_)) for one in members])
    write.node("Div", [total, write.constant([float(len(members))])], shares)
    write_labels(write, model.classes_, write.node("ArgMax", [shares], axis=1, keepdims=0), labels)


def _calibrated(write: Writer, member: Any, inputs: Any, count: int) -> str:
    """_CalibratedClassifier.predict_proba"""
    if member.method not in ("sigmoid", "isotonic"):
        raise ValueError(
            f"method={member.method!r} is not covered: scikit-learn takes scores for shares when all rows of a batch look so; "
            "use 'sigmoid' or 'isotonic'"
        )
    by_score = hasattr(member.estimator, "decision_function")
    name = outputs_of(write.scope, write.container, member.estimator, inputs, scores=by_score)[1].full_name
    if count == 2:
        second = _column(write, member.calibrators[0], last_column(write, name))
        both = [write.node("Sub", [write.constant([1.0]), second]), second]
        return _at_most_one(write, write.node("Concat", both, axis=1))
    scores = write.node("Cast", [name], to=TensorProto.DOUBLE)
    known = np.searchsorted(member.classes, member.estimator.classes_)
    columns = [write.node("Mul", [last_column(write, name), write.constant([0.0])])] * count
    for place, (at, calibrator) in enumerate(zip(known, member.calibrators, strict=False)):
        own = write.node("Gather", [scores, write.constant([place], TensorProto.INT64)], axis=1)
        columns[at] = _column(write, calibrator, own)
    return _at_most_one(write, _normalised(write, write.node("Concat", columns, axis=1), count))


def _column(write: Writer, calibrator: Any, score: str) -> str:
    if isinstance(calibrator, IsotonicRegression):
        return isotonic.formula(write, calibrator, score)
    scaled = write.node("Mul", [score, write.constant([float(calibrator.a_)])])
    return expit(write, write.node("Neg", [write.node("Add", [scaled, write.constant([float(calibrator.b_)])])]))


def expit(write: Writer, value: str) -> str:
    """1 / (1 + e^-x) as scipy.special.expit reckons it, zero below -709: ratios are taken, and Sigmoid rounds sooner."""
    one = write.constant([1.0])
    return write.node("Div", [one, write.node("Add", [one, write.node("Exp", [write.node("Neg", [value])])])])


def _normalised(write: Writer, shares: str, count: int) -> str:
    """Over their sum; alike for all classes where every one is zero."""
    total = write.node("ReduceSum", [shares, write.constant([1], TensorProto.INT64)], keepdims=1)
    none = write.node("Equal", [total, write.constant([0.0])])
    return write.node("Where", [none, write.constant([1.0 / count]), write.node("Div", [shares, total])])


def _at_most_one(write: Writer, shares: str) -> str:
    """What exceeds one by up to 1e-5 is one."""
    above = write.node("Greater", [shares, write.constant([1.0])])
    near = write.node("LessOrEqual", [shares, write.constant([1.0 + 1e-5])])
    return write.node("Where", [write.node("And", [above, near]), write.constant([1.0]), shares])
