"""TunedThresholdClassifierCV and FixedThresholdClassifier decide at their own threshold.

skl2onnx 1.20 takes the label from the inner classifier and never reads `best_threshold_`; it has no converter for the other.
"""

from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import DoubleTensorType
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV

from conversion.repairs.classes import SCORES, label_type, write_labels
from conversion.repairs.inside import outputs_of
from conversion.writer import Writer

NAME = "thresholds"
COVERED: tuple[type, ...] = (FixedThresholdClassifier, TunedThresholdClassifierCV)


def register() -> None:
    for model in COVERED:
        update_registered_converter(model, f"Unjar{model.__name__}", _shape, _convert, overwrite=True, options=SCORES)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def _shape(operator: Any) -> None:
    model = operator.raw_operator
    operator.outputs[0].type = label_type(model.classes_)
    operator.outputs[1].type = DoubleTensorType([None, len(model.classes_)])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """`_threshold_scores_to_class_labels`: the positive class where its score is at least the threshold."""
    model, write = operator.raw_operator, Writer(scope, container)
    inner = getattr(model, "estimator_", model.estimator)
    by_score = _decides_by_score(model, inner)
    wants_score = bool(container.get_options(model, {"raw_scores": False}).get("raw_scores", False))
    answers = _scores(write, operator, inner, wants_score)
    deciding = answers if by_score == wants_score else _scores(write, operator, inner, by_score)
    write.node("Identity", [answers], operator.outputs[1].full_name)
    positive, threshold = _decision(model, by_score)
    column = write.constant(positive if not by_score else -1, TensorProto.INT64)
    score = write.node("Gather", [deciding, column], axis=1)
    if by_score and positive == 0:
        score = write.node("Neg", [score])
    chosen = write.node("GreaterOrEqual", [score, write.constant(threshold)])
    sides = [write.constant(index, TensorProto.INT64) for index in (positive, 1 - positive)]
    write_labels(write, model.classes_, write.node("Where", [chosen, *sides]), operator.outputs[0].full_name)


def _scores(write: Writer, operator: Any, inner: Any, raw: bool) -> str:
    given = outputs_of(write.scope, write.container, inner, operator.inputs, scores=raw)[1]
    if not isinstance(given.type, DoubleTensorType):
        raise ValueError(f"{type(inner).__name__} gives float32, and a threshold on its scores needs double")
    return str(given.full_name)


def _decides_by_score(model: Any, inner: Any) -> bool:
    if model.response_method == "auto":
        return not hasattr(inner, "predict_proba")
    return bool(model.response_method == "decision_function")


def _decision(model: Any, by_score: bool) -> tuple[int, float]:
    """The number of the positive class, and the threshold on its score."""
    if isinstance(model, TunedThresholdClassifierCV):
        positive, threshold = model._curve_scorer._get_pos_label(), model.best_threshold_
    else:
        positive, threshold = model.pos_label, model.threshold
    if threshold == "auto":
        threshold = 0.0 if by_score else 0.5
    place = 1 if positive is None else int(np.flatnonzero(model.classes_ == positive)[0])
    return place, float(threshold)
