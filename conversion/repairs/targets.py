"""TransformedTargetRegressor: the inner regressor, then the inverse of what was done to the target.

skl2onnx 1.20 has no converter. Covered inverses are affine (the scalers) and numpy's own functions (`ufuncs`).
"""

from typing import Any

from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import DoubleTensorType
from sklearn.compose import TransformedTargetRegressor
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

from conversion.repairs import ufuncs
from conversion.repairs.inside import outputs_of
from conversion.steps import steps_of
from conversion.writer import Writer

NAME = "targets"
COVERED: tuple[type, ...] = (TransformedTargetRegressor,)
_AFFINE = (MaxAbsScaler, RobustScaler, StandardScaler)


def register() -> None:
    update_registered_converter(TransformedTargetRegressor, "UnjarTransformedTarget", _shape, _convert, overwrite=True)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def _shape(operator: Any) -> None:
    model = operator.raw_operator
    # The transformer has seen the targets as columns; a regressor of one answers one.
    columns = 1 if model._training_dim == 1 else model.transformer_.n_features_in_
    operator.outputs[0].type = DoubleTensorType([None, int(columns)])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    model, write = operator.raw_operator, Writer(scope, container)
    given = outputs_of(scope, container, model.regressor_, operator.inputs)[0].full_name
    value = write.node("Cast", [given], to=TensorProto.DOUBLE)
    columns = operator.outputs[0].type.shape[1]
    value = write.node("Reshape", [value, write.constant([-1, columns], TensorProto.INT64)])
    for step in reversed(steps_of(model.transformer_)):
        value = _undone(write, step, value)
    write.node("Identity", [value], operator.outputs[0].full_name)


def _undone(write: Writer, step: Any, value: str) -> str:
    """`inverse_transform` of one step."""
    if isinstance(step, FunctionTransformer):
        return ufuncs.written(write, step.inverse_func, step.inv_kw_args, value)
    if isinstance(step, MinMaxScaler) and not step.clip:
        shifted = write.node("Sub", [value, write.constant(step.min_)])
        return write.node("Div", [shifted, write.constant(step.scale_)])
    if not isinstance(step, _AFFINE):
        raise ValueError(f"the inverse of {type(step).__name__} is not covered; covered are scalers and numpy's functions")
    if getattr(step, "scale_", None) is not None and getattr(step, "with_scaling", True):
        value = write.node("Mul", [value, write.constant(step.scale_)])
    offset = getattr(step, "mean_" if isinstance(step, StandardScaler) else "center_", None)
    used = getattr(step, "with_mean", False) or getattr(step, "with_centering", False)
    return write.node("Add", [value, write.constant(offset)]) if used else value
