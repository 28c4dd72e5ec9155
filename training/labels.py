"""How does each shape behave in the air, as NeuralFoil "large" predicts it?

The shape travels as Kulfan coefficients; fitting them to fixed stations is one matrix product, as in the package's own
least squares: 18 coefficients, or 17 where the fitted trailing edge would be thinner than nothing.
"""

import math

import neuralfoil
import numpy as np
from numpy.typing import NDArray

from recommender.contour import STATIONS, Array

Floats = NDArray[np.floating]
SIZE = "large"
N_CRIT = 9.0
# Shapes labelled at once; the package holds some 200 float64 numbers a case, so all at once would take gigabytes.
BLOCK = 500
CASES = tuple((alpha, reynolds) for reynolds in (1e5, 5e5, 3e6) for alpha in (-4.0, 0.0, 4.0, 8.0, 12.0))
# The package's answers that we keep, and our names for them; it gives drag itself, we its logarithm.
THEIRS = ("CL", "CD", "CM", "analysis_confidence", "Top_Xtr", "Bot_Xtr")
OUTPUTS = ("CL", "ln_CD", "CM", "confidence", "top_transition", "bottom_transition")


def kulfan_design(weights: int = 8) -> Array:
    """(130, 2 weights + 2): heights from upper and lower weights, the leading-edge weight and the trailing-edge thickness.

    Source: Kulfan, "Universal parametric geometry representation method", J. Aircraft 45(1), 2008.
    """
    x, order = STATIONS, weights - 1
    side = np.stack([math.comb(order, k) * x ** (k + 0.5) * (1 - x) ** (weights - k) for k in range(weights)], axis=1)
    nose, tail = x * (1 - x) ** (weights + 0.5), x / 2
    none = np.zeros_like(side)
    upper = np.column_stack([side, none, nose, tail])
    lower = np.column_stack([none, side, nose, -tail])
    return np.concatenate([upper, lower])


def kulfan_fit() -> tuple[Array, Array]:
    """Heights @ matrix -> 18 coefficients: free, and with the trailing edge held sharp. Each (130, 18)."""
    design = kulfan_design()
    # The package fits each point of the outline once; our two rows for the nose are both zero and change nothing.
    free: Array = np.asarray(np.linalg.pinv(design).T, dtype=np.float64)
    sharp: Array = np.zeros_like(free)
    sharp[:, :17] = np.linalg.pinv(design[:, :17]).T
    return free, sharp


def kulfan(heights: Array) -> Array:
    """(n, 130) heights -> (n, 18) coefficients."""
    free, sharp = kulfan_fit()
    fitted = heights @ free
    return np.where(fitted[:, 17:] < 0.0, heights @ sharp, fitted)


def predict(contour: Floats, alpha: Floats, reynolds: Floats, n_crit: Floats) -> dict[str, Array]:
    """The package's own answer in float64, one case a row, under the keys of OUTPUTS."""
    k = kulfan(contour.astype(np.float64))
    alpha, reynolds, n_crit = (values.astype(np.float64) for values in (alpha, reynolds, n_crit))
    shape = {
        "upper_weights": k[:, :8].T,
        "lower_weights": k[:, 8:16].T,
        "leading_edge_weight": k[:, 16],
        "TE_thickness": k[:, 17],
    }
    answer = neuralfoil.get_aero_from_kulfan_parameters(shape, alpha, reynolds, n_crit, model_size=SIZE)
    values = {name: answer[theirs] for name, theirs in zip(OUTPUTS, THEIRS, strict=True)}
    return values | {"ln_CD": np.log(values["ln_CD"])}


def label(heights: Array) -> tuple[Array, Array]:
    """(n, 130) heights -> (n, 45): CL, ln CD, CM at the 15 CASES each; and (n,) the median confidence over the cases."""
    blocks = [_label(heights[start : start + BLOCK]) for start in range(0, len(heights), BLOCK)]
    return np.concatenate([quantities for quantities, _ in blocks]), np.concatenate([confidence for _, confidence in blocks])


def _label(heights: Array) -> tuple[Array, Array]:
    n, cases = len(heights), len(CASES)
    alpha, reynolds = np.tile(np.array(CASES).T, n)
    answer = predict(np.repeat(heights, cases, axis=0), alpha, reynolds, np.full(n * cases, N_CRIT))
    quantities = np.concatenate([answer[name].reshape(n, cases) for name in ("CL", "ln_CD", "CM")], axis=1)
    return quantities, np.median(answer["confidence"].reshape(n, cases), axis=1)
