"""Sections of a formula, and ways of writing them down."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def naca(camber: float, at: float, thickness: float, points: int = 80) -> Array:
    """NACA four-digit section, closed trailing edge, Selig order. Source: NACA Report 460 (1933)."""
    x = (1 - np.cos(np.linspace(0, np.pi, points))) / 2
    half = 5 * thickness * (0.2969 * np.sqrt(x) - 0.126 * x - 0.3516 * x**2 + 0.2843 * x**3 - 0.1036 * x**4)
    front = x < at
    shape = np.where(front, 2 * at * x - x**2, 1 - 2 * at + 2 * at * x - x**2)
    line = camber * shape / np.where(front, at**2, (1 - at) ** 2)
    slope = np.arctan(2 * camber * (at - x) / np.where(front, at**2, (1 - at) ** 2))
    upper = np.column_stack([x - half * np.sin(slope), line + half * np.cos(slope)])
    lower = np.column_stack([x + half * np.sin(slope), line - half * np.cos(slope)])
    return np.concatenate([upper[::-1], lower[1:]])


def text_of(points: Array) -> str:
    return "\n".join(f"{x:.6f} {y:.6f}" for x, y in points)


NACA0012, NACA4412 = naca(0.0, 0.4, 0.12), naca(0.04, 0.4, 0.12)
