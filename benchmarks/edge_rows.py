"""Which rows stand where arithmetic or a comparison is decided by the last digit?

Made from the training data, and from where scikit-learn's own answer changes. Knows nothing of the conversion room.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Answer = Callable[[Any], Any]
SOME, PAIRS, HALVINGS = 150, 32, 60
_SMALLEST = (0.0, -0.0, 5e-324, -5e-324, 1e-310, -2.2e-308, 1.4e-45, -1e-40, 1.2e-38, 1e-20)
_SIZES = (1e5, 1e6, 1e7, 1e9, 1e12, 3e38)


def edge_rows(X: Any, answer: Answer, rng: Any) -> Iterator[tuple[str, Any]]:
    """(kind, rows). `X`: training rows without gaps; `answer`: scikit-learn's first answer to some rows."""
    picked = X[rng.integers(0, len(X), SOME)]
    yield "denormals and signed zeros", _replaced(picked, rng, np.array(_SMALLEST))
    for size in _SIZES:
        yield f"magnitude {size:.0e}", _large(picked[:40], rng, size)
    yield "whole-number grid", _grid(X, rng)
    yield "small whole numbers", rng.integers(-4, 9, picked.shape).astype(float)
    yield "training rows again", np.concatenate([X[:5], X[:5], -X[:3], X[:60] * 1.0])
    yield "training values and one unit beside", _beside(picked, rng)
    yield "double midpoints", _midpoints(X, rng)
    yield "equally far", _equally_far(X, rng)
    yield "codes unknown", _replaced(picked, rng, np.array([-1.0, 0.5, 1.5, 2.0000001, 7.0, 99.0, 1e9, -1e9]))
    changes = _boundaries(X, answer, rng)
    if len(changes):
        yield "where the answer changes", changes


def _replaced(rows: Any, rng: Any, values: Any) -> Any:
    """Some numbers of each row, and all of the first rows, are one of these."""
    rows = rows.copy()
    chosen = rng.random(rows.shape) < 0.4
    rows[chosen] = rng.choice(values, int(chosen.sum()))
    rows[: len(values)] = values[: len(rows), None]
    return rows


def _large(rows: Any, rng: Any, size: float) -> Any:
    """One column, or every one, is that large."""
    rows = rows.copy()
    half = len(rows) // 2
    rows[np.arange(half), rng.integers(0, rows.shape[1], half)] = size * rng.choice([-1.0, 1.0], half)
    rows[half:] = size * rng.uniform(-1, 1, rows[half:].shape)
    return rows


def _grid(X: Any, rng: Any) -> Any:
    low, high = np.floor(X.min(axis=0)) - 2, np.ceil(X.max(axis=0)) + 2
    return np.round(rng.uniform(low, high, (200, X.shape[1])))


def _beside(rows: Any, rng: Any) -> Any:
    steps = rng.integers(-1, 2, rows.shape)
    return np.where(steps == 0, rows, np.nextafter(rows, np.where(steps > 0, np.inf, -np.inf)))


def _midpoints(X: Any, rng: Any) -> Any:
    """One column in the middle of two training values, computed in double, and one unit beside it."""
    rows = X[rng.integers(0, len(X), 3 * SOME)].copy()
    for i in range(0, len(rows), 3):
        column = int(rng.integers(X.shape[1]))
        values = np.unique(X[:, column])
        at = int(rng.integers(max(len(values) - 1, 1)))
        middle = (values[at] + values[min(at + 1, len(values) - 1)]) / 2
        rows[i : i + 3, column] = [np.nextafter(middle, -np.inf), middle, np.nextafter(middle, np.inf)]
    return rows


def _equally_far(X: Any, rng: Any) -> Any:
    """In the middle between a row and one of its nearest, and mirrored at one of its numbers."""
    first = X[rng.integers(0, len(X), SOME)]
    far = np.abs(first[:, None] - X[None]).sum(axis=2)
    near = X[np.argsort(far, axis=1)[np.arange(SOME), rng.integers(1, min(4, len(X)), SOME)]]
    mirrored = (first + near) / 2
    column = int(rng.integers(X.shape[1]))
    mirrored[::3, column] = first[::3, column]
    return mirrored


def _boundaries(X: Any, answer: Answer, rng: Any) -> Any:
    """Neighbouring doubles between which scikit-learn's answer changes."""
    low, high = X[rng.integers(0, len(X), (2, 12 * PAIRS))]
    apart = np.flatnonzero(~_same(answer(low), answer(high)))[:PAIRS]
    if not len(apart):
        return low[:0]
    low, high = low[apart], high[apart]
    known = answer(low)
    for _ in range(HALVINGS):
        middle = low / 2 + high / 2
        as_low = _same(answer(middle), known)[:, None]
        low, high = np.where(as_low, middle, low), np.where(as_low, high, middle)
    return np.concatenate([low, high])


def _same(first: Any, second: Any) -> Any:
    return (first == second).reshape(len(first), -1).all(axis=1)
