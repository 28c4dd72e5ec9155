"""Is a written ensemble proved, and are its answers scikit-learn's to the last bits, on rows that sit on its edges?"""

import warnings
from typing import Any

import numpy as np
import onnx

from conversion.candidates import candidates_for
from conversion.methods import methods_of
from conversion.schema import schema_of
from conversion.translate import translate
from conversion.trees.proof import Proof, prove
from serving.runtime import open_session
from serving.signature import Array


def written(model: Any) -> onnx.ModelProto:
    """The first candidate's graph."""
    return translate(model, schema_of(model), methods_of(model), candidates_for(model)[0]).graph


def edges(seen: Array, seed: int = 0) -> Array:
    """The rows seen, points halfway between them and one step beside those, whole numbers, zeros, tiny and huge numbers."""
    rng = np.random.default_rng(seed)
    other = seen[rng.permutation(len(seen))]
    mixed = np.where(rng.random(seen.shape) < 0.5, seen, (seen + other) / 2)
    single = mixed.astype(np.float32)
    beside = [np.nextafter(single, np.float32(side) * np.float32(np.inf)).astype(np.float64) for side in (-1, 1)]
    whole = rng.integers(-3, 9, seen.shape).astype(np.float64)
    odd = rng.choice([0.0, -0.0, 5e-324, -1e-40, 1e-3, 0.5, 1e6, -1e30], seen.shape)
    return np.concatenate([seen, mixed, *beside, whole, whole / 2, odd])


def agrees(model: Any, seen: Array, loose: float = 1e-14) -> Proof:
    """Labels are equal on every row, numbers to `loose` of the largest."""
    graph = written(model)
    proof = prove(graph, model)
    answers_alike(graph, model, edges(seen), loose)
    return proof


def answers_alike(graph: onnx.ModelProto, model: Any, rows: Array, loose: float) -> None:
    session = open_session(graph.SerializeToString())
    real = np.float32 if session.get_inputs()[0].type == "tensor(float)" else np.float64
    rows = rows.astype(real).astype(np.float64)
    for size in (len(rows), 1, 2, 3):
        part = rows[:size]
        for name, given in zip(methods_of(model), session.run(None, {"X": part.astype(real)}), strict=True):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                wanted = getattr(model, name)(part)
            wanted = np.asarray(wanted.toarray() if hasattr(wanted, "toarray") else wanted)
            given = given.reshape(wanted.shape) if wanted.ndim == 1 else given
            assert given.shape == wanted.shape
            if name == "predict" and wanted.dtype.kind != "f":
                wrong = int((given != wanted).sum())
                assert not wrong, f"{wrong} labels differ"
            else:
                assert np.abs(given - wanted).max() <= loose * max(1.0, float(np.abs(wanted).max()))
