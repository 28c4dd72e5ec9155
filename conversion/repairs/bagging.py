"""Bagging and AdaBoost are written from their members, in double; RandomTreesEmbedding answers all its columns, with zeros.

skl2onnx 1.20 writes the first two in float32, takes a hard vote by the largest score, and refuses the third with the default
`sparse_output=True`.
"""

from typing import Any

from skl2onnx._parse import update_registered_parser
from sklearn.ensemble import AdaBoostClassifier, AdaBoostRegressor, BaggingClassifier, BaggingRegressor, RandomTreesEmbedding

from conversion.repairs.registration import one_output
from conversion.trees import forests

NAME = "bagging"
COVERED: tuple[type, ...] = (
    AdaBoostClassifier, AdaBoostRegressor, BaggingClassifier, BaggingRegressor, RandomTreesEmbedding,
)  # fmt: skip


def register() -> None:
    for kind in COVERED:
        forests.register(kind)
    update_registered_parser(RandomTreesEmbedding, one_output)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)
