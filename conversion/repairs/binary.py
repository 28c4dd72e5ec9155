"""OneVsRestClassifier and OneVsOneClassifier: the binary classifiers they hold, and the rule that decides between them.

skl2onnx 1.20 decides by probabilities where scikit-learn decides by scores, and answers OneVsOneClassifier's labels as a
column.
"""

from itertools import combinations
from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import DoubleTensorType, Int64TensorType
from sklearn.base import is_regressor
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier

from conversion.errors import NotCovered
from conversion.repairs.calibrated import expit
from conversion.repairs.chains import asks_scores, last_column
from conversion.repairs.classes import SCORES, label_type, write_labels
from conversion.repairs.dummy import repeated
from conversion.repairs.inside import outputs_of
from conversion.repairs.svm import sides, squeezed
from conversion.steps import steps_of
from conversion.writer import Writer

NAME = "binary"
COVERED: tuple[type, ...] = (OneVsRestClassifier, OneVsOneClassifier)


def register() -> None:
    for kind, convert in ((OneVsRestClassifier, _rest), (OneVsOneClassifier, _pairs)):
        update_registered_converter(kind, f"Unjar{kind.__name__}", _shape, convert, overwrite=True, options=SCORES)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def _shape(operator: Any) -> None:
    model = operator.raw_operator
    several = getattr(model, "multilabel_", False)
    operator.outputs[0].type = Int64TensorType([None, len(model.classes_)]) if several else label_type(model.classes_)
    operator.outputs[1].type = DoubleTensorType([None, None])


def _rest(scope: Any, operator: Any, container: Any) -> None:
    """OneVsRestClassifier.predict, predict_proba and decision_function."""
    model, write = operator.raw_operator, Writer(scope, container)
    scored = not hasattr(model, "predict_proba") or asks_scores(container, model)
    labels, output = (one.full_name for one in operator.outputs)
    by_score = [_by_score(one) for one in model.estimators_]
    deciding = _side_by_side(write, operator, by_score)
    same = by_score == [scored] * len(by_score)
    answers = deciding if same else _side_by_side(write, operator, [scored] * len(by_score))
    write.node("Identity", [answers if scored else _shares(write, model, answers)], output)
    above = write.node("Greater", [deciding, write.constant([0.0 if by_score[0] else 0.5])])
    whole = write.node("Cast", [above], to=TensorProto.INT64)
    if model.multilabel_:
        write.node("Identity", [whole], labels)
    elif len(model.estimators_) == 1:
        index = write.node("Reshape", [whole, write.constant([-1], TensorProto.INT64)])
        write_labels(write, model.classes_, index, labels)
    else:
        write_labels(write, model.classes_, write.node("ArgMax", [deciding], axis=1, keepdims=0), labels)


def _by_score(estimator: Any) -> bool:
    """sklearn.multiclass._predict_binary asks for scores first."""
    if is_regressor(estimator):
        raise NotCovered(f"{type(estimator).__name__} inside is a regressor; use a classifier")
    return hasattr(estimator, "decision_function")


def _side_by_side(write: Writer, operator: Any, scored: list[bool]) -> str:
    """Each estimator's score of its second class, or its probability: (n, estimators)."""
    estimators, inputs = operator.raw_operator.estimators_, operator.inputs
    columns = [_second(write, one, inputs, by) for one, by in zip(estimators, scored, strict=True)]
    return write.node("Concat", columns, axis=1)


def _second(write: Writer, estimator: Any, inputs: Any, scored: bool) -> str:
    if not hasattr(estimator, "classes_"):
        rows = write.node("Cast", [inputs[0].full_name], to=TensorProto.DOUBLE)
        return repeated(write, np.asarray(estimator.y_, np.float64).reshape(1, 1), rows)
    # Shares are divided by their sum, so the smallest count too: they are taken from the scores.
    logistic = not scored and isinstance(steps_of(estimator)[-1], LogisticRegression)
    answers = outputs_of(write.scope, write.container, estimator, inputs, scores=scored or logistic)
    score = last_column(write, answers[1].full_name)
    return expit(write, score) if logistic else score


def _shares(write: Writer, model: Any, shares: str) -> str:
    if model.multilabel_:
        return shares
    if len(model.estimators_) == 1:
        shares = write.node("Concat", [write.node("Sub", [write.constant([1.0]), shares]), shares], axis=1)
    total = write.node("ReduceSum", [shares, write.constant([1], TensorProto.INT64)], keepdims=1)
    none = write.node("Equal", [total, write.constant([0.0])])
    return write.node("Where", [none, shares, write.node("Div", [shares, total])])


def _pairs(scope: Any, operator: Any, container: Any) -> None:
    """OneVsOneClassifier.decision_function: votes, plus the sum of confidences squeezed into a third either way."""
    model, write = operator.raw_operator, Writer(scope, container)
    if model.pairwise_indices_ is not None:
        raise NotCovered("OneVsOneClassifier over a precomputed kernel is not covered")
    labels, output = (one.full_name for one in operator.outputs)
    by_score = [_by_score(one) for one in model.estimators_]
    given = [outputs_of(scope, container, one, operator.inputs)[0].full_name for one in model.estimators_]
    won = write.node("Concat", [last_column(write, name) for name in given], axis=1)
    first, second = sides(list(combinations(range(len(model.classes_)), 2)))
    lost = write.node("Sub", [write.constant([1.0]), won])
    votes = [write.node("MatMul", [one, write.constant(side)]) for one, side in ((lost, first), (won, second))]
    summed = write.node("MatMul", [_side_by_side(write, operator, by_score), write.constant(second - first)])
    scores = write.node("Add", [write.node("Add", votes), squeezed(write, summed)])
    if len(model.classes_) > 2:
        write.node("Identity", [scores], output)
        write_labels(write, model.classes_, write.node("ArgMax", [scores], axis=1, keepdims=0), labels)
        return
    score = write.node("Identity", [last_column(write, scores)], output)
    above = write.node("Greater", [score, write.constant([0.0 if by_score[0] else 0.5])])
    index = write.node("Reshape", [write.node("Cast", [above], to=TensorProto.INT64), write.constant([-1], TensorProto.INT64)])
    write_labels(write, model.classes_, index, labels)
