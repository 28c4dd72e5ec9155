"""MultiOutputClassifier: labels of every target side by side, and each target's probabilities as an output of their own.

skl2onnx 1.20 gives the probabilities as one sequence, stacks them when all targets have as many classes, and refuses targets
whose labels differ in their datatype.
"""

from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx._parse import _parse_sklearn_classifier
from skl2onnx.common._topology import Scope
from skl2onnx.common.data_types import DoubleTensorType, Int64TensorType
from sklearn.multioutput import MultiOutputClassifier

from conversion.repairs.classes import OPTIONS, label_type
from conversion.repairs.inside import outputs_of
from conversion.writer import Writer

NAME = "several"
COVERED: tuple[type, ...] = (MultiOutputClassifier,)


def register() -> None:
    register_targets(MultiOutputClassifier, shape_of_targets, _convert)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def register_targets(kind: type, shape: Any, convert: Any) -> None:
    """A classifier that may have several targets: labels, then probabilities once for each target."""
    name = f"Unjar{kind.__name__}"

    def parse(scope: Scope, model: Any, inputs: Any, custom_parsers: Any = None) -> Any:
        if not isinstance(model.classes_, list):
            return _parse_sklearn_classifier(scope, model, inputs, custom_parsers)
        operator = scope.declare_local_operator(name, model)
        operator.inputs = inputs
        operator.outputs.append(scope.declare_local_variable("label", Int64TensorType()))
        for _ in model.classes_:
            operator.outputs.append(scope.declare_local_variable("probabilities", DoubleTensorType()))
        return operator.outputs

    update_registered_converter(kind, name, shape, convert, overwrite=True, parser=parse, options=OPTIONS)


def shape_of_targets(operator: Any) -> None:
    """Raises ValueError where the targets' labels are of several kinds: numpy then answers all of them as text."""
    classes = operator.raw_operator.classes_
    kinds = {np.asarray(one).dtype.kind for one in classes}
    if len(kinds) > 1:
        raise ValueError(f"the labels of the targets are of several kinds ({sorted(kinds)}); use numbers or text for all")
    operator.outputs[0].type = type(label_type(classes[0]))([None, len(classes)])
    for output, own in zip(operator.outputs[1:], classes, strict=True):
        label_type(own)
        output.type = DoubleTensorType([None, len(own)])


def write_targets(write: Writer, labels: list[str], output: str) -> None:
    """Labels of each target, (n,), side by side."""
    column = write.constant([-1, 1], TensorProto.INT64)
    write.node("Concat", [write.node("Reshape", [one, column]) for one in labels], output, axis=1)


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """MultiOutputClassifier.predict and predict_proba"""
    write = Writer(scope, container)
    labels = []
    for estimator, output in zip(operator.raw_operator.estimators_, operator.outputs[1:], strict=True):
        label, shares = outputs_of(scope, container, estimator, operator.inputs)
        labels.append(label.full_name)
        write.node("Cast", [shares.full_name], output.full_name, to=TensorProto.DOUBLE)
    write_targets(write, labels, operator.outputs[0].full_name)
