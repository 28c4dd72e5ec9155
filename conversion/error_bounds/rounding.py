"""How far can what is computed from rows in a range be from exact arithmetic, and from another such computation?

A running error analysis over an interval of inputs: sound for any order of summation, with or without fused multiply-add.
Source: Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., sections 2.2, 3.1 and 3.3.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Optional

import numpy as np

from serving.signature import Array

SINGLE, DOUBLE = 2.0**-24, 2.0**-53
# The smallest positive numbers, for results that underflow; processors may flush what lies below the normal ones to zero.
_TINY = {SINGLE: 2.0**-126, DOUBLE: 2.0**-1022}
# The bound's own arithmetic is in double; this is more than it can lose.
_INFLATED = 1.0 + 1e-9
# What folding maps in extended precision loses per operation.
_FOLD = 2 * float(np.finfo(np.longdouble).eps)
# By how many units the elementary functions of numpy, scipy and onnxruntime may err: exp in units of its value, the others
# in units of one. Measured at most 8 (tests/conversion/test_rounding.py).
FUNCTION_UNITS = 32
ASSUMPTION = f"exp, tanh, cos and the logistic function err by at most {FUNCTION_UNITS} units in the last place"
# |f(a) - f(b)| <= factor * |a - b|; of softmax and shares, of the largest difference in the row.
_STEEPNESS = {"relu": 1.0, "clip": 1.0, "tanh": 1.0, "cos": 1.0, "logistic": 0.25, "softmax": 0.5, "shares": 0.5}
_LARGEST_SINGLE = 1e38
# Beyond it exp is no normal number any more.
_LARGEST_POWER = 700.0


class NotBounded(Exception):
    """What stands in the way of a bound."""


# What Python and numpy raise when an object or a graph has other parts than the ones that are followed.
MALFORMED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


@dataclass(frozen=True)
class Base:
    """The rows, or what a function that is not affine makes of an affine value; `size` is each element's largest magnitude.

    "distances" is |inner|^2 + linear, not below zero.
    """

    function: str
    size: Array
    inner: Optional["Value"] = None
    limits: tuple[float, float] | None = None
    linear: Optional["Value"] = None


@dataclass(frozen=True)
class Value:
    """Whatever row is in the range, the exact value lies in [low, high] and what is computed is at most `error` from it.

    The exact value is `base @ matrix + offset`, known up to `lost`; a vector stands for a diagonal matrix. `unit` is the
    precision in which it is stored. `relative` bounds the computed value's error as a share of the exact one, where known;
    `summed` is the number of terms of the sum that it has just come from, which may go on with the next constant.
    """

    low: Array
    high: Array
    error: Array
    unit: float
    base: Base
    matrix: Array
    offset: Array
    lost: Array
    relative: float | None = None
    summed: int = 0

    @classmethod
    def rows(cls, low: Array, high: Array, unit: float) -> "Value":
        return cls._on(Base("rows", np.maximum(np.abs(low), np.abs(high))), low, high, np.zeros(len(low)), unit)

    @classmethod
    def _on(cls, base: Base, low: Array, high: Array, error: Array, unit: float, relative: float | None = None) -> "Value":
        width = len(low)
        one, zero = np.ones(width, np.longdouble), np.zeros(width, np.longdouble)
        return cls(low, high, error, unit, base, one, zero, np.zeros(width), relative)

    @property
    def width(self) -> int:
        return len(self.low)

    @property
    def size(self) -> Array:
        """The largest magnitude of what is computed."""
        return np.asarray(np.maximum(np.abs(self.low), np.abs(self.high)) + self.error)

    @property
    def plain(self) -> bool:
        """Is it its base, as it is?"""
        return bool(self.matrix.ndim == 1 and (self.matrix == 1).all() and not self.offset.any())

    def shift(self, by: Array, slack: Array | float = 0.0) -> "Value":
        """+ by; `slack` is how far the constant itself may be from the exact one."""
        by = np.broadcast_to(np.asarray(by, np.float64), self.low.shape)
        low, high, offset = self.low + by, self.high + by, self.offset + by
        lost = self.lost + _FOLD * np.abs(offset).astype(np.float64)
        more = self.summed * self.unit / (1 - self.summed * self.unit) * np.abs(by)
        return replace(self, low=low, high=high, offset=offset, lost=lost)._rounded(self.error + slack + more)

    def scale(self, by: Array) -> "Value":
        by = np.broadcast_to(np.asarray(by, np.float64), self.low.shape)
        return self._stretched(self.low * by, self.high * by, np.abs(by), self.matrix * by, self.offset * by)

    def divide(self, by: Array) -> "Value":
        """/ by; a product with 1 / by is another map, by one rounding."""
        by = np.broadcast_to(np.asarray(by, np.float64), self.low.shape)
        return self._stretched(self.low / by, self.high / by, 1 / np.abs(by), self.matrix / by, self.offset / by)

    def negate(self) -> "Value":
        return replace(self, low=-self.high, high=-self.low, matrix=-self.matrix, offset=-self.offset, relative=None)

    def product(self, weights: Array, bias: Array | None = None, slack: Array | float = 0.0) -> "Value":
        """@ weights + bias, the products and sums in any order; computed with an error of |value| @ slack beyond that."""
        weights = np.asarray(weights, np.float64)
        bias = np.zeros(weights.shape[1]) if bias is None else bias
        n, magnitude = self.width + 1, np.abs(weights)
        size = self.size
        gamma = n * self.unit / (1 - n * self.unit)
        error = self.error @ magnitude + size @ (gamma * magnitude + slack) + gamma * np.abs(bias) + n * _TINY[self.unit]
        middle, radius = (self.low + self.high) / 2, (self.high - self.low) / 2
        centre, spread = middle @ weights + bias, radius @ magnitude
        widened = spread + n * DOUBLE * 4 * (np.abs(middle) @ magnitude + np.abs(bias) + spread) + n * _TINY[DOUBLE]
        matrix = self.matrix[:, None] * weights if self.matrix.ndim == 1 else self.matrix @ weights
        reach = _times(self.base.size, np.abs(self.matrix)) + np.abs(self.offset).astype(np.float64)
        lost = (self.lost + (n + len(self.base.size)) * _FOLD * reach) @ magnitude + _FOLD * np.abs(bias)
        return replace(
            self, low=centre - widened, high=centre + widened, error=error * _INFLATED, matrix=matrix,
            offset=self.offset @ weights + bias, lost=lost * _INFLATED, relative=None, summed=n,
        )._checked(size @ magnitude + np.abs(bias))  # fmt: skip

    def columns(self, chosen: Array) -> "Value":
        if np.array_equal(chosen, np.arange(self.width)):
            return self
        low, high, error, offset, lost = (one[chosen] for one in (self.low, self.high, self.error, self.offset, self.lost))
        matrix = _dense(self.matrix, chosen)
        return replace(self, low=low, high=high, error=error, matrix=matrix, offset=offset, lost=lost, relative=None)

    def cast(self, unit: float) -> "Value":
        return replace(self, unit=unit)._rounded(self.error) if unit > self.unit else replace(self, unit=unit)

    def relu(self) -> "Value":
        return self.clip(0.0, np.inf, "relu")

    def clip(self, least: float, most: float, function: str = "clip") -> "Value":
        """Exact, and brings no two values further apart."""
        low, high = (np.clip(end, least, most) for end in (self.low, self.high))
        base = Base(function, np.maximum(np.abs(low), np.abs(high)), self, (least, most))
        return self._on(base, low, high, self.error, self.unit)

    def bend(self, function: str) -> "Value":
        """tanh, cos or the logistic function of each element, softmax of each row."""
        low, high = {"tanh": (-1.0, 1.0), "cos": (-1.0, 1.0)}.get(function, (0.0, 1.0))
        units = FUNCTION_UNITS
        error = _STEEPNESS[function] * self.error
        if function == "softmax":
            error, units = np.full(self.width, error.max()), 2 * FUNCTION_UNITS + 2 * self.width + 4
        error = (error + units * self.unit + self.width * _TINY[self.unit]) * _INFLATED
        base = Base(function, np.ones(self.width), self)
        return self._on(base, np.full(self.width, low), np.full(self.width, high), error, self.unit)

    def logistic(self) -> "Value":
        """By a formula that also keeps the smallest values' digits."""
        found = self.bend("logistic")
        steep = float(np.expm1(self.error.max() + (FUNCTION_UNITS + 4) * self.unit)) * _INFLATED
        normal = (self.low - self.error).min() > -_LARGEST_POWER
        return replace(found, relative=steep if normal and self.unit == DOUBLE and steep < 0.01 else None)

    def shares(self) -> "Value":
        """Logistic values, each divided by the row's sum."""
        inner = self.base.inner
        if self.base.function != "logistic" or inner is None or not self.plain or self.relative is None:
            raise NotBounded("shares are taken of what may be next to zero")
        error = (2 * self.relative + 2 * (self.width + 2) * self.unit) * 1.05
        base = Base("shares", np.ones(self.width), inner)
        ends = np.zeros(self.width), np.ones(self.width)
        return self._on(base, *ends, np.full(self.width, error), self.unit)

    def distances(self, linear: "Value") -> "Value":
        """|self|^2 + linear, not below zero: squared distances to some points, the sums in any order."""
        if linear.base is not self.base or linear.unit != self.unit:
            raise NotBounded("the parts of a distance come from different functions")
        size, most = self.size, linear.size
        gamma = (self.width + 4) * self.unit / (1 - (self.width + 4) * self.unit)
        error = linear.error + 2 * size @ self.error + gamma * (size @ size) + 4 * self.unit * most + _TINY[self.unit]
        high = size @ size + most
        inner, linear = self._about(linear)
        base = Base("distances", high, inner, None, linear)
        return self._on(base, np.zeros(linear.width), high, error * _INFLATED, self.unit)._checked(high)

    def distances_to(self, points: Array) -> "Value":
        """To these points, by differences or by |x|^2 - 2 x.p + |p|^2: both err by less than what is counted here."""
        norms = (points.astype(np.longdouble) ** 2).sum(axis=1).astype(np.float64)
        slack = (self.width + 8) * self.unit * 2 * (self.size @ (2 * np.abs(points.T)) + norms)
        return self.distances(self.product(-2.0 * points.T).shift(norms, slack))

    def _about(self, linear: "Value") -> tuple["Value", "Value"]:
        """|y + o|^2 + linear = |y|^2 + (linear + 2 y.o + o.o): the offset goes where it may cancel."""
        offset, zero = self.offset, np.zeros(self.width, np.longdouble)
        shift = self.matrix * offset if self.matrix.ndim == 1 else self.matrix @ offset
        matrix = _dense(linear.matrix) + 2 * shift[:, None]
        constant = linear.offset + offset @ offset
        reach = _times(self.base.size, np.abs(_dense(linear.matrix))) + np.abs(linear.offset).astype(np.float64)
        magnitude = _times(self.base.size, np.abs(self.matrix)) + np.abs(offset).astype(np.float64)
        lost = linear.lost + 2 * (magnitude + self.lost) @ self.lost
        lost = lost + (len(self.base.size) + self.width + 4) * _FOLD * (reach + 2 * magnitude @ magnitude)
        ends = magnitude + self.lost
        inner = replace(self, low=-ends, high=ends, offset=zero, lost=np.zeros(self.width))
        return inner, replace(linear, matrix=matrix, offset=constant, lost=lost * _INFLATED)

    def exp(self) -> "Value":
        most = self.high + self.error
        if self.unit != DOUBLE:
            raise NotBounded("exp is bounded in double alone")
        if not most.max() < _LARGEST_POWER:
            raise NotBounded("exp of the largest values in the range overflows")
        low, high = np.exp(self.low) * (1 - 1e-12), np.exp(self.high) * (1 + 1e-12)
        relative = float(np.expm1(self.error.max()) + FUNCTION_UNITS * self.unit * np.exp(self.error.max())) * _INFLATED
        base = Base("exp", high, self)
        return self._on(base, low, high, high * relative + _TINY[self.unit], self.unit, relative)

    def _stretched(self, first: Array, second: Array, factor: Array, matrix: Array, offset: Array) -> "Value":
        low, high = np.minimum(first, second), np.maximum(first, second)
        reach = _times(self.base.size, np.abs(matrix)) + np.abs(offset).astype(np.float64)
        lost = (self.lost * factor + _FOLD * reach) * _INFLATED
        changed = replace(self, low=low, high=high, matrix=matrix, offset=offset, lost=lost, relative=None)
        return changed._rounded(self.error * factor * _INFLATED)

    def _rounded(self, carried: Array) -> "Value":
        size = np.maximum(np.abs(self.low), np.abs(self.high)) + carried
        error = (carried + self.unit * size + _TINY[self.unit]) * _INFLATED
        return replace(self, error=error, relative=None, summed=0)._checked(size)

    def _checked(self, size: Array) -> "Value":
        if self.unit == SINGLE and size.size and not size.max() < _LARGEST_SINGLE:
            raise NotBounded("float32 overflows in the range")
        return self


def joined(values: Sequence[Value]) -> Value:
    """Side by side. Raises NotBounded when they start from different nonlinear functions."""
    first = values[0]
    if any(one.base is not first.base or one.unit != first.unit for one in values):
        raise NotBounded("columns that are joined come from different functions that are not affine")
    low, high, error, offset, lost = (
        np.concatenate([getattr(one, name) for one in values]) for name in ("low", "high", "error", "offset", "lost")
    )
    matrix = np.concatenate([_dense(one.matrix) for one in values], axis=1)
    return Value(low, high, error, first.unit, first.base, matrix, offset, lost)


def apart(first: Value, second: Value) -> Array:
    """How far the two computed values can be from each other, by element. Raises NotBounded when they have other forms."""
    return np.asarray((_exactly_apart(first, second) + first.error + second.error) * _INFLATED)


def ratio(first: Value, second: Value) -> float | None:
    """At most how far `first` is from `second`, as a share of `second`, when both are exp of something; else None."""
    one, two = first.relative, second.relative
    inner, other = first.base.inner, second.base.inner
    if one is None or two is None or two > 0.01 or inner is None or other is None:
        return None
    if {first.base.function, second.base.function} != {"exp"} or not (first.plain and second.plain):
        return None
    gap = float(_exactly_apart(inner, other).max())
    return float((np.expm1(gap) + one * np.exp(gap) + two) / (1 - two)) * _INFLATED


def _exactly_apart(first: Value, second: Value) -> Array:
    """How far what the two would be in exact arithmetic can be from each other."""
    if len(first.base.size) != len(second.base.size) or first.width != second.width:
        raise NotBounded("the graph's maps have another form than the fitted object's")
    gap = _bases_apart(first.base, second.base)
    one, two = first.matrix, second.matrix
    if one.ndim != two.ndim:
        one, two = _dense(one), _dense(two)
    offset = np.abs(first.offset - second.offset).astype(np.float64)
    found = _times(gap, np.abs(two)) + _times(first.base.size, np.abs(one - two)) + offset
    return np.asarray((found + first.lost + second.lost) * _INFLATED)


def _bases_apart(first: Base, second: Base) -> Array:
    if (first.function, first.limits) != (second.function, second.limits):
        raise NotBounded(f"the graph's maps have another form: {second.function} where the fitted object has {first.function}")
    if first.inner is None or second.inner is None:
        return np.zeros(len(first.size))
    gap = _exactly_apart(first.inner, second.inner)
    if first.linear is not None and second.linear is not None:
        sizes = np.maximum(first.inner.high, second.inner.high)
        return np.asarray((_exactly_apart(first.linear, second.linear) + (2 * sizes + gap) @ gap) * _INFLATED)
    if first.function == "exp":
        return np.asarray(np.maximum(first.size, second.size) * gap * _INFLATED)
    factor = _STEEPNESS[first.function]
    return np.full(len(gap), factor * gap.max()) if first.function in ("softmax", "shares") else factor * gap


def _dense(matrix: Array, chosen: Array | None = None) -> Array:
    """Some of its columns, or all of them."""
    places = np.arange(matrix.shape[-1]) if chosen is None else chosen
    if matrix.ndim == 2:
        return matrix[:, places]
    wide = np.zeros((len(matrix), len(places)), matrix.dtype)
    wide[places, np.arange(len(places))] = matrix[places]
    return wide


def _times(size: Array, matrix: Array) -> Array:
    """size @ matrix, all positive, in double."""
    narrow = matrix.astype(np.float64)
    return np.asarray(size * narrow if narrow.ndim == 1 else size @ narrow)
