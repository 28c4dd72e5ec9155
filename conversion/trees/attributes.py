"""How do trees stand in the attributes of one `ai.onnx.ml` TreeEnsemble (opset 5)? Written here, and read back here.

`written` numbers the inner nodes of all trees on, and so the leaves. `check` walks what stands there beside the fitted trees:
the same feature, the same threshold to the last bit, the same comparison, the same side for NaN, the same leaf.
"""

from typing import Any

import numpy as np
from onnx import AttributeProto, NodeProto, TensorProto, helper, numpy_helper

from conversion.trees.ensembles import Ensemble, Tree
from serving.signature import Array

SUM = 1
LESS_OR_EQUAL, MEMBER = 0, 6
_DOUBLES = ("nodes_splits", "leaf_weights")
_WHOLE = (
    "tree_roots", "nodes_featureids", "nodes_missing_value_tracks_true", "nodes_truenodeids", "nodes_trueleafs",
    "nodes_falsenodeids", "nodes_falseleafs", "leaf_targetids",
)  # fmt: skip
# No category's code: a set that is empty is written with it.
_NO_CODE = -1.0


class Differs(Exception):
    """The first place where the written trees are not the fitted ones."""


def written(ensemble: Ensemble) -> list[AttributeProto]:
    """The operator's attributes."""
    columns: dict[str, list[Array]] = {name: [] for name in ("feature", "split", "mode", "nan", "t", "tl", "f", "fl", "w", "k")}
    roots, members, nodes, leaves = [], [], 0, 0
    for tree in ensemble.trees:
        is_leaf = tree.left < 0
        at = np.flatnonzero(~is_leaf)
        only = len(at) == 0
        # A tree without a split is a node whose two sides are its leaf.
        at = np.array([0]) if only else at
        number = np.where(is_leaf, leaves + np.cumsum(is_leaf) - 1, nodes + np.cumsum(~is_leaf) - 1)
        roots.append(nodes)
        columns["feature"].append(np.zeros(1, int) if only else tree.feature[at])
        columns["split"].append(np.zeros(1) if only else tree.threshold[at])
        columns["mode"].append(np.where(np.isin(at, list(tree.members)), MEMBER, LESS_OR_EQUAL))
        columns["nan"].append(tree.nan_left[at])
        for side, child in (("t", at if only else tree.left[at]), ("f", at if only else tree.right[at])):
            columns[side].append(number[child])
            columns[side + "l"].append(is_leaf[child])
        columns["w"].append(tree.leaf[is_leaf])
        columns["k"].append(tree.target[is_leaf])
        members += [_codes(tree, node) for node in sorted(tree.members)]
        nodes, leaves = nodes + len(at), leaves + int(is_leaf.sum())
    joined = {name: np.concatenate(parts) for name, parts in columns.items()}
    return _named(joined, np.array(roots), members, ensemble.targets)


def _codes(tree: Tree, node: int) -> list[float]:
    return [float(code) for code in tree.members[node]] or [_NO_CODE]


def _named(joined: dict[str, Array], roots: Array, members: list[list[float]], targets: int) -> list[AttributeProto]:
    whole = (roots, *(joined[name] for name in ("feature", "nan", "t", "tl", "f", "fl", "k")))
    given = [
        helper.make_attribute("n_targets", targets),
        helper.make_attribute("aggregate_function", SUM),
        helper.make_attribute("post_transform", 0),
        helper.make_attribute("nodes_modes", _tensor("nodes_modes", joined["mode"], np.uint8)),
    ]
    # Without onnx.helper, which looks at each of a million numbers.
    given += [
        AttributeProto(name=name, type=AttributeProto.INTS, ints=values.astype(np.int64).tolist())
        for name, values in zip(_WHOLE, whole, strict=True)
    ]
    given += [
        helper.make_attribute(name, _tensor(name, joined[key], np.float64))
        for name, key in zip(_DOUBLES, "split w".split(), strict=True)
    ]
    if members:
        values = np.concatenate([[*codes, np.nan] for codes in members])
        given.append(helper.make_attribute("membership_values", _tensor("membership_values", values, np.float64)))
    return given


def _tensor(name: str, values: Array, kind: Any) -> TensorProto:
    return numpy_helper.from_array(values.astype(kind), name)


def check(node: NodeProto, ensemble: Ensemble) -> None:
    """Raises Differs."""
    given, sets = _read(node, ensemble)
    roots = given["tree_roots"]
    if len(roots) != len(ensemble.trees):
        raise Differs(f"the graph has {len(roots)} trees, the model {len(ensemble.trees)}")
    fitted = _joined(ensemble.trees)
    first, owner = fitted["first"], fitted["tree"]
    lone = fitted["left"][first] < 0
    for side in ("true", "false"):
        _match_leaves(given, fitted, side, roots[lone], first[lone])
    here, there = roots[~lone], first[~lone]
    while len(here):
        _match_splits(given, sets, fitted, ensemble.trees, here, there)
        following: list[tuple[Array, Array]] = []
        for side, child in (("true", fitted["left"][there]), ("false", fitted["right"][there])):
            is_leaf, leads = fitted["left"][child] < 0, given[f"nodes_{side}leafs"][here].astype(bool)
            _same(is_leaf, leads, owner[child], f"{side} side is a leaf")
            _match_leaves(given, fitted, side, here[is_leaf], child[is_leaf])
            following.append((given[f"nodes_{side}nodeids"][here[~is_leaf]], child[~is_leaf]))
        here, there = (np.concatenate(part) for part in zip(*following, strict=True))
        if ((here < 0) | (here >= len(given["nodes_splits"]))).any():
            raise Differs("a branch leads to no node")


def _read(node: NodeProto, ensemble: Ensemble) -> tuple[dict[str, Array], dict[int, frozenset[float]]]:
    """Its attributes as arrays, and the numbers that each set holds, by node."""
    given: dict[str, Any] = {}
    for attribute in node.attribute:
        value = helper.get_attribute_value(attribute)
        given[attribute.name] = numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.asarray(value)
    known = {"n_targets", "aggregate_function", "post_transform", "nodes_modes", "membership_values", *_DOUBLES, *_WHOLE}
    if not known - {"membership_values"} <= set(given) <= known:
        raise Differs(f"the attributes {sorted(set(given) ^ known)} were not expected or are missing")
    settings = given["n_targets"], given["aggregate_function"], given["post_transform"]
    if settings != (ensemble.targets, SUM, 0) or any(given[name].dtype != np.float64 for name in _DOUBLES):
        raise Differs("the graph's trees add, transform or compare in another way than they were written to")
    sizes = {len(given[name]) for name in (*known, "nodes_modes") if name in given and name.startswith("nodes_")}
    if len(sizes) != 1 or len(given["leaf_weights"]) != len(given["leaf_targetids"]):
        raise Differs("the graph's trees have more of one attribute than of another")
    roots, nodes = given["tree_roots"], len(given["nodes_splits"])
    if ((roots < 0) | (roots >= nodes)).any():
        raise Differs("a tree has no root")
    flags = ("nodes_missing_value_tracks_true", "nodes_trueleafs", "nodes_falseleafs")
    if any(not np.isin(given[name], (0, 1)).all() for name in flags):
        raise Differs("the graph's trees say neither yes nor no")
    return given, _sets(given)


def _sets(given: dict[str, Array]) -> dict[int, frozenset[float]]:
    """One set for each node that asks for membership, in the order of the nodes; NaN ends a set."""
    asking = np.flatnonzero(given["nodes_modes"] == MEMBER)
    values = given.get("membership_values", np.zeros(0))
    ends = np.flatnonzero(np.isnan(values))
    if len(ends) != len(asking) or (len(values) and (values.dtype != np.float64 or not np.isnan(values[-1]))):
        raise Differs("the sets of categories are not as many as the nodes that ask for one")
    parts = np.split(values, ends + 1)[:-1]
    return {int(node): frozenset(part[:-1].tolist()) for node, part in zip(asking, parts, strict=True)}


def _joined(trees: tuple[Tree, ...]) -> dict[str, Array]:
    """All trees under one numbering; `first` is each one's root, `tree` the tree that a node belongs to."""
    sizes = np.array([len(tree.left) for tree in trees])
    first = np.cumsum(sizes) - sizes
    joined = {
        name: np.concatenate([getattr(tree, name) for tree in trees])
        for name in ("feature", "threshold", "nan_left", "leaf", "target")
    }
    for side in ("left", "right"):
        joined[side] = np.concatenate(
            [np.where(getattr(t, side) < 0, -1, getattr(t, side) + k) for t, k in zip(trees, first, strict=True)]
        )
    asks = np.zeros(int(sizes.sum()), bool)
    asks[[int(k) + node for tree, k in zip(trees, first, strict=True) for node in tree.members]] = True
    return joined | {"asks": asks, "first": first, "tree": np.repeat(np.arange(len(trees)), sizes)}


def _match_splits(given: Any, sets: Any, fitted: Any, trees: tuple[Tree, ...], here: Array, there: Array) -> None:
    tree = fitted["tree"][there]
    place, asked = there - fitted["first"][tree], fitted["asks"][there]
    modes = given["nodes_modes"][here]
    _same(np.where(asked, MEMBER, LESS_OR_EQUAL), modes, tree, "comparison")
    _same(fitted["feature"][there], given["nodes_featureids"][here], tree, "feature")
    _same(
        fitted["nan_left"][there], given["nodes_missing_value_tracks_true"][here].astype(bool), tree, "side for a missing value"
    )
    _same(fitted["threshold"][there][~asked], given["nodes_splits"][here][~asked], tree[~asked], "threshold")
    for at, t, p in zip(here[asked].tolist(), tree[asked].tolist(), place[asked].tolist(), strict=True):
        if sets[at] != frozenset(_codes(trees[t], p)):
            raise Differs(f"tree {t}, node {p}: fitted are the categories {_codes(trees[t], p)}, written {sorted(sets[at])}")


def _match_leaves(given: Any, fitted: Any, side: str, here: Array, there: Array) -> None:
    tree = fitted["tree"][there]
    _same(np.ones(len(here), bool), given[f"nodes_{side}leafs"][here].astype(bool), tree, f"{side} side is a leaf")
    leaf = given[f"nodes_{side}nodeids"][here]
    if ((leaf < 0) | (leaf >= len(given["leaf_weights"]))).any():
        raise Differs("a branch leads to no leaf")
    _same(fitted["target"][there], given["leaf_targetids"][leaf], tree, "target of a leaf")
    wanted, found = fitted["leaf"][there], given["leaf_weights"][leaf]
    both = np.isnan(wanted) & np.isnan(found)
    _same(wanted[~both], found[~both], tree[~both], "leaf")


def _same(wanted: Array, found: Array, tree: Array, what: str) -> None:
    wrong = np.flatnonzero(wanted != found)
    if len(wrong):
        k = wrong[0]
        raise Differs(f"tree {tree[k]}: the {what} is fitted as {wanted[k]} and written as {found[k]}")
