"""MultiOutputRegressor: every target's own regressor, side by side, in double and with exact trees.

skl2onnx 1.20 writes the trees inside in float32.
"""

from typing import Any

from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import DoubleTensorType
from sklearn.multioutput import MultiOutputRegressor

from conversion.repairs.inside import outputs_of
from conversion.writer import Writer

NAME = "multi_output"
COVERED: tuple[type, ...] = (MultiOutputRegressor,)


def register() -> None:
    update_registered_converter(MultiOutputRegressor, "UnjarMultiOutputRegressor", _shape, _convert, overwrite=True)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def _shape(operator: Any) -> None:
    operator.outputs[0].type = DoubleTensorType([None, len(operator.raw_operator.estimators_)])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """MultiOutputRegressor.predict"""
    write, shape = Writer(scope, container), [-1, 1]
    columns = []
    for member in operator.raw_operator.estimators_:
        given = outputs_of(scope, container, member, operator.inputs)[0].full_name
        column = write.node("Reshape", [given, write.constant(shape, TensorProto.INT64)])
        columns.append(write.node("Cast", [column], to=TensorProto.DOUBLE))
    write.node("Concat", columns, operator.outputs[0].full_name, axis=1)
