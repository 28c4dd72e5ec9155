"""Is a careless drawing of a part recognised as that part?

Forty noisy points, turned, scaled, shifted, half of them clockwise, go through the same reader a customer's file does.
"""

from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from recommender.contour import Array, ContourRefused, normalise, outline
from training.encoder import SHAPE, Encoder

Rows = NDArray[np.intp]
QUERIES, POINTS = 1000, 40
NOISE, ROTATION_DEG, SCALES = 0.001, 8.0, (0.1, 300.0)


def draw_queries(heights: Array, seed: int = 0) -> tuple[Rows, Array]:
    """Catalogue rows (1000,), and what the reader makes of a drawing of each (1000, 130): NaN where it refused."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(len(heights), size=QUERIES)
    queries = np.full((QUERIES, heights.shape[1]), np.nan)
    for query, row in zip(queries, rows, strict=True):
        with suppress(ContourRefused):
            query[:] = normalise(distort(heights[row], rng)).heights
    return rows, queries


def distort(heights: Array, rng: np.random.Generator) -> Array:
    drawn = outline(heights)
    at, index = np.linspace(0, len(drawn) - 1, POINTS), np.arange(len(drawn))
    points = np.column_stack([np.interp(at, index, column) for column in drawn.T])
    points += rng.normal(scale=NOISE, size=points.shape)
    angle = np.radians(rng.uniform(-ROTATION_DEG, ROTATION_DEG))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    points = np.asarray((points @ turn + rng.normal(size=2)) * np.exp(rng.uniform(*np.log(SCALES))), dtype=np.float64)
    return points[::-1] if rng.random() < 0.5 else points


def ranks(encoder: Encoder, heights: Array, rows: Rows, queries: Array) -> Rows:
    """For every query, how many catalogue shapes lie nearer than the right one: all of them where the reader refused."""
    known, asked = (encoder.encode(shapes)[:, :SHAPE] for shapes in (heights, np.nan_to_num(queries)))
    distance = ((asked[:, None] - known) ** 2).sum(axis=2)
    nearer = (distance < distance[np.arange(len(rows)), rows, None]).sum(axis=1)
    return np.where(np.isnan(queries[:, 0]), len(heights), nearer)
