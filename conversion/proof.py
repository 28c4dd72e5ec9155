"""Do the trees in the written graph decide as the fitted ones for every possible input?

The graph's own bytes are read back and walked beside the fitted trees, node by node: the same feature, the same threshold
to the last bit, the same comparison, the same side for NaN, the same leaf. What is left is the order in which the leaves
are added, and that is bounded.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from conversion import forests
from conversion.ensembles import Ensemble, Tree, ensemble_of
from conversion.steps import steps_of
from serving.signature import Array

_LESS_OR_EQUAL = 0


class NotProved(Exception):
    """The first place where the graph and the fitted trees differ, or could."""


@dataclass(frozen=True)
class Proof:
    """Every split and leaf agrees; the sums of leaves differ by at most `rounding`."""

    trees: int
    splits: int
    rounding: float


def prove(graph: onnx.ModelProto, estimator: Any) -> Proof:
    """Raises NotProved where the model is not one ensemble alone, or a split or leaf differs."""
    steps = steps_of(estimator)
    if len(steps) != 1 or not forests.applies(steps[0]):
        raise NotProved("more than a tree ensemble takes part in the answer")
    ensemble = ensemble_of(steps[0])
    nodes = [node for node in graph.graph.node if node.op_type == "TreeEnsemble"]
    if len(nodes) != 1:
        raise NotProved(f"the graph has {len(nodes)} tree ensembles, expected one")
    _check_rows_arrive_as_they_are(graph, nodes[0], ensemble)
    given = _read(nodes[0])
    roots = given["tree_roots"]
    if len(roots) != len(ensemble.trees):
        raise NotProved(f"the graph has {len(roots)} trees, the model {len(ensemble.trees)}")
    for number, (root, tree) in enumerate(zip(roots, ensemble.trees, strict=True)):
        _walk(given, int(root), tree, number)
    return Proof(len(roots), sum(int((tree.left >= 0).sum()) for tree in ensemble.trees), _rounding(ensemble))


def _check_rows_arrive_as_they_are(graph: onnx.ModelProto, node: Any, ensemble: Ensemble) -> None:
    """Between the input and the trees stand only the casts that scikit-learn does itself."""
    made = {output: one for one in graph.graph.node for output in one.output}
    name, kinds = node.input[0], []
    while name in made:
        step = made[name]
        if step.op_type not in ("Cast", "Identity"):
            raise NotProved(f"a {step.op_type} stands between the input and the trees")
        kinds += [attribute.i for attribute in step.attribute if attribute.name == "to"]
        name = step.input[0]
    real = {entry.name: entry.type.tensor_type.elem_type for entry in graph.graph.input}.get(name)
    single = TensorProto.FLOAT in (real, *kinds)
    if real not in (TensorProto.FLOAT, TensorProto.DOUBLE) or kinds[0] != TensorProto.DOUBLE:
        raise NotProved("the rows do not reach the trees in double")
    if single != (ensemble.real == "float32") and real != TensorProto.FLOAT:
        raise NotProved(f"scikit-learn compares in {ensemble.real}, the graph does not")


def _read(node: Any) -> dict[str, Array]:
    read: dict[str, Array] = {}
    for attribute in node.attribute:
        value = helper.get_attribute_value(attribute)
        read[attribute.name] = numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.asarray(value)
    if (
        read["aggregate_function"] != forests.SUM
        or read["post_transform"] != 0
        or (read["nodes_modes"] != _LESS_OR_EQUAL).any()
    ):
        raise NotProved("the graph's trees compare, add or transform in another way than they were written to")
    return read


def _walk(given: dict[str, Array], root: int, tree: Tree, number: int) -> None:
    """Both trees together, from the root; every pair of nodes once."""
    if tree.left[0] < 0:
        for side in ("true", "false"):
            _match_leaf(given, root, side, tree, 0, number)
        return
    waiting = [(root, 0)]
    while waiting:
        written, fitted = waiting.pop()
        found = (
            given["nodes_featureids"][written], given["nodes_splits"][written],
            bool(given["nodes_missing_value_tracks_true"][written]),
        )  # fmt: skip
        wanted = (tree.feature[fitted], tree.threshold[fitted], bool(tree.nan_left[fitted]))
        if found != wanted:
            raise NotProved(f"tree {number}, node {fitted}: fitted {wanted}, written {found}")
        for side, child in (("true", tree.left[fitted]), ("false", tree.right[fitted])):
            if tree.left[child] < 0:
                _match_leaf(given, written, side, tree, int(child), number)
            elif given[f"nodes_{side}leafs"][written]:
                raise NotProved(f"tree {number}, node {fitted}: a leaf is written where the fitted tree goes on")
            else:
                waiting.append((int(given[f"nodes_{side}nodeids"][written]), int(child)))


def _match_leaf(given: dict[str, Array], written: int, side: str, tree: Tree, fitted: int, number: int) -> None:
    leaf = int(given[f"nodes_{side}nodeids"][written])
    if not given[f"nodes_{side}leafs"][written]:
        raise NotProved(f"tree {number}: the fitted leaf {fitted} is written as a split")
    found = (given["leaf_targetids"][leaf], given["leaf_weights"][leaf])
    if found != (tree.target, tree.leaf[fitted]):
        raise NotProved(f"tree {number}, leaf {fitted}: fitted {(tree.target, tree.leaf[fitted])}, written {found}")


def _rounding(ensemble: Ensemble) -> float:
    """How far two orders of adding one leaf of every tree can be apart, after factor and divisor, before the link.

    Source: Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 4.2: n - 1 additions err by at most
    gamma(n - 1) times the sum of the magnitudes. Both sides err; factor, divisor and offset are three more operations.
    """
    worst = np.zeros(ensemble.targets)
    count = np.zeros(ensemble.targets)
    for tree in ensemble.trees:
        worst[tree.target] += np.abs(tree.leaf[tree.left < 0]).max()
        count[tree.target] += 1
    unit = np.finfo(np.float64).eps / 2
    gamma = (count + 3) * unit / (1 - (count + 3) * unit)
    size = worst * abs(ensemble.factor) / ensemble.divisor + np.abs(ensemble.offset)
    return float((2 * gamma * size).max())
