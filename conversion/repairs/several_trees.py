"""A tree or a forest that decides several targets at once: every target's shares from the same leaves.

skl2onnx 1.20 gives such a forest's probabilities in float32 and as one block, and has no converter for a single tree. It is
written like every other ensemble here, with one column for each class of each target.
"""

from typing import Any

import numpy as np
from onnx import TensorProto
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

from conversion.repairs.inside import check_not_rounded
from conversion.repairs.neighbours import write_classes
from conversion.repairs.several import register_targets, shape_of_targets
from conversion.trees import forests
from conversion.trees.ensembles import Ensemble, cython_trees

NAME = "several_trees"


class SeveralTrees(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Stands for such a classifier while it is translated, since its own class mostly has one target."""

    outputs_2d_ = True

    def __init__(self, model: Any) -> None:
        self.model = model
        self.classes_ = model.classes_


COVERED: tuple[type, ...] = (SeveralTrees,)


def register() -> None:
    register_targets(SeveralTrees, shape_of_targets, _convert)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def stands_for(step: Any) -> bool:
    kinds = DecisionTreeClassifier | RandomForestClassifier | ExtraTreesClassifier
    return isinstance(step, kinds) and step.n_outputs_ > 1


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """ForestClassifier.predict_proba and predict; rows are cast to float32 as scikit-learn casts them."""
    model, write = operator.raw_operator.model, forests.TreeWriter(scope, container)
    check_not_rounded(model, operator.inputs)
    members = getattr(model, "estimators_", [model])
    wide = members[0].tree_.value.shape[2]
    columns = range(model.n_outputs_ * wide)
    trees = tuple(tree for member in members for tree in cython_trees(member.tree_, columns))
    total = write.trees(Ensemble(trees, len(columns)), operator.inputs[0].full_name)
    mean = write.node("Div", [total, write.constant([float(len(members))])])
    indices = []
    for target, (classes, output) in enumerate(zip(model.classes_, operator.outputs[1:], strict=True)):
        own = write.constant(target * wide + np.arange(len(classes)), TensorProto.INT64)
        write.node("Gather", [mean, own], output.full_name, axis=1)
        indices.append(write.node("ArgMax", [output.full_name], axis=1, keepdims=0))
    write_classes(write, operator.raw_operator, indices, operator.outputs[0].full_name, list(model.classes_))
