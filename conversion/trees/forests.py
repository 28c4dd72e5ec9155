"""How is a tree ensemble written so that every split is exact?

One `ai.onnx.ml` TreeEnsemble (opset 5) holds thresholds and leaves in double and says where NaN goes. skl2onnx 1.20 writes
the older operators: float32 thresholds and leaves, and NaN always to the right (sklearn-onnx issue 1253). The converters are
registered through skl2onnx's public extension point, for the candidates that ask for them.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx._parse import _parse_sklearn_simple_model, sklearn_parsers_map
from skl2onnx._supported_operators import sklearn_operator_name_map
from skl2onnx.common.data_types import DoubleTensorType, Int64TensorType
from sklearn.base import BaseEstimator, ClassifierMixin, OutlierMixin
from sklearn.ensemble import AdaBoostClassifier, GradientBoostingClassifier, HistGradientBoostingClassifier
from sklearn.preprocessing import FunctionTransformer

from conversion.errors import NotCovered
from conversion.repairs.classes import OPTIONS, SCORES, label_type, write_labels
from conversion.trees.answers import TOLD, Answer, answer
from conversion.trees.attributes import written
from conversion.trees.elementwise import WRITTEN, is_told, write_in_turn
from conversion.trees.ensembles import Ensemble
from conversion.trees.terms import told, within
from conversion.writer import Writer

DOMAIN, OPSET = "ai.onnx.ml", 5
# skl2onnx 1.20 knows the domain up to this version and refuses a newer node; `translate` raises the import afterwards.
DECLARED = 3
NAME = "exact_trees"
# `ufuncs` writes the functions of a FunctionTransformer.
STEPS = tuple(kind for kind in WRITTEN if kind is not FunctionTransformer)
# Those whose decision_function is told.
SCORED = (AdaBoostClassifier, GradientBoostingClassifier, HistGradientBoostingClassifier)


@contextmanager
def registered(wanted: bool) -> Iterator[None]:
    """While it lasts skl2onnx writes what is told in `answers` and `elementwise` this way, wherever it stands."""
    kinds = (*TOLD, *STEPS) if wanted else ()
    tables: tuple[dict[type, Any], ...] = (sklearn_operator_name_map, sklearn_parsers_map)
    saved = [{kind: table[kind] for kind in kinds if kind in table} for table in tables]
    for kind in kinds:
        register(kind)
    try:
        yield
    finally:
        for table, before in zip(tables, saved, strict=True):
            for kind in kinds:
                table.pop(kind, None)
            table.update(before)


def register(kind: type) -> None:
    """The converter of one class, from here on."""
    if kind in STEPS:
        _register_step(kind)
        return
    options = {"score_samples": [False]} if issubclass(kind, OutlierMixin) else None
    if issubclass(kind, ClassifierMixin):
        options = SCORES if kind in SCORED else OPTIONS
    update_registered_converter(kind, f"Unjar{kind.__name__}", _shape, _convert, overwrite=True, options=options)


def _register_step(kind: type) -> None:
    """A step that is told has one output and our converter; any other is left to whom it belonged before."""
    alias, parser, ours = sklearn_operator_name_map.get(kind), sklearn_parsers_map.get(kind), f"UnjarExact{kind.__name__}"
    if alias == ours:
        return

    def parse(scope: Any, model: Any, inputs: Any, custom_parsers: Any = None) -> Any:
        if is_told(model):
            operator = scope.declare_local_operator(ours, model)
            operator.inputs = inputs
            operator.outputs.append(scope.declare_local_variable("variable", DoubleTensorType()))
            return operator.outputs
        if parser is not None:
            return parser(scope, model, inputs, custom_parsers)
        return _parse_sklearn_simple_model(scope, model, inputs, custom_parsers, alias=alias)

    update_registered_converter(kind, ours, _shape_of_step, _convert_step, overwrite=True, parser=parse)


def applies(step: Any) -> bool:
    """Is it an ensemble of trees, or of what else is written from its members, with trees among them?"""
    return any(one.kind == "trees" for one in _terms(step))


def holds(step: Any) -> bool:
    """Does it, or a fitted estimator inside it, consist of trees?"""
    if applies(step):
        return True
    return any(holds(one) for one in _inside(step) if hasattr(one, "n_features_in_"))


def compares_in_float32(step: Any) -> bool:
    """Is it made of trees alone, that get rows which scikit-learn has cast to float32?"""
    terms = _terms(step)
    alone = all(one.kind not in ("outside", "steps") for one in terms)
    return bool(terms) and alone and all(one.value.real == "float32" for one in terms if one.kind == "trees")


def _terms(step: Any) -> list[Any]:
    try:
        given = told(step, outsiders=True)
    except NotCovered:
        return []
    return list(within(given.values, given.label, given.scores))


def _inside(step: Any) -> Iterator[Any]:
    for value in vars(step).values() if isinstance(step, BaseEstimator) else ():
        parts = value.ravel().tolist() if isinstance(value, np.ndarray) and value.dtype == object else value
        for part in parts if isinstance(parts, list | tuple) else [parts]:
            candidates = part if isinstance(part, tuple) else [part]
            yield from (one for one in candidates if hasattr(one, "get_params") and not isinstance(one, type))


class TreeWriter(Writer):
    """Nodes of skl2onnx's container, with trees and the estimators that only skl2onnx knows."""

    def __init__(self, scope: Any, container: Any) -> None:
        super().__init__(scope, container)
        self._casts: dict[tuple[str, int], str] = {}

    def _cast(self, rows: str, to: int) -> str:
        if (rows, to) not in self._casts:
            self._casts[rows, to] = self.node("Cast", [rows], to=to)
        return self._casts[rows, to]

    def trees(self, ensemble: Ensemble, rows: str) -> str:
        if ensemble.real == "float32":
            rows = self._cast(rows, TensorProto.FLOAT)
        value = self.node("TreeEnsemble", [self._cast(rows, TensorProto.DOUBLE)], op_domain=DOMAIN, op_version=DECLARED)
        self.container.nodes[-1].attribute.extend(written(ensemble))
        return value

    def steps(self, steps: Sequence[Any], rows: str) -> str:
        return write_in_turn(self, steps, self._cast(rows, TensorProto.DOUBLE))

    def columns(self, rows: str, positions: Any) -> str:
        places = self.constant(np.asarray(positions, np.int64), TensorProto.INT64)
        return self.node("Gather", [self._cast(rows, TensorProto.DOUBLE), places], axis=1)

    def ascending(self, values: str, count: int) -> str:
        names = [self.scope.get_unique_variable_name(name) for name in ("sorted", "order")]
        wanted = self.constant([count], TensorProto.INT64)
        name = self.scope.get_unique_operator_name("TopK")
        self.container.add_node("TopK", [values, wanted], names, name=name, axis=1, largest=0, sorted=1)
        return str(names[1])

    def outside(self, model: Any, rows: str) -> Answer:
        from conversion.repairs.inside import answered

        return answered(self, model, self._cast(rows, TensorProto.DOUBLE))


def width_of(model: Any) -> int:
    """How many columns the values have, before scikit-learn takes away an axis of one."""
    if isinstance(model, ClassifierMixin):
        return len(model.classes_)
    if hasattr(model, "_n_features_out"):
        return int(model._n_features_out)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return int(np.prod(model.predict(np.zeros((1, model.n_features_in_))).shape[1:]))


def _shape(operator: Any) -> None:
    model, outputs = operator.raw_operator, operator.outputs
    outputs[-1].type = DoubleTensorType([None, width_of(model)])
    if len(outputs) == 2:
        outputs[0].type = label_type(model.classes_) if isinstance(model, ClassifierMixin) else Int64TensorType([None])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    model, outputs = operator.raw_operator, [output.full_name for output in operator.outputs]
    write = TreeWriter(scope, container)
    given = answer(write, model, _table(write, operator))
    scored = bool((container.get_options(model, {}, fail=False) or {}).get("raw_scores", False))
    for name, result in zip(outputs, results(write, model, given, scored), strict=True):
        write.node("Identity", [result], name)


def results(write: Any, model: Any, given: Answer, scored: bool) -> list[Any]:
    """What the graph of a model gives: labels first, for those that have them."""
    if isinstance(model, OutlierMixin):
        return [given.label, given.values]
    if not isinstance(model, ClassifierMixin):
        return [given.values]
    return [write_labels(write, model.classes_, given.label), given.scores if scored else given.values]


def _table(write: Writer, operator: Any) -> str:
    if len(operator.inputs) == 1:
        return str(operator.inputs[0].full_name)
    rows = [write.node("Cast", [one.full_name], to=TensorProto.DOUBLE) for one in operator.inputs]
    return write.node("Concat", rows, axis=1)


def _convert_step(scope: Any, operator: Any, container: Any) -> None:
    write, step = Writer(scope, container), operator.raw_operator
    rows = write.node("Cast", [_table(write, operator)], to=TensorProto.DOUBLE)
    write.node("Identity", [write_in_turn(write, [step], rows)], operator.outputs[0].full_name)


def _shape_of_step(operator: Any) -> None:
    step = operator.raw_operator
    operator.outputs[0].type = DoubleTensorType([None, WRITTEN[type(step)][1](step)])
