"""How far can the written graph be from scikit-learn for any row in a range, when both are affine maps and relus?

The graph is read node by node and the fitted object step by step, each as the operations it really performs, in the
precision in which it performs them; `rounding` bounds what lies between.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.linear_model._base import LinearModel
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

from conversion.rounding import DOUBLE, SINGLE, Chain, apart
from conversion.steps import steps_of
from serving.signature import Array

# The classes that inherit one of these predict X @ coef_.T + intercept_ and nothing else.
_LINEAR = (LinearModel.predict, LinearRegression.predict, Ridge.predict)
_COVERED = (StandardScaler, RobustScaler, MinMaxScaler, MaxAbsScaler, PCA, TruncatedSVD, LinearModel, MLPRegressor)


class NotBounded(Exception):
    """What stands in the way of a bound."""


@dataclass(frozen=True)
class Bound:
    """Whatever row lies in [low, high], feature by feature, the graph is at most `largest` from scikit-learn."""

    largest: float
    low: Array
    high: Array


def bound(graph: onnx.ModelProto, estimator: Any, low: Array, high: Array) -> Bound:
    """Raises NotBounded when either side holds more than affine maps and relus."""
    fitted, written = Chain.over(low, high), Chain.over(low, high)
    for step in steps_of(estimator):
        _fitted(step, fitted)
    _Reader(graph, written).read()
    gap = apart(fitted, written)
    if gap is None:
        raise NotBounded("the graph's maps have another form than the fitted object's")
    if not np.isfinite(gap).all():
        raise NotBounded("the bound is infinite")
    return Bound(float(gap.max()), low, high)


def covers(estimator: Any) -> bool:
    """Does it consist of nothing but steps that a bound is written for?"""
    return all(isinstance(step, _COVERED) for step in steps_of(estimator))


def _fitted(step: Any, chain: Chain) -> None:
    """What scikit-learn 1.9 does to a float64 row in this step's transform or predict."""
    kind = type(step)
    if kind is StandardScaler or kind is RobustScaler:
        centre = step.mean_ if kind is StandardScaler else step.center_
        if getattr(step, "with_mean", getattr(step, "with_centering", True)):
            chain.shift(-centre, DOUBLE)
        if step.scale_ is not None:
            chain.divide(step.scale_, DOUBLE)
    elif kind is MinMaxScaler and not step.clip:
        chain.scale(step.scale_, DOUBLE)
        chain.shift(step.min_, DOUBLE)
    elif kind is MaxAbsScaler and not getattr(step, "clip", False):
        chain.divide(step.scale_, DOUBLE)
    elif kind is PCA and not step.whiten:
        moved = step.mean_ @ step.components_.T
        n = len(step.mean_)
        slack = n * DOUBLE / (1 - n * DOUBLE) * (np.abs(step.mean_) @ np.abs(step.components_.T))
        chain.product(step.components_.T, np.zeros(len(step.components_)), DOUBLE)
        chain.shift(-moved, DOUBLE, slack)
    elif kind is TruncatedSVD:
        chain.product(step.components_.T, np.zeros(len(step.components_)), DOUBLE)
    elif isinstance(step, LinearModel) and kind.predict in _LINEAR:
        weights = np.atleast_2d(step.coef_).T
        chain.product(weights, np.zeros(weights.shape[1]), DOUBLE)
        chain.shift(np.broadcast_to(np.asarray(step.intercept_, np.float64), weights.shape[1:]), DOUBLE)
    elif kind is MLPRegressor:
        _network(step, chain)
    else:
        raise NotBounded(f"no bound is written for {kind.__name__}")


def _network(step: MLPRegressor, chain: Chain) -> None:
    if step.activation not in ("relu", "identity") or step.out_activation_ != "identity":
        raise NotBounded(f"the activation {step.activation} has no error bound of its own in onnxruntime")
    for i, (weights, bias) in enumerate(zip(step.coefs_, step.intercepts_, strict=True)):
        chain.product(weights, np.zeros(weights.shape[1]), DOUBLE)
        chain.shift(bias, DOUBLE)
        if i + 1 < len(step.coefs_) and step.activation == "relu":
            chain.relu()


class _Reader:
    """Walks a graph that is one path from its input to its output."""

    def __init__(self, model: onnx.ModelProto, chain: Chain) -> None:
        self.graph, self.chain = model.graph, chain
        self.constants = {entry.name: numpy_helper.to_array(entry) for entry in model.graph.initializer}
        self.unit = self._unit(model.graph.input[0].type.tensor_type.elem_type)
        self.operations: dict[str, Callable[[Any], None]] = {
            "Add": lambda node: self.chain.shift(self._vector(node), self.unit),
            "Sub": lambda node: self.chain.shift(-self._vector(node), self.unit),
            "Mul": lambda node: self.chain.scale(self._vector(node), self.unit),
            "Div": lambda node: self.chain.divide(self._vector(node), self.unit),
            "MatMul": lambda node: self._product(self._constant(node, 1), None),
            "Gemm": self._gemm,
            "Relu": lambda node: self.chain.relu(),
            "Cast": self._cast,
            "Scaler": self._scaler,
            "LinearRegressor": self._linear,
            # These move elements and compute nothing; where they lie is compared on rows.
            "Identity": lambda node: None,
            "Reshape": lambda node: None,
            "Gather": lambda node: None,
        }

    def read(self) -> None:
        if len(self.graph.input) != 1 or len(self.graph.output) != 1:
            raise NotBounded("the graph has several inputs or outputs")
        name = self.graph.input[0].name
        while name != self.graph.output[0].name:
            readers = [node for node in self.graph.node if name in node.input]
            if len(readers) != 1 or readers[0].input[0] != name or readers[0].op_type not in self.operations:
                raise NotBounded(f"the graph is no chain of affine maps and relus after {name!r}")
            self.operations[readers[0].op_type](readers[0])
            name = readers[0].output[0]

    def _unit(self, kind: int) -> float:
        if kind not in (TensorProto.FLOAT, TensorProto.DOUBLE):
            raise NotBounded(f"the graph computes in {TensorProto.DataType.Name(kind)}")
        return SINGLE if kind == TensorProto.FLOAT else DOUBLE

    def _constant(self, node: Any, position: int) -> Array:
        if node.input[position] not in self.constants:
            raise NotBounded(f"{node.op_type} reads something that is no constant")
        return np.asarray(self.constants[node.input[position]], np.float64)

    def _vector(self, node: Any) -> Array:
        return np.broadcast_to(self._constant(node, 1).reshape(-1), self.chain.low.shape)

    def _product(self, weights: Array, bias: Array | None) -> None:
        if weights.ndim != 2 or len(weights) != len(self.chain.low):
            raise NotBounded("a matrix of the graph does not fit the rows before it")
        self.chain.product(weights, np.zeros(weights.shape[1]) if bias is None else bias.reshape(-1), self.unit)

    def _gemm(self, node: Any) -> None:
        given = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        if given.get("alpha", 1.0) != 1.0 or given.get("beta", 1.0) != 1.0 or given.get("transA", 0):
            raise NotBounded("a Gemm of the graph scales or transposes its rows")
        weights = self._constant(node, 1)
        self._product(weights.T if given.get("transB", 0) else weights, self._constant(node, 2))

    def _cast(self, node: Any) -> None:
        unit = self._unit(node.attribute[0].i)
        if unit > self.unit:
            self.chain.cast(unit)
        self.unit = unit

    def _single(self) -> None:
        """The classical operators compute in float32 whatever comes in."""
        if self.unit != SINGLE:
            self.chain.cast(SINGLE)
        self.unit = SINGLE

    def _scaler(self, node: Any) -> None:
        self._single()
        given = {attribute.name: np.asarray(attribute.floats, np.float64) for attribute in node.attribute}
        self.chain.shift(np.broadcast_to(-given["offset"], self.chain.low.shape), SINGLE)
        self.chain.scale(np.broadcast_to(given["scale"], self.chain.low.shape), SINGLE)

    def _linear(self, node: Any) -> None:
        self._single()
        given = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        targets = int(given.get("targets", 1))
        weights = np.asarray(given["coefficients"], np.float64).reshape(targets, -1).T
        self._product(weights, np.asarray(given.get("intercepts", np.zeros(targets)), np.float64))
