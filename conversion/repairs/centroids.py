"""NearestCentroid, Birch, BisectingKMeans, MeanShift and AffinityPropagation answer the nearest of some points.

None has a converter in skl2onnx 1.20. Distances are reckoned in double by scikit-learn's own expansion.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from onnx import TensorProto
from sklearn.cluster import AffinityPropagation, Birch, BisectingKMeans, MeanShift
from sklearn.neighbors import NearestCentroid

from conversion.errors import NotCovered
from conversion.repairs.distances import manhattan, nearest, nearness, squared
from conversion.repairs.registration import register_classifier, register_labels
from conversion.writer import Writer
from serving.signature import Array

NAME = "centroids"
COVERED: tuple[type, ...] = (NearestCentroid, Birch, BisectingKMeans, MeanShift, AffinityPropagation)


def register() -> None:
    register_classifier(NearestCentroid, _centroid)
    register_labels(Birch, lambda model: len(model.subcluster_centers_), _subclusters)
    register_labels(BisectingKMeans, lambda model: len(model.cluster_centers_), _bisected)
    register_labels(MeanShift, lambda model: len(model.cluster_centers_), _centres)
    register_labels(AffinityPropagation, lambda model: len(model.cluster_centers_), _centres)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def _centroid(write: Writer, model: Any, rows: str) -> tuple[str, str]:
    """NearestCentroid.predict and ._decision_function: features without spread are not scaled."""
    if model.metric not in ("euclidean", "manhattan"):
        raise NotCovered(f"NearestCentroid with the metric {model.metric!r}")
    points = np.asarray(model.centroids_, np.float64)
    spread = np.where(model.within_class_std_dev_ == 0, 1.0, model.within_class_std_dev_)
    scaled = write.node("Div", [rows, write.constant(spread)])
    if model.metric == "euclidean":
        distance = squared(write, scaled, points / spread)
    else:
        apart = manhattan(write, scaled, points / spread)
        distance = write.node("Mul", [apart, apart])
    score = write.node("Sub", [write.constant(2.0 * np.log(model.class_prior_)), distance])
    shares = write.node("Softmax", [score], axis=1)
    if not np.isclose(model.class_prior_, 1 / len(model.classes_)).all():
        return write.node("ArgMax", [score], axis=1, keepdims=0), shares
    if model.metric == "euclidean":
        return nearest(write, rows, points), shares
    return write.node("ArgMin", [manhattan(write, rows, points)], axis=1, keepdims=0), shares


def _subclusters(write: Writer, model: Any, rows: str) -> tuple[str, str]:
    """Birch._predict and .transform"""
    points = np.asarray(model.subcluster_centers_, np.float64)
    names = write.constant(np.asarray(model.subcluster_labels_, np.int64), TensorProto.INT64)
    return write.node("Gather", [names, nearest(write, rows, points)]), distances(write, rows, points)


def _centres(write: Writer, model: Any, rows: str) -> tuple[str, str]:
    """MeanShift.predict, AffinityPropagation.predict"""
    points = np.asarray(model.cluster_centers_, np.float64)
    if len(points) == 0:
        raise NotCovered(f"{type(model).__name__} did not converge and has no centres")
    return nearest(write, rows, points), distances(write, rows, points)


def distances(write: Writer, rows: str, points: Array) -> str:
    return write.node("Sqrt", [squared(write, rows, points)])


def _bisected(write: Writer, model: Any, rows: str) -> tuple[str, str]:
    """BisectingKMeans._predict_recursive: every split at once, then the leaf to which all of them lead."""
    away = distances(write, rows, np.asarray(model.cluster_centers_, np.float64))
    paths = list(_paths(model._bisecting_tree, ()))
    splits = list({id(node): node for _, path in paths for node, _ in path}.values())
    if not splits:
        return write.node("ArgMin", [away], axis=1, keepdims=0), away
    turns = np.array([[sum(turn for node, turn in path if node is split) for split in splits] for _, path in paths])
    mean = getattr(model, "_X_mean", 0.0)
    left = nearness(write, rows, np.array([split.left.center + mean for split in splits]))
    right = nearness(write, rows, np.array([split.right.center + mean for split in splits]))
    taken = write.node("Cast", [write.node("LessOrEqual", [left, right])], to=TensorProto.DOUBLE)
    led = write.node("MatMul", [taken, write.constant(turns.T)])
    missing = write.node("Sub", [led, write.constant((turns > 0).sum(axis=1))])
    leaf = write.node("ArgMax", [missing], axis=1, keepdims=0)
    names = write.constant([label for label, _ in paths], TensorProto.INT64)
    return write.node("Gather", [names, leaf]), away


def _paths(node: Any, path: tuple[tuple[Any, int], ...]) -> Iterator[tuple[int, tuple[tuple[Any, int], ...]]]:
    """Each leaf's label with the splits on its way: 1 where it turns left, -1 where it turns right."""
    if node.left is None:
        yield node.label, path
        return
    yield from _paths(node.left, (*path, (node, 1)))
    yield from _paths(node.right, (*path, (node, -1)))
