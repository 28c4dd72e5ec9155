"""FunctionTransformer with one of numpy's own functions; skl2onnx 1.20 has a converter for no function at all.

All in double. A function that is not in `FUNCTIONS`, or that has arguments, is refused.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import DoubleTensorType
from sklearn.preprocessing import FunctionTransformer

from conversion.repairs.inside import check_not_rounded
from conversion.writer import Writer

NAME = "ufuncs"
COVERED: tuple[type, ...] = (FunctionTransformer,)
_PLAIN = {
    np.absolute: "Abs", np.fabs: "Abs", np.ceil: "Ceil", np.cos: "Cos", np.exp: "Exp", np.floor: "Floor", np.log: "Log",
    np.negative: "Neg", np.positive: "Identity", np.rint: "Round", np.sign: "Sign", np.sin: "Sin", np.sqrt: "Sqrt",
    np.tanh: "Tanh", np.reciprocal: "Reciprocal",
}  # fmt: skip
_FACTORS = {np.deg2rad: np.pi / 180.0, np.rad2deg: 180.0 / np.pi}

_JUMPING = {np.ceil, np.floor, np.rint, np.sign, np.trunc}


def register() -> None:
    update_registered_converter(FunctionTransformer, "UnjarFunctionTransformer", _shape, _convert, overwrite=True)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def written(write: Writer, function: Any, arguments: Any, value: str) -> str:
    """The function of a double tensor. Raises ValueError for a function that is not in the list."""
    if function is None:
        return value
    if arguments or not (function in _PLAIN or function in _FACTORS or function in _LONGER):
        known = sorted(one.__name__ for one in (*_PLAIN, *_FACTORS, *_LONGER))
        name = getattr(function, "__name__", repr(function))
        raise ValueError(f"the function {name!r} with arguments {arguments!r} is not covered; covered without any are {known}")
    if function in _PLAIN:
        return write.node(_PLAIN[function], [value])
    if function in _FACTORS:
        return write.node("Mul", [value, write.constant([_FACTORS[function]])])
    return _LONGER[function](write, value)


def _shape(operator: Any) -> None:
    operator.outputs[0].type = DoubleTensorType([None, operator.raw_operator.n_features_in_])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    model, write = operator.raw_operator, Writer(scope, container)
    if model.func in _JUMPING:
        check_not_rounded(model, operator.inputs)
    rows = [write.node("Cast", [one.full_name], to=TensorProto.DOUBLE) for one in operator.inputs]
    value = rows[0] if len(rows) == 1 else write.node("Concat", rows, axis=1)
    answer = written(write, model.func, model.kw_args, value)
    write.node("Identity", [answer], operator.outputs[0].full_name)


def _log1p(write: Writer, value: str) -> str:
    """log(u) * x / (u - 1) with u = 1 + x rounded (Kahan); x itself where u is 1, and infinity as it is."""
    one = write.constant([1.0])
    sum_ = write.node("Add", [value, one])
    log = write.node("Log", [sum_])
    better = write.node("Div", [write.node("Mul", [log, value]), write.node("Sub", [sum_, one])])
    large = write.node("Greater", [value, write.constant([1.0])])
    tiny = write.node("Equal", [sum_, one])
    edge = write.node("LessOrEqual", [sum_, write.constant([0.0])])
    plain = write.node("Or", [large, edge])
    return write.node("Where", [tiny, value, write.node("Where", [plain, log, better])])


def _expm1(write: Writer, value: str) -> str:
    """(u - 1) * x / log(u) with u = e^x rounded (Kahan); plain where nothing cancels."""
    one = write.constant([1.0])
    power = write.node("Exp", [value])
    less = write.node("Sub", [power, one])
    better = write.node("Div", [write.node("Mul", [less, value]), write.node("Log", [power])])
    tiny = write.node("Equal", [power, one])
    far = write.node("Greater", [write.node("Abs", [value]), one])
    return write.node("Where", [tiny, value, write.node("Where", [far, less, better])])


def _power_of_two(write: Writer, value: str) -> str:
    return write.node("Pow", [write.constant([2.0]), value])


def _over(base: float) -> Callable[[Writer, str], str]:
    def log(write: Writer, value: str) -> str:
        return write.node("Div", [write.node("Log", [value]), write.constant([np.log(base)])])

    return log


def _square(write: Writer, value: str) -> str:
    return write.node("Mul", [value, value])


def _signed(kind: str, **exponent: float) -> Callable[[Writer, str], str]:
    def apply(write: Writer, value: str) -> str:
        size = write.node("Abs", [value])
        inputs = [size, *(write.constant([power]) for power in exponent.values())]
        return write.node("Mul", [write.node("Sign", [value]), write.node(kind, inputs)])

    return apply


_LONGER: dict[Any, Callable[[Writer, str], str]] = {
    np.log1p: _log1p, np.expm1: _expm1, np.exp2: _power_of_two, np.log2: _over(2.0), np.log10: _over(10.0),
    np.square: _square, np.cbrt: _signed("Pow", exponent=1.0 / 3.0), np.trunc: _signed("Floor"),
}  # fmt: skip
