"""StackingClassifier and StackingRegressor: what the members answer, side by side, then the final estimator.

skl2onnx 1.20 takes labels where `stack_method` asks for scores, and hands float32 answers on, which a final estimator that
jumps turns into others.
"""

from typing import Any

from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import DoubleTensorType, StringTensorType
from sklearn.base import BaseEstimator, TransformerMixin, is_classifier
from sklearn.ensemble import StackingClassifier, StackingRegressor

from conversion.errors import NotCovered
from conversion.repairs.chains import asks_scores, joined, last_column
from conversion.repairs.classes import SCORES, label_type, write_labels
from conversion.repairs.inside import outputs_of
from conversion.writer import Writer

NAME = "stacking"


class Answers(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Stands for a stack whose `transform` is asked for: what its members answer, side by side."""

    def __init__(self, model: Any) -> None:
        self.model = model


COVERED: tuple[type, ...] = (StackingClassifier, StackingRegressor, Answers)


def register() -> None:
    update_registered_converter(
        StackingClassifier, "UnjarStackingClassifier", _class_shape, _classify, overwrite=True, options=SCORES
    )
    update_registered_converter(StackingRegressor, "UnjarStackingRegressor", _value_shape, _regress, overwrite=True)
    update_registered_converter(Answers, "UnjarStackAnswers", _answers_shape, _transform, overwrite=True)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def _class_shape(operator: Any) -> None:
    classes = operator.raw_operator.classes_
    if isinstance(classes, list):
        raise NotCovered("a stack of several targets is not covered; fit one for each target")
    operator.outputs[0].type, operator.outputs[1].type = label_type(classes), DoubleTensorType([None, len(classes)])


def _value_shape(operator: Any) -> None:
    operator.outputs[0].type = DoubleTensorType([None, 1])


def _answers_shape(operator: Any) -> None:
    operator.outputs[0].type = DoubleTensorType([None, operator.raw_operator.model.final_estimator_.n_features_in_])


def _transform(scope: Any, operator: Any, container: Any) -> None:
    write = Writer(scope, container)
    (answers,) = _answers(write, operator.raw_operator.model, operator)
    write.node("Identity", [answers.full_name], operator.outputs[0].full_name)


def _classify(scope: Any, operator: Any, container: Any) -> None:
    """The final classifier knows the classes by number, whatever the labels are."""
    model, write = operator.raw_operator, Writer(scope, container)
    scored = asks_scores(container, model)
    index, scores = outputs_of(scope, container, model.final_estimator_, _answers(write, model, operator), scores=scored)
    write_labels(write, model.classes_, index.full_name, operator.outputs[0].full_name)
    write.node("Cast", [scores.full_name], operator.outputs[1].full_name, to=TensorProto.DOUBLE)


def _regress(scope: Any, operator: Any, container: Any) -> None:
    model, write = operator.raw_operator, Writer(scope, container)
    value = outputs_of(scope, container, model.final_estimator_, _answers(write, model, operator))[0].full_name
    write.node("Identity", [last_column(write, value)], operator.outputs[0].full_name)


def _answers(write: Writer, model: Any, operator: Any) -> list[Any]:
    """_BaseStacking._concatenate_predictions"""
    members = [member for member in model.estimators_ if member != "drop"]
    columns = [
        _member(write, model, member, method, operator.inputs)
        for member, method in zip(members, model.stack_method_, strict=True)
    ]
    if model.passthrough:
        columns += [write.node("Cast", [one.full_name], to=TensorProto.DOUBLE) for one in operator.inputs]
    return joined(write, columns, model.final_estimator_.n_features_in_)


def _member(write: Writer, model: Any, member: Any, method: str, inputs: Any) -> str:
    """(n, k): a binary classifier's probabilities without their first column, every other answer as it is."""
    given = outputs_of(write.scope, write.container, member, inputs, scores=method == "decision_function")
    if method == "predict" and isinstance(given[0].type, StringTensorType):
        raise ValueError(f"{type(member).__name__} answers text, and the final estimator takes numbers")
    answer = given[0 if method == "predict" else 1].full_name
    classes = getattr(member, "classes_", ()) if is_classifier(member) else ()
    if method == "predict" or len(classes) == 2:
        return last_column(write, answer)
    return write.node("Cast", [answer], to=TensorProto.DOUBLE)
