"""EllipticEnvelope has no converter in skl2onnx 1.20; it is a Mahalanobis distance and a threshold.

Mirrors EmpiricalCovariance.mahalanobis and EllipticEnvelope.predict.
"""

from typing import Any

from onnx import TensorProto
from sklearn.covariance import EllipticEnvelope

from conversion.repairs.registration import register_labels
from conversion.writer import Writer

NAME = "covariance"
COVERED: tuple[type, ...] = (EllipticEnvelope,)


def register() -> None:
    register_labels(EllipticEnvelope, lambda _: 1, _formula)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def _formula(write: Writer, model: Any, rows: str) -> tuple[str, str]:
    away = write.node("Sub", [rows, write.constant(model.location_)])
    turned = write.node("MatMul", [away, write.constant(model.get_precision())])
    axis = write.constant([1], TensorProto.INT64)
    distance = write.node("ReduceSum", [write.node("Mul", [turned, away]), axis], keepdims=1)
    score = write.node("Sub", [write.node("Neg", [distance]), write.constant(model.offset_)])
    inside = write.node("GreaterOrEqual", [score, write.constant(0.0)])
    sides = [write.constant(side, TensorProto.INT64) for side in (1, -1)]
    return write.node("Squeeze", [write.node("Where", [inside, *sides]), axis]), score
