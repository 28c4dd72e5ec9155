"""A search over parameters answers as the best estimator that it found, a frozen estimator as the one that it holds.

skl2onnx 1.20 knows GridSearchCV alone, and hands its options on only in part.
"""

from typing import Any

from skl2onnx._parse import _parse_sklearn, update_registered_parser
from sklearn.experimental import enable_halving_search_cv as _enabled
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, HalvingRandomSearchCV, RandomizedSearchCV

from conversion.steps import unwrap

__all__ = ["COVERED", "NAME", "_enabled", "applies", "register"]
NAME = "searched"
COVERED: tuple[type, ...] = (GridSearchCV, RandomizedSearchCV, HalvingGridSearchCV, HalvingRandomSearchCV, FrozenEstimator)


def register() -> None:
    for model in COVERED:
        update_registered_parser(model, _parse)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def _parse(scope: Any, model: Any, inputs: Any, custom_parsers: Any = None) -> Any:
    return _parse_sklearn(scope, unwrap(model), inputs, custom_parsers)
