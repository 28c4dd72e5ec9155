"""TfidfTransformer in double, by its own rules for what is zero.

skl2onnx 1.20 takes log(1 + x) where scikit-learn takes 1 + log(x) of what is not zero, and divides empty rows by zero.
"""

from typing import Any

import numpy as np
from onnx import TensorProto
from sklearn.feature_extraction.text import TfidfTransformer

from conversion.repairs.normaliser import unit
from conversion.repairs.registration import register_numbers
from conversion.writer import Writer

NAME = "term_weights"
COVERED: tuple[type, ...] = (TfidfTransformer,)


def register() -> None:
    register_numbers(TfidfTransformer, _columns, _formula)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def _columns(model: Any) -> int:
    return int(model.n_features_in_) if isinstance(model, TfidfTransformer) else len(model.vocabulary_)


def _formula(write: Writer, model: Any, rows: str) -> str:
    value = weighted(write, model, rows)
    # skl2onnx hands a TfidfVectorizer on to this converter, and declares what comes out of it as float32.
    return value if isinstance(model, TfidfTransformer) else write.node("Cast", [value], to=TensorProto.FLOAT)


def weighted(write: Writer, model: Any, counts: str) -> str:
    """TfidfTransformer.transform of a TfidfTransformer, or of the one in a TfidfVectorizer. (n, terms), in double."""
    inner, value = getattr(model, "_tfidf", model), counts
    if inner.sublinear_tf:
        none = write.node("Equal", [value, write.constant(0.0)])
        log = write.node("Log", [write.node("Where", [none, write.constant(1.0), value])])
        grown = write.node("Add", [log, write.constant(1.0)])
        value = write.node("Where", [none, write.constant(0.0), grown])
    if hasattr(inner, "idf_"):
        value = write.node("Mul", [value, write.constant(np.asarray(inner.idf_))])
    return value if inner.norm is None else unit(write, value, inner.norm, shortest=np.nextafter(0.0, 1.0))
