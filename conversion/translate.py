"""How is a fitted object written as a graph whose outputs are named after scikit-learn's methods?

Everything skl2onnx does happens here. What comes out is deterministic, and is believed by nobody before `parity`.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import onnx
from onnx import helper
from skl2onnx import convert_sklearn, get_model_alias
from skl2onnx.common._registration import get_converter
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType
from sklearn.base import is_classifier, is_outlier_detector
from sklearn.feature_selection import SelectorMixin
from sklearn.pipeline import make_pipeline

from conversion.candidates import Candidate
from conversion.folding import fold
from conversion.repairs import REPAIRS, as_transformer, several_trees, stacking
from conversion.schema import Schema
from conversion.steps import steps_of
from conversion.trees import forests

OPSETS = {"": 18, forests.DOMAIN: forests.DECLARED}


@dataclass(frozen=True)
class Translation:
    """A graph, and the names of the repairs that were needed to write it."""

    graph: onnx.ModelProto
    repairs: tuple[str, ...]


def translate(estimator: Any, schema: Schema, methods: Sequence[str], candidate: Candidate) -> Translation:
    """The graph of one candidate. Raises whatever skl2onnx raises when it has no converter."""
    estimator = _as_asked(estimator, methods)
    repairs = []
    for repair in REPAIRS:
        repair.register()
        if any(repair.applies(step) for step in steps_of(estimator)):
            repairs.append(repair.NAME)
    with forests.registered(candidate.exact_trees):
        graph = convert_sklearn(
            candidate.written_as(estimator),
            initial_types=_initial_types(schema, candidate),
            target_opset=OPSETS,
            options=_options(estimator, methods),
        )
    if candidate.exact_trees:
        repairs.append(forests.NAME)
    _keep(graph, _outputs(estimator, methods), methods)
    _name_inputs(graph, schema)
    _settle(graph)
    return Translation(fold(graph) if candidate.folds else graph, tuple(repairs))


def _as_asked(estimator: Any, methods: Sequence[str]) -> Any:
    """What stands for the object: a selector that is asked to predict is its selection, then what it has fitted on the rest."""
    *before, last = steps_of(estimator)
    if any(as_transformer.stands_for(step) for step in before):
        before = [as_transformer.AsTransformer(step) if as_transformer.stands_for(step) else step for step in before]
        estimator = make_pipeline(*before, last)
    if stacking.applies(last) and list(methods) == ["transform"]:
        return make_pipeline(*before, stacking.Answers(last))
    if several_trees.stands_for(last):
        return make_pipeline(*before, several_trees.SeveralTrees(last))
    if not isinstance(last, SelectorMixin) or "transform" in methods:
        return estimator
    return make_pipeline(*before, last, last.estimator_)


def _initial_types(schema: Schema, candidate: Candidate) -> list[tuple[str, Any]]:
    real = FloatTensorType if candidate.real.itemsize == 4 else DoubleTensorType
    kinds = {c.name: (StringTensorType if c.text else real)([None, c.width]) for c in schema.columns}
    return [(name, kinds.get(name) or real([None, 1])) for name in schema.fitted]


def _options(estimator: Any, methods: Sequence[str]) -> dict[Any, Any]:
    last = steps_of(estimator)[-1]
    options: dict[Any, Any] = {}
    if is_classifier(last):
        wanted = {"zipmap": False, "raw_scores": "decision_function" in methods}
        allowed = get_converter(get_model_alias(type(last))).get_allowed_options() or {}
        options[id(last)] = {name: value for name, value in wanted.items() if name in allowed}
    return options


def _outputs(estimator: Any, methods: Sequence[str]) -> list[str]:
    """The methods that skl2onnx's outputs stand for, in its order."""
    last = steps_of(estimator)[-1]
    if isinstance(last, SelectorMixin):
        return ["transform"]
    targets = [name for name in methods if name.startswith("predict_proba_")]
    if targets:
        return ["predict", *targets]
    if is_outlier_detector(last):
        return ["predict", "decision_function"]
    if is_classifier(last) or hasattr(last, "predict_proba"):
        return ["predict", "decision_function" if "decision_function" in methods else "predict_proba"]
    if hasattr(last, "predict") and hasattr(last, "transform"):
        return ["predict", "transform"]
    return ["predict" if hasattr(last, "predict") else "transform"]


def _keep(model: onnx.ModelProto, present: list[str], wanted: Sequence[str]) -> None:
    """Renames the outputs to the methods they stand for and drops those not asked for."""
    _rename(model, {output.name: name for output, name in zip(model.graph.output, present, strict=False)})
    kept = {output.name: output for output in model.graph.output}
    chosen = [copy.deepcopy(kept[name]) for name in wanted if name in kept]
    del model.graph.output[:]
    model.graph.output.extend(chosen)


def _name_inputs(model: onnx.ModelProto, schema: Schema) -> None:
    """Gives each input its column's own name: skl2onnx replaces every character that is no letter, digit or underscore."""
    taken = set(schema.fitted) & {output.name for output in model.graph.output}
    if taken:
        raise ValueError(f"the column {taken.pop()!r} has the name of an output; call the column otherwise, or use --methods")
    given = {entry.name: name for entry, name in zip(model.graph.input, schema.fitted, strict=True)}
    inner = {name for node in model.graph.node for name in node.output} | {entry.name for entry in model.graph.initializer}
    _rename(model, given | {name: f"{name}.inner" for name in inner & set(schema.fitted)})
    read = {column.name for column in schema.columns}
    inputs = [copy.deepcopy(entry) for entry in model.graph.input if entry.name in read]
    del model.graph.input[:]
    model.graph.input.extend(inputs)


def _rename(model: onnx.ModelProto, names: dict[str, str]) -> None:
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for entry in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        entry.name = names.get(entry.name, entry.name)


def _settle(model: onnx.ModelProto) -> None:
    """Takes out what differs between two runs or says nothing about the model."""
    exact = any(node.op_type == "TreeEnsemble" for node in model.graph.node)
    opsets = {entry.domain: entry.version for entry in model.opset_import} | ({forests.DOMAIN: forests.OPSET} if exact else {})
    del model.opset_import[:]
    model.opset_import.extend(helper.make_opsetid(domain, opsets[domain]) for domain in sorted(opsets))
    model.graph.name = "unjar"
    model.producer_name, model.producer_version, model.domain, model.doc_string = "unjar", "", "", ""
    model.graph.doc_string = ""


def set_shapes(model: onnx.ModelProto, shapes: dict[str, tuple[int, ...]]) -> None:
    """Declares each output as (n, *shape), which the evidence then has to bear out.

    Where scikit-learn answers (n,) a trailing axis of one is taken away, and of the two mirrored scores that a binary
    classifier's graph gives the second is kept.
    """
    for output in model.graph.output:
        wanted, declared = shapes[output.name], output.type.tensor_type.shape
        if wanted == () and len(declared.dim) == 2:
            _last_column(model, output.name)
        del declared.dim[:]
        declared.dim.add().dim_param = "N"
        for size in wanted:
            declared.dim.add().dim_value = size


def _last_column(model: onnx.ModelProto, name: str) -> None:
    wide, index = f"{name}_columns", f"{name}_index"
    for node in model.graph.node:
        node.output[:] = [wide if output == name else output for output in node.output]
        node.input[:] = [wide if read == name else read for read in node.input]
    model.graph.initializer.append(helper.make_tensor(index, onnx.TensorProto.INT64, [], [-1]))
    model.graph.node.append(helper.make_node("Gather", [wide, index], [name], name=f"{name}_column", axis=1))
