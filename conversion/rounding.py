"""How far can a chain of affine maps and relus, computed in floating point, be from the same chain in exact arithmetic?

A running error analysis over an interval of inputs: sound for any order of summation, with or without fused multiply-add.
Source: Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., sections 2.2, 3.1 and 3.3.
"""

from dataclasses import dataclass, field

import numpy as np

from serving.signature import Array

SINGLE, DOUBLE = 2.0**-24, 2.0**-53
# The smallest positive numbers, for results that underflow.
_TINY = {SINGLE: 2.0**-149, DOUBLE: 2.0**-1074}
# The bound's own arithmetic is in double; this is more than it can lose.
_INFLATED = 1.0 + 1e-9


@dataclass
class Chain:
    """The exact value of a chain lies in [low, high]; the computed one is at most `error` from it, element by element.

    Since the last relu the exact value is `base @ matrix + offset`; `stages` holds that map at each relu, with the largest
    magnitude of its base. Two chains with as many relus compute nearly the same function when their maps are near.
    """

    low: Array
    high: Array
    error: Array
    matrix: Array
    offset: Array
    base: Array
    stages: list[tuple[Array, Array, Array]] = field(default_factory=list)

    @classmethod
    def over(cls, low: Array, high: Array) -> "Chain":
        width = len(low)
        zero = np.zeros(width, np.longdouble)
        return cls(low, high, np.zeros(width), np.eye(width, dtype=np.longdouble), zero, np.maximum(np.abs(low), np.abs(high)))

    @property
    def size(self) -> Array:
        return np.asarray(np.maximum(np.abs(self.low), np.abs(self.high)) + self.error)

    def shift(self, by: Array, unit: float, slack: Array | float = 0.0) -> None:
        """+ by; `slack` is how far the constant itself may be from the exact one."""
        self.low, self.high, self.offset = self.low + by, self.high + by, self.offset + by
        self._rounded(self.error + slack, unit)

    def scale(self, by: Array, unit: float) -> None:
        """* by, or / (1 / by): one rounding either way."""
        ends = self.low * by, self.high * by
        self.low, self.high = np.minimum(*ends), np.maximum(*ends)
        self.matrix, self.offset = self.matrix * by, self.offset * by
        self._rounded(self.error * np.abs(by), unit)

    def divide(self, by: Array, unit: float) -> None:
        ends = self.low / by, self.high / by
        self.low, self.high = np.minimum(*ends), np.maximum(*ends)
        self.matrix, self.offset = self.matrix / by, self.offset / by
        self._rounded(self.error / np.abs(by), unit)

    def product(self, weights: Array, bias: Array, unit: float) -> None:
        """@ weights + bias, its n products and additions in any order."""
        size, n = self.size, len(weights) + 1
        middle, radius = (self.low + self.high) / 2, (self.high - self.low) / 2
        magnitude = np.abs(weights)
        gamma = n * unit / (1 - n * unit)
        error = self.error @ magnitude + gamma * (size @ magnitude + np.abs(bias)) + n * _TINY[unit]
        centre, spread = middle @ weights + bias, radius @ magnitude
        loss = n * DOUBLE * 2 * (np.abs(middle) @ magnitude + np.abs(bias) + spread)
        self.low, self.high, self.error = centre - spread - loss, centre + spread + loss, error * _INFLATED
        self.matrix, self.offset = self.matrix @ weights, self.offset @ weights + bias

    def cast(self, unit: float) -> None:
        self._rounded(self.error, unit)

    def relu(self) -> None:
        """Exact, and brings no two values further apart; the next map starts from here."""
        self._close()
        self.low, self.high = np.maximum(self.low, 0.0), np.maximum(self.high, 0.0)
        width = len(self.low)
        self.matrix, self.offset = np.eye(width, dtype=np.longdouble), np.zeros(width, np.longdouble)
        self.base = np.maximum(np.abs(self.low), np.abs(self.high))

    def closed(self) -> list[tuple[Array, Array, Array]]:
        """Every stage, the last one included."""
        return [*self.stages, (self.matrix, self.offset, self.base)]

    def _close(self) -> None:
        self.stages.append((self.matrix, self.offset, self.base))

    def _rounded(self, carried: Array, unit: float) -> None:
        size = np.maximum(np.abs(self.low), np.abs(self.high)) + carried
        self.error = (carried + unit * size + _TINY[unit]) * _INFLATED


def apart(first: Chain, second: Chain) -> Array | None:
    """How far the two computed results can be from each other, element by element; None when the chains have other forms."""
    one, two = first.closed(), second.closed()
    if len(one) != len(two) or any(a[0].shape != b[0].shape for a, b in zip(one, two, strict=True)):
        return None
    gap = np.zeros(len(one[0][0]))
    for (matrix, offset, base), (other_matrix, other_offset, _) in zip(one, two, strict=True):
        change = np.abs(matrix - other_matrix).astype(np.float64)
        gap = gap @ np.abs(other_matrix).astype(np.float64) + base @ change + np.abs(offset - other_offset).astype(np.float64)
        # Folding the maps in extended precision loses this much, twice.
        fold = 2 * len(base) * 8 * float(np.finfo(np.longdouble).eps)
        gap = (gap + fold * (base @ np.abs(matrix).astype(np.float64) + np.abs(offset).astype(np.float64))) * _INFLATED
    return np.asarray(gap + first.error + second.error)
