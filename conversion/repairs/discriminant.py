"""QuadraticDiscriminantAnalysis in double: a Gaussian per class, each turned onto its own axes.

skl2onnx 1.20 answers one label for a whole batch.
"""

from typing import Any

import numpy as np
from onnx import TensorProto
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis

from conversion.repairs.posterior import best
from conversion.repairs.registration import register_classifier
from conversion.writer import Writer

NAME = "discriminant"
COVERED: tuple[type, ...] = (QuadraticDiscriminantAnalysis,)


def register() -> None:
    register_classifier(QuadraticDiscriminantAnalysis, _formula)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def _formula(write: Writer, model: Any, rows: str) -> tuple[str, str]:
    """QuadraticDiscriminantAnalysis._decision_function; classes with fewer axes are filled up with axes of nothing."""
    axes = [r * s ** (-0.5) for r, s in zip(model.rotations_, model.scalings_, strict=True)]
    widest = max(one.shape[1] for one in axes)
    turns = np.array([np.pad(one, ((0, 0), (0, widest - one.shape[1]))) for one in axes])
    wide = write.node("Unsqueeze", [rows, write.constant([0], TensorProto.INT64)])
    away = write.node("Sub", [wide, write.constant(model.means_[:, None, :])])
    turned = write.node("MatMul", [away, write.constant(turns)])
    squares = write.node("ReduceSumSquare", [turned, write.constant([2], TensorProto.INT64)], keepdims=0)
    norms = write.node("Transpose", [squares], perm=[1, 0])
    spread = np.array([np.sum(np.log(s)) for s in model.scalings_])
    half = write.node("Mul", [write.node("Add", [norms, write.constant(spread)]), write.constant(-0.5)])
    scores = write.node("Add", [half, write.constant(np.log(model.priors_))])
    return best(write, scores), write.node("Softmax", [scores], axis=1)
