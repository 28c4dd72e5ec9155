"""VotingClassifier and VotingRegressor, whatever `flatten_transform` says, which only concerns `transform`.

skl2onnx 1.20 refuses a voting classifier with the default flatten_transform=True, and takes the hard votes from the largest
probability instead of each member's own label.
"""

from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType
from sklearn.ensemble import VotingClassifier, VotingRegressor

from conversion.repairs.classes import OPTIONS, label_type, write_labels
from conversion.repairs.inside import outputs_of
from conversion.writer import Writer

NAME = "voting"
COVERED: tuple[type, ...] = (VotingClassifier, VotingRegressor)


def register() -> None:
    update_registered_converter(
        VotingClassifier, "UnjarVotingClassifier", _class_shape, _classify, overwrite=True, options=OPTIONS
    )
    update_registered_converter(VotingRegressor, "UnjarVotingRegressor", _value_shape, _regress, overwrite=True)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def _class_shape(operator: Any) -> None:
    classes = operator.raw_operator.classes_
    operator.outputs[0].type, operator.outputs[1].type = label_type(classes), DoubleTensorType([None, len(classes)])


def _value_shape(operator: Any) -> None:
    operator.outputs[0].type = DoubleTensorType([None, 1])


def _classify(scope: Any, operator: Any, container: Any) -> None:
    """`predict`: the members know the classes by number, whatever the labels are."""
    model, write = operator.raw_operator, Writer(scope, container)
    hard = model.voting == "hard"
    if hard and any(isinstance(one.type, FloatTensorType) for one in operator.inputs):
        raise ValueError("a hard vote jumps where a member's label does; it needs double")
    numbers = write.constant(np.arange(len(model.classes_)), TensorProto.INT64)
    shares = []
    for member in model.estimators_:
        label, share = outputs_of(scope, container, member, operator.inputs)
        if hard:
            column = write.node("Reshape", [label.full_name, write.constant([-1, 1], TensorProto.INT64)])
            shares.append(write.node("Equal", [column, numbers]))
        else:
            shares.append(share.full_name)
    mean = _mean(write, shares, model, operator.outputs[1].full_name)
    write_labels(write, model.classes_, write.node("ArgMax", [mean], axis=1, keepdims=0), operator.outputs[0].full_name)


def _regress(scope: Any, operator: Any, container: Any) -> None:
    model, write = operator.raw_operator, Writer(scope, container)
    shape = write.constant([-1, 1], TensorProto.INT64)
    given = [outputs_of(scope, container, member, operator.inputs)[0].full_name for member in model.estimators_]
    _mean(write, [write.node("Reshape", [name, shape]) for name in given], model, operator.outputs[0].full_name)


def _mean(write: Writer, values: list[str], model: Any, output: str) -> str:
    """`np.average` with the weights of the members that take part."""
    weights = model._weights_not_none or [1.0] * len(values)
    doubles = [write.node("Cast", [value], to=TensorProto.DOUBLE) for value in values]
    parts = [write.node("Mul", [one, write.constant([float(w)])]) for one, w in zip(doubles, weights, strict=True)]
    return write.node("Div", [write.node("Sum", parts), write.constant([float(np.sum(weights))])], output)
