"""ClassifierChain, RegressorChain, OutputCodeClassifier and SelfTrainingClassifier are written from the estimators they hold.

None has a converter in skl2onnx 1.20. A chain feeds each estimator with the answers of those before it.
"""

from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import DoubleTensorType
from sklearn.base import is_regressor
from sklearn.multiclass import OutputCodeClassifier
from sklearn.multioutput import ClassifierChain, RegressorChain
from sklearn.semi_supervised import SelfTrainingClassifier

from conversion.errors import NotCovered
from conversion.repairs.classes import SCORES, label_type, write_labels
from conversion.repairs.distances import nearest
from conversion.repairs.dummy import repeated
from conversion.repairs.inside import outputs_of
from conversion.steps import steps_of
from conversion.writer import Writer

NAME = "chains"
COVERED: tuple[type, ...] = (ClassifierChain, RegressorChain, OutputCodeClassifier, SelfTrainingClassifier)


def register() -> None:
    update_registered_converter(RegressorChain, "UnjarRegressorChain", _shape, _chained, overwrite=True)
    update_registered_converter(ClassifierChain, "UnjarClassifierChain", _shape, _chained, overwrite=True, options=SCORES)
    for kind, convert in ((OutputCodeClassifier, _coded), (SelfTrainingClassifier, _trained)):
        update_registered_converter(kind, f"Unjar{kind.__name__}", _shape_of_classes, convert, overwrite=True, options=SCORES)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def _shape(operator: Any) -> None:
    for output in operator.outputs:
        output.type = DoubleTensorType([None, len(operator.raw_operator.estimators_)])


def _shape_of_classes(operator: Any) -> None:
    operator.outputs[0].type = label_type(operator.raw_operator.classes_)
    operator.outputs[1].type = DoubleTensorType([None, None])


def _chained(scope: Any, operator: Any, container: Any) -> None:
    """_BaseChain._get_predictions"""
    model, write = operator.raw_operator, Writer(scope, container)
    scored = asks_scores(container, model)
    rows = write.node("Cast", [operator.inputs[0].full_name], to=TensorProto.DOUBLE)
    fed: list[str] = []
    answers: list[list[str]] = []
    for position, estimator in enumerate(model.estimators_):
        inputs = joined(write, [rows, *fed], model.n_features_in_ + position)
        answers.append(columns_of(write, estimator, inputs, scored))
        fed.append(_fed(write, model, estimator, inputs, answers[-1], scored))
    places = write.constant(np.argsort(model.order_), TensorProto.INT64)
    for output, columns in zip(operator.outputs, zip(*answers, strict=True), strict=True):
        write.node("Gather", [write.node("Concat", list(columns), axis=1), places], output.full_name, axis=1)


def _fed(write: Writer, model: Any, estimator: Any, inputs: list[Any], answers: list[str], scored: bool) -> str:
    """What the next estimator of the chain is fed with."""
    method = getattr(model, "chain_method_", "predict")
    if method == "predict":
        return answers[0]
    wanted = method == "decision_function"
    return (answers if wanted == scored else columns_of(write, estimator, inputs, wanted))[1]


def asks_scores(container: Any, model: Any) -> bool:
    return bool((container.get_options(model, {}, fail=False) or {}).get("raw_scores", False))


def columns_of(write: Writer, estimator: Any, inputs: list[Any], scored: bool) -> list[str]:
    """An estimator's answers as columns in double: its prediction, and a classifier's share or score of its second class."""
    if not is_regressor(estimator) and len(estimator.classes_) != 2:
        raise NotCovered(f"{type(estimator).__name__} inside decides between {len(estimator.classes_)} classes, not two")
    given = outputs_of(write.scope, write.container, estimator, inputs, scores=scored)
    return [last_column(write, one.full_name) for one in given]


def last_column(write: Writer, name: str) -> str:
    """The last column of (n, k), or (n,) as a column, in double."""
    last = write.constant([-1], TensorProto.INT64)
    double = write.node("Cast", [name], to=TensorProto.DOUBLE)
    count = write.node("Concat", [write.node("Shape", [double], start=0, end=1), last], axis=0)
    return write.node("Gather", [write.node("Reshape", [double, count]), last], axis=1)


def joined(write: Writer, parts: list[str], width: int) -> list[Any]:
    """Columns side by side, as the inputs of another estimator."""
    side_by_side = write.scope.declare_local_variable("chained", DoubleTensorType([None, width]))
    write.node("Concat", parts, side_by_side.full_name, axis=1)
    return [side_by_side]


def _coded(scope: Any, operator: Any, container: Any) -> None:
    """OutputCodeClassifier.predict: the class whose code is nearest to what the estimators answer."""
    model, write = operator.raw_operator, Writer(scope, container)
    rows = write.node("Cast", [operator.inputs[0].full_name], to=TensorProto.DOUBLE)
    inputs = joined(write, [rows], model.n_features_in_)
    code = write.node("Concat", [_bit(write, one, inputs, rows) for one in model.estimators_], axis=1)
    index = nearest(write, code, np.asarray(model.code_book_, np.float64))
    write_labels(write, model.classes_, index, operator.outputs[0].full_name)
    write.node("Identity", [code], operator.outputs[1].full_name)


def _bit(write: Writer, estimator: Any, inputs: list[Any], rows: str) -> str:
    """sklearn.multiclass._predict_binary, where an estimator that saw one class alone always answers it."""
    if not is_regressor(estimator) and not hasattr(estimator, "classes_"):
        return repeated(write, np.asarray(estimator.y_, np.float64).reshape(1, 1), rows)
    if hasattr(steps_of(estimator)[-1], "estimators_") and not hasattr(estimator, "decision_function"):
        name = type(estimator).__name__
        raise NotCovered(f"the votes of {name} are often equally near two codes; which is taken hangs on the last digit")
    return columns_of(write, estimator, inputs, hasattr(estimator, "decision_function"))[-1]


def _trained(scope: Any, operator: Any, container: Any) -> None:
    """SelfTrainingClassifier answers as the classifier it has trained."""
    model, write = operator.raw_operator, Writer(scope, container)
    inner, scored = model.estimator_, asks_scores(container, model)
    label, scores = outputs_of(scope, container, inner, operator.inputs, scores=scored)
    write.node("Identity", [label.full_name], operator.outputs[0].full_name)
    write.node("Cast", [scores.full_name], operator.outputs[1].full_name, to=TensorProto.DOUBLE)
