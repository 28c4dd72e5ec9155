"""How is a tree ensemble written so that every split is exact?

One `ai.onnx.ml` TreeEnsemble (opset 5) holds thresholds and leaves in double and says where NaN goes. skl2onnx 1.20 writes
the older operators: float32 thresholds and leaves, and NaN always to the right (sklearn-onnx issue 1253). The converters are
registered through skl2onnx's public extension point, for the candidates that ask for them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from onnx import TensorProto, helper
from skl2onnx import update_registered_converter
from skl2onnx._supported_operators import sklearn_operator_name_map
from skl2onnx.common.data_types import DoubleTensorType, Int64TensorType, StringTensorType
from sklearn.ensemble import GradientBoostingClassifier

from conversion.ensembles import CLASSIFIERS, COVERED, DETECTORS, Ensemble, NotCovered, Tree, ensemble_of
from conversion.writer import Writer
from serving.signature import Array

DOMAIN, OPSET = "ai.onnx.ml", 5
# skl2onnx 1.20 knows the domain up to this version and refuses a newer node; `translate` raises the import afterwards.
DECLARED = 3
SUM = 1
NAME = "exact_trees"
_OPTIONS = {"zipmap": [True, False, "columns"], "raw_scores": [True, False], "nocl": [True, False]}


@contextmanager
def registered(wanted: bool) -> Iterator[None]:
    """While it lasts skl2onnx writes every covered ensemble this way, wherever it stands in a pipeline."""
    saved = {model: sklearn_operator_name_map[model] for model in COVERED}
    for model in COVERED if wanted else ():
        options = _OPTIONS if model in CLASSIFIERS else {"score_samples": [False]} if model in DETECTORS else None
        update_registered_converter(model, f"Unjar{model.__name__}", _shape, _convert, overwrite=True, options=options)
    try:
        yield
    finally:
        sklearn_operator_name_map.update(saved)


def applies(step: Any) -> bool:
    """Is it an ensemble that is covered whole?"""
    if not isinstance(step, COVERED):
        return False
    try:
        ensemble_of(step)
    except NotCovered:
        return False
    return True


def attributes(trees: tuple[Tree, ...], targets: int) -> dict[str, Any]:
    """The operator's attributes. Inner nodes of all trees are numbered on, and so are the leaves."""
    inner, leaf = _numbers(trees)
    columns: dict[str, list[Array]] = {name: [] for name in ("feature", "split", "nan", "t", "tl", "f", "fl", "w", "k")}
    roots = []
    for tree, nodes, leaves in zip(trees, inner, leaf, strict=True):
        is_leaf = tree.left < 0
        at = np.flatnonzero(~is_leaf)
        only = len(at) == 0
        # A tree without a split is a node whose two sides are its leaf.
        at = np.array([0]) if only else at
        left, right = (at, at) if only else (tree.left[at], tree.right[at])
        roots.append(int(nodes[0]))
        columns["feature"].append(np.where(only, 0, tree.feature[at]))
        columns["split"].append(np.where(only, 0.0, tree.threshold[at]))
        columns["nan"].append(tree.nan_left[at])
        for side, child in (("t", left), ("f", right)):
            columns[side].append(np.where(is_leaf[child], leaves[child], nodes[child]))
            columns[side + "l"].append(is_leaf[child])
        columns["w"].append(tree.leaf[is_leaf])
        columns["k"].append(np.full(int(is_leaf.sum()), tree.target))
    joined = {name: np.concatenate(parts) for name, parts in columns.items()}
    return _named(joined, roots, targets)


def _numbers(trees: tuple[Tree, ...]) -> tuple[list[Array], list[Array]]:
    """For each tree, the number of each node among the inner nodes, and among the leaves, of all trees."""
    inner, leaf, nodes, leaves = [], [], 0, 0
    for tree in trees:
        is_leaf = tree.left < 0
        own = np.cumsum(~is_leaf) - 1
        inner.append(nodes + np.maximum(own, 0))
        leaf.append(leaves + np.cumsum(is_leaf) - 1)
        nodes += max(int((~is_leaf).sum()), 1)
        leaves += int(is_leaf.sum())
    return inner, leaf


def _named(joined: dict[str, Array], roots: list[int], targets: int) -> dict[str, Any]:
    def double(name: str, values: Array) -> Any:
        return helper.make_tensor(name, TensorProto.DOUBLE, [len(values)], values.astype(np.float64).tobytes(), raw=True)

    def whole(values: Array) -> list[int]:
        return [int(value) for value in values]

    modes = helper.make_tensor(
        "nodes_modes", TensorProto.UINT8, [len(joined["feature"])], bytes(len(joined["feature"])), raw=True
    )
    return {
        "n_targets": targets,
        "aggregate_function": SUM,
        "post_transform": 0,
        "tree_roots": roots,
        "nodes_featureids": whole(joined["feature"]),
        "nodes_modes": modes,
        "nodes_splits": double("nodes_splits", joined["split"]),
        "nodes_missing_value_tracks_true": whole(joined["nan"]),
        "nodes_truenodeids": whole(joined["t"]),
        "nodes_trueleafs": whole(joined["tl"]),
        "nodes_falsenodeids": whole(joined["f"]),
        "nodes_falseleafs": whole(joined["fl"]),
        "leaf_targetids": whole(joined["k"]),
        "leaf_weights": double("leaf_weights", joined["w"]),
    }


def _shape(operator: Any) -> None:
    model, outputs = operator.raw_operator, operator.outputs
    if isinstance(model, CLASSIFIERS):
        label = StringTensorType if model.classes_.dtype.kind in "OUS" else Int64TensorType
        outputs[0].type, outputs[1].type = label([None]), DoubleTensorType([None, len(model.classes_)])
    elif isinstance(model, DETECTORS):
        outputs[0].type, outputs[1].type = Int64TensorType([None]), DoubleTensorType([None, 1])
    else:
        outputs[0].type = DoubleTensorType([None, ensemble_of(model).targets])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    model, outputs = operator.raw_operator, [output.full_name for output in operator.outputs]
    ensemble = ensemble_of(model)
    write = Writer(scope, container)
    raw = _raw(write, operator.inputs[0].full_name, ensemble)
    if isinstance(model, CLASSIFIERS):
        scores = container.get_options(model, {}).get("raw_scores", False)
        _classes(write, model, ensemble, raw, outputs, scores)
    elif isinstance(model, DETECTORS):
        _inliers(write, ensemble, raw, outputs)
    else:
        _linked(write, raw, ensemble.link, outputs[0])


def _raw(write: Writer, rows: str, ensemble: Ensemble) -> str:
    """offset + factor * sum / divisor, in double."""
    if ensemble.real == "float32":
        rows = write.node("Cast", [rows], to=TensorProto.FLOAT)
    rows = write.node("Cast", [rows], to=TensorProto.DOUBLE)
    given = attributes(ensemble.trees, ensemble.targets)
    value = write.node("TreeEnsemble", [rows], op_domain=DOMAIN, op_version=DECLARED, **given)
    if ensemble.link == "isolation":
        return value
    if ensemble.factor != 1.0:
        value = write.node("Mul", [value, write.constant([ensemble.factor])])
    if ensemble.divisor != 1.0:
        value = write.node("Div", [value, write.constant([ensemble.divisor])])
    if ensemble.offset.any():
        value = write.node("Add", [value, write.constant(ensemble.offset)])
    return value


def _linked(write: Writer, raw: str, link: str, output: str | None = None) -> str:
    if link == "logistic of twice":
        raw, link = write.node("Mul", [raw, write.constant([2.0])]), "logistic"
    kind = {"identity": "Identity", "exponential": "Exp", "logistic": "Sigmoid", "softmax": "Softmax"}[link]
    return write.node(kind, [raw], output, **({"axis": 1} if kind == "Softmax" else {}))


def _classes(write: Writer, model: Any, ensemble: Ensemble, raw: str, outputs: list[str], scores: bool) -> None:
    shares = _linked(write, raw, ensemble.link)
    if ensemble.targets == 1 and ensemble.link != "identity":
        shares = write.node("Concat", [write.node("Sub", [write.constant([1.0]), shares]), shares], axis=1)
        index = _side(write, model, raw)
    else:
        index = write.node("ArgMax", [shares if ensemble.link == "identity" else raw], axis=1, keepdims=0)
    text = model.classes_.dtype.kind in "OUS"
    classes = [str(c) for c in model.classes_] if text else model.classes_.astype(np.int64)
    names = write.constant(classes, TensorProto.STRING if text else TensorProto.INT64)
    write.node("Gather", [names, index], outputs[0], axis=0)
    write.node("Identity", [raw if scores else shares], outputs[1])


def _side(write: Writer, model: Any, raw: str) -> str:
    """The binary decision on the raw score: gradient boosting takes zero to the second class, histogram boosting does not."""
    kind = "GreaterOrEqual" if isinstance(model, GradientBoostingClassifier) else "Greater"
    above = write.node("Cast", [write.node(kind, [raw, write.constant([0.0])])], to=TensorProto.INT64)
    return write.node("Reshape", [above, write.constant([-1], TensorProto.INT64)])


def _inliers(write: Writer, ensemble: Ensemble, depth: str, outputs: list[str]) -> None:
    mean = write.node("Div", [depth, write.constant([ensemble.divisor])])
    anomaly = write.node("Pow", [write.constant([2.0]), write.node("Neg", [mean])])
    score = write.node("Sub", [write.constant(ensemble.offset), anomaly], outputs[1])
    outside = write.node("Less", [score, write.constant([0.0])])
    one, minus_one = write.constant([1], TensorProto.INT64), write.constant([-1], TensorProto.INT64)
    chosen = write.node("Where", [outside, minus_one, one])
    write.node("Reshape", [chosen, write.constant([-1], TensorProto.INT64)], outputs[0])
