"""LabelPropagation and LabelSpreading with a Gaussian kernel: shares of the training rows' labels, weighted by nearness.

Neither has a converter in skl2onnx 1.20. With the kernel "knn" they stay refused: which of two equally near rows
scikit-learn takes depends on the layout of its tree.
"""

from typing import Any

import numpy as np
from onnx import TensorProto
from sklearn.semi_supervised import LabelPropagation, LabelSpreading

from conversion.errors import NotCovered
from conversion.repairs.kernels import kernel
from conversion.repairs.registration import register_classifier
from conversion.writer import Writer

NAME = "propagation"
COVERED: tuple[type, ...] = (LabelPropagation, LabelSpreading)


def register() -> None:
    for kind in COVERED:
        register_classifier(kind, _formula)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def _formula(write: Writer, model: Any, rows: str) -> tuple[str, str]:
    """BaseLabelPropagation.predict_proba; far from every training row it is NaN, and the label the first."""
    if model.kernel != "rbf" or not isinstance(model.X_, np.ndarray):
        raise NotCovered(f"{type(model).__name__} with the kernel {model.kernel!r}, or fitted on sparse rows")
    near = kernel(write, "rbf", rows, np.asarray(model.X_, np.float64), {"gamma": model.gamma})
    weights = write.node("MatMul", [near, write.constant(model.label_distributions_)])
    total = write.node("ReduceSum", [weights, write.constant([1], TensorProto.INT64)], keepdims=1)
    shares = write.node("Div", [weights, total])
    return write.node("ArgMax", [shares], axis=1, keepdims=0), shares
