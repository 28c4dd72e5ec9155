"""How well does the way of training do on families of airfoils it never saw?

Five folds, every family wholly inside one of them; each fold is trained from nothing on the other four. Göttingen, more than
half of all shapes, is one family, so its shapes are judged by a model that learned from the 254 others.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from sklearn.metrics import r2_score
from sklearn.model_selection import GroupKFold

from recommender.contour import Array
from training.encoder import TOLERANCE, Encoder, fit_shape
from training.labels import CASES, kulfan_design
from training.retrieval import Rows, draw_queries, ranks
from training.sources import Shapes

Report = dict[str, Any]
FOLDS = 5
DIMENSIONS = (4, 6, 8, 10, 12, 16, 18, 20, 24, 28, 32)


def folds(shapes: Shapes) -> Iterator[tuple[Rows, Rows]]:
    yield from GroupKFold(FOLDS).split(shapes.heights, groups=shapes.families)


def held_out(shapes: Shapes, labels: Array, train: Callable[[Shapes, Array], Encoder], say: Callable[[str], None]) -> Report:
    """Every shape judged by the encoder of the fold that did not see its family."""
    decoded, found = np.zeros_like(shapes.heights), np.zeros(0, dtype=np.intp)
    predicted, through = np.zeros_like(labels), np.zeros_like(labels)
    rows, queries = draw_queries(shapes.heights)
    for number, (seen, unseen) in enumerate(folds(shapes), start=1):
        say(f"fold {number} of {FOLDS}: training on {len(seen)} shapes, judging {len(unseen)} of families it never saw")
        encoder = train(shapes[seen], labels[seen])
        latents = encoder.encode(shapes.heights[unseen])
        decoded[unseen], through[unseen] = encoder.decode(latents), encoder.quantities(latents)
        predicted[unseen] = encoder.predict(shapes.heights[unseen])
        asked = np.isin(rows, unseen)
        found = np.concatenate([found, ranks(encoder, shapes.heights, rows[asked], queries[asked])])
    error = decoded - shapes.heights
    return {
        "reconstruction": shape_score(error),
        "performance": _score(labels, through),
        "performance_before_reduction": _score(labels, predicted),
        "retrieval": retrieval_score(found),
        "families": {name: shape_score(error[shapes.families == name]) for name in sorted(set(shapes.families.tolist()))},
    }


def shape_score(error: Array) -> dict[str, float]:
    rms, held = 100.0 * np.sqrt(np.mean(error**2, axis=1)), (np.abs(error) <= TOLERANCE).all(axis=1)
    return {"shapes": len(error), "in_tolerance": float(held.mean()), "mean_rms_percent_chord": float(rms.mean())}


def retrieval_score(found: Rows) -> dict[str, float]:
    return {"top1": float((found == 0).mean()), "top5": float((found < 5).mean())}


def _score(labels: Array, predicted: Array) -> dict[str, float]:
    r2 = r2_score(labels, predicted, multioutput="raw_values").reshape(3, len(CASES)).mean(axis=1)
    gap = np.abs(predicted - labels).mean(axis=0).reshape(3, len(CASES)).mean(axis=1)
    names = ("CL", "ln_CD", "CM")
    by_name = {f"r2_{name}": float(value) for name, value in zip(names, r2, strict=True)}
    by_name |= {f"mean_abs_{name}": float(value) for name, value in zip(names, gap, strict=True)}
    return {"r2": float(r2.mean())} | by_name


def reconstruction_by_dimension(shapes: Shapes) -> dict[str, dict[str, dict[str, float]]]:
    """Held-out error of the shape block at every dimension, next to a Kulfan (CST) fit with as many coefficients."""
    scores: dict[str, dict[str, dict[str, float]]] = {"encoder": {}, "cst": {}}
    for dimension in DIMENSIONS:
        decoded = np.zeros_like(shapes.heights)
        for seen, unseen in folds(shapes):
            pca = fit_shape(shapes.heights[seen], dimension)
            decoded[unseen] = pca.inverse_transform(pca.transform(shapes.heights[unseen]))
        design = kulfan_design((dimension - 2) // 2)
        fitted = shapes.heights @ np.linalg.pinv(design).T @ design.T
        scores["encoder"][str(dimension)] = shape_score(decoded - shapes.heights)
        scores["cst"][str(dimension)] = shape_score(fitted - shapes.heights)
    return scores
