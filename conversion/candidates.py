"""In which ways can a fitted object be written as a graph? The search tries them in this order."""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Candidate:
    """`real` is the precision of every number in the graph, its inputs included."""

    name: str
    real: np.dtype[Any]


CANDIDATES = (Candidate("float32", np.dtype(np.float32)), Candidate("float64", np.dtype(np.float64)))
