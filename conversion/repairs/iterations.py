"""Transformers that solve a problem of their own for every row, and the one of them that is a formula.

What iterates until it has converged cannot be mirrored: where it stops hangs on the last digits, and for NMF on the other
rows of the batch. Refused by name, since skl2onnx 1.20 only says that it knows no shape.
"""

from typing import Any

import numpy as np
from sklearn.decomposition import (
    NMF,
    DictionaryLearning,
    LatentDirichletAllocation,
    MiniBatchDictionaryLearning,
    MiniBatchNMF,
    SparseCoder,
)
from sklearn.manifold import LocallyLinearEmbedding

from conversion.errors import NotCovered
from conversion.repairs.registration import Numbers, register_numbers
from conversion.writer import Writer

NAME = "iterations"
_CODED: tuple[type, ...] = (DictionaryLearning, MiniBatchDictionaryLearning, SparseCoder)
_REASONS: dict[type, str] = {
    NMF: "its transform iterates until the whole batch has converged; PCA and TruncatedSVD are covered",
    MiniBatchNMF: "its transform iterates until the whole batch has converged; PCA and TruncatedSVD are covered",
    LatentDirichletAllocation: "its transform iterates until each row has converged; PCA and TruncatedSVD are covered",
    LocallyLinearEmbedding: "its transform solves equations for every row, and ONNX has no solver; Isomap is covered",
}
COVERED: tuple[type, ...] = (*_CODED, *_REASONS)


def register() -> None:
    for kind, reason in _REASONS.items():
        register_numbers(kind, lambda _: 1, _refused(kind, reason))
    for kind in _CODED:
        register_numbers(kind, _width, _coded)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def _refused(kind: type, reason: str) -> Numbers:
    def formula(write: Writer, model: Any, rows: str) -> str:
        raise NotCovered(f"{kind.__name__} cannot be mirrored: {reason}")

    return formula


def _dictionary(model: Any) -> Any:
    return np.asarray(model.dictionary if isinstance(model, SparseCoder) else model.components_, np.float64)


def _width(model: Any) -> int:
    return len(_dictionary(model)) * (2 if model.split_sign else 1)


def _coded(write: Writer, model: Any, rows: str) -> str:
    """_BaseSparseCoding._transform with the algorithm "threshold"."""
    if model.transform_algorithm != "threshold":
        raise NotCovered(
            f"{type(model).__name__} with transform_algorithm={model.transform_algorithm!r} cannot be mirrored: its transform "
            "iterates for every row, and where a step leads hangs on the last digits; 'threshold' is a formula and is covered"
        )
    least = model.transform_alpha if model.transform_alpha is not None else getattr(model, "alpha", None)
    products = write.node("MatMul", [rows, write.constant(_dictionary(model).T)])
    beyond = write.node("Sub", [write.node("Abs", [products]), write.constant(1.0 if least is None else float(least))])
    size = write.node("Max", [beyond, write.constant(0.0)])
    code = write.node("Mul", [write.node("Sign", [products]), size])
    if model.positive_code:
        code = write.node("Max", [code, write.constant(0.0)])
    if not model.split_sign:
        return code
    sides = [write.node("Max", [side, write.constant(0.0)]) for side in (code, write.node("Neg", [code]))]
    return write.node("Concat", sides, axis=1)
