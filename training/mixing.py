"""Which shapes lie between and around the real ones, so that the performance head sees more than a few hundred?"""

import numpy as np

from recommender.contour import SIDE, Array
from training.labels import label

COUNT = 36_000
JITTER = 0.75
CONFIDENCE_MIN = 0.3


def mix(heights: Array, seed: int, count: int = COUNT) -> tuple[Array, Array]:
    """Pairs of the given shapes blended, jittered, camber and thickness stretched -> heights (m, 130), labels (m, 45).

    A mix thinner than 2 % chord, crossing itself, or unknown to NeuralFoil is dropped.
    """
    rng = np.random.default_rng(seed)
    first, second = rng.integers(len(heights), size=(2, count))
    share = rng.uniform(-0.2, 1.2, size=(count, 1))
    blend = heights[first] * (1 - share) + heights[second] * share
    # Noise with the covariance of the shapes themselves: it moves along what airfoils differ in, never into saw teeth.
    deviation = (heights - heights.mean(axis=0)) * (JITTER / np.sqrt(len(heights)))
    blend += rng.standard_normal((count, len(heights))) @ deviation
    camber = (blend[:, :SIDE] + blend[:, SIDE:]) / 2 * rng.uniform(0.5, 1.3, size=(count, 1))
    half = (blend[:, :SIDE] - blend[:, SIDE:]) / 2 * rng.uniform(0.7, 1.3, size=(count, 1))
    possible = (half.min(axis=1) > -1e-4) & (half.max(axis=1) > 0.01)
    mixed = np.concatenate([camber + half, camber - half], axis=1)[possible]
    quantities, confidence = label(mixed)
    known = confidence > CONFIDENCE_MIN
    return mixed[known], quantities[known]
