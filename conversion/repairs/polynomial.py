"""PolynomialFeatures in double, every product taken in scikit-learn's own order.

skl2onnx 1.20 writes a column of float32 ones beside double products, which onnxruntime refuses at load.
"""

from itertools import combinations, combinations_with_replacement
from typing import Any

import numpy as np
from onnx import TensorProto
from sklearn.preprocessing import PolynomialFeatures

from conversion.repairs.dummy import repeated
from conversion.repairs.registration import register_numbers
from conversion.writer import Writer

NAME = "polynomial"
COVERED: tuple[type, ...] = (PolynomialFeatures,)


def register() -> None:
    register_numbers(PolynomialFeatures, lambda model: int(model.n_output_features_), _formula)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def _formula(write: Writer, model: Any, rows: str) -> str:
    """PolynomialFeatures.transform: a product of degree d is one of degree d - 1 times the feature that comes first in it."""
    features = range(model.n_features_in_)
    chosen = combinations if model.interaction_only else combinations_with_replacement
    parts = [repeated(write, np.ones((1, 1)), rows)] if model.include_bias else []
    products = rows
    place: dict[tuple[int, ...], int] = {(one,): one for one in features}
    for degree in range(1, model._max_degree + 1):
        terms = list(chosen(features, degree))
        if not terms:
            break
        if degree > 1:
            first = write.node("Gather", [rows, _indices(write, [term[0] for term in terms])], axis=1)
            rest = write.node("Gather", [products, _indices(write, [place[term[1:]] for term in terms])], axis=1)
            products = write.node("Mul", [rest, first])
            place = {term: i for i, term in enumerate(terms)}
        if degree >= model._min_degree:
            parts.append(products)
    return write.node("Concat", parts, axis=1)


def _indices(write: Writer, values: list[int]) -> str:
    return write.constant(values, TensorProto.INT64)
