"""How is an estimator that another one holds written into the same graph?

Tree ensembles are written exactly wherever they stand, and whatever jumps is not fed with rounded numbers.
"""

import copy
from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx import get_model_alias
from skl2onnx._parse import _parse_sklearn
from skl2onnx.common._registration import get_converter
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType
from sklearn.base import is_classifier
from sklearn.pipeline import make_pipeline

from conversion.steps import steps_of
from conversion.trees import forests
from conversion.trees.answers import Answer
from conversion.writer import Writer


def outputs_of(scope: Any, container: Any, estimator: Any, inputs: Any, scores: bool = False) -> list[Any]:
    """The variables that the estimator gives; a classifier gives labels and shares, or raw scores when asked."""
    steps = steps_of(estimator)
    # Options belong to an object's id: a copy keeps them from what else the graph does with this estimator.
    steps[-1] = copy.copy(steps[-1])
    for step in steps:
        exact = forests.applies(step)
        if exact:
            check_not_rounded(step, inputs)
        with forests.registered(exact):
            if is_classifier(step):
                _set_options(scope, container, step, scores)
            inputs = list(_parse_sklearn(scope, step, inputs))
        if exact:
            # The parser guesses from the inputs; those trees answer in double whatever they are fed with.
            inputs[-1].type = DoubleTensorType(inputs[-1].type.shape)
    return list(inputs)


def answered(write: Writer, model: Any, rows: str) -> Answer:
    """The same as numbers: values (n, k) in double, and a classifier's label as the number of its class."""
    given = write.scope.declare_local_variable("rows", DoubleTensorType([None, model.n_features_in_]))
    write.node("Identity", [rows], given.full_name)
    numbered = _numbered(model) if is_classifier(model) else model
    outputs = [one.full_name for one in outputs_of(write.scope, write.container, numbered, [given])]
    values = write.node("Cast", [outputs[-1]], to=TensorProto.DOUBLE)
    if not is_classifier(model):
        return Answer(write.node("Reshape", [values, write.constant([-1, 1], TensorProto.INT64)]))
    return Answer(values, outputs[0])


def _numbered(model: Any) -> Any:
    """A classifier whose labels are the numbers of its classes."""
    numbers = np.arange(len(model.classes_))
    if np.array_equal(model.classes_, numbers):
        return model
    *before, last = steps_of(model)
    last = copy.copy(last)
    last.classes_ = numbers
    return make_pipeline(*before, last) if before else last


def check_not_rounded(step: Any, inputs: Any) -> None:
    """Raises ValueError where a step whose answer jumps would be fed with what the graph itself computed in float32."""
    if any(isinstance(one.type, FloatTensorType) and not one.is_root for one in inputs):
        raise ValueError(f"rounding to float32 before {type(step).__name__} decides its answer; it needs double")


def _set_options(scope: Any, container: Any, step: Any, scores: bool) -> None:
    allowed = get_converter(get_model_alias(type(step))).get_allowed_options() or {}
    # Named only where scores are asked for: skl2onnx refuses the option for classes whose own converter lacks it.
    only = not hasattr(step, "predict_proba")
    wanted = {"zipmap": False} | ({"raw_scores": True} if scores or only else {})
    options = {name: value for name, value in wanted.items() if name in allowed}
    if scores and "raw_scores" not in allowed:
        raise ValueError(f"no converter gives the decision_function of {type(step).__name__} inside another estimator")
    scope.add_options(id(step), options)
    container.add_options(id(step), options)
