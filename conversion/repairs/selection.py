"""RFE, RFECV and SequentialFeatureSelector are the columns that they chose, wherever they stand.

skl2onnx 1.20 answers `transform` under whatever method was asked, fails where one stands in a pipeline before a classifier,
and has no converter for the last.
"""

from typing import Any

from onnx import TensorProto
from sklearn.feature_selection import RFE, RFECV, SequentialFeatureSelector

from conversion.repairs.registration import register_numbers
from conversion.writer import Writer

NAME = "selection"
COVERED: tuple[type, ...] = (RFE, RFECV, SequentialFeatureSelector)


def register() -> None:
    for kind in COVERED:
        register_numbers(kind, lambda model: int(model.get_support().sum()), _chosen)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def _chosen(write: Writer, model: Any, rows: str) -> str:
    """SelectorMixin.transform"""
    return write.node("Gather", [rows, write.constant(model.get_support(indices=True), TensorProto.INT64)], axis=1)
