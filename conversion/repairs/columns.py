"""ColumnTransformer and FeatureUnion: each part is given its very columns, and what they answer stands side by side.

skl2onnx 1.20 looks names up among the graph's inputs, reads a mask as numbers, leaves a selection of all columns in the
order in which they came, and writes everything in the type of whichever part comes first.
"""

from collections.abc import Iterator
from typing import Any

from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx._parse import _parse_sklearn
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import FeatureUnion
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, TargetEncoder

from conversion.features import keeps_places
from conversion.steps import steps_of
from conversion.writer import Writer

NAME = "columns"
COVERED: tuple[type, ...] = (ColumnTransformer, FeatureUnion)
# These take columns of several types; everything else takes one table.
_APART = (OneHotEncoder, OrdinalEncoder, TargetEncoder, *COVERED)


def register() -> None:
    update_registered_converter(ColumnTransformer, "UnjarColumns", _beside_shape, _beside, parser=_parse_columns)
    update_registered_converter(FeatureUnion, "UnjarColumns", _beside_shape, _beside, parser=_parse_union)
    for kind, shape, convert in ((_Chosen, _chosen_shape, _choose), (_Merged, _beside_shape, _beside)):
        update_registered_converter(kind, f"Unjar{kind.__name__}", shape, convert, overwrite=True)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


class _Chosen:
    """Some columns of one table, by their positions."""

    def __init__(self, positions: list[int]) -> None:
        self.positions = positions


class _Merged:
    """Several tables as one, each times its weight."""

    def __init__(self, weights: list[float]) -> None:
        self.weights = weights


def _parse_columns(scope: Any, model: Any, inputs: Any, custom_parsers: Any = None) -> Any:
    places = [(one, i) for one in inputs for i in range(_width(one, model.n_features_in_ if len(inputs) == 1 else 1))]
    parts = []
    for name, inner, _ in model.transformers_:
        chosen = [places[i] for i in model._transformer_to_input_indices[name]]
        if chosen:
            parts.append((name, inner, list(_chosen(scope, chosen, len(inputs) == 1))))
    return _side_by_side(scope, parts, model.transformer_weights)


def _parse_union(scope: Any, model: Any, inputs: Any, custom_parsers: Any = None) -> Any:
    parts = [(name, inner, list(inputs)) for name, inner in model.transformer_list]
    return _side_by_side(scope, parts, model.transformer_weights)


def _width(variable: Any, known: int) -> int:
    shape = variable.type.shape
    return int(shape[1]) if len(shape) == 2 and shape[1] else known


def _chosen(scope: Any, places: list[tuple[Any, int]], table: bool) -> Iterator[Any]:
    """The columns at these places; of one table all at once."""
    if table:
        yield _derived(scope, _Chosen([i for _, i in places]), [places[0][0]])
        return
    for one, i in places:
        yield one if one.type.shape[1] == 1 else _derived(scope, _Chosen([i]), [one])


def _derived(scope: Any, model: Any, inputs: list[Any]) -> Any:
    operator = scope.declare_local_operator(f"Unjar{type(model).__name__}", model)
    operator.inputs = inputs
    width = len(model.positions) if isinstance(model, _Chosen) else None
    operator.outputs.append(scope.declare_local_variable("columns", _kind(inputs)([None, width])))
    return operator.outputs[0]


def _kind(inputs: list[Any]) -> type:
    kinds = {type(one.type) for one in inputs}
    return kinds.pop() if len(kinds) == 1 and kinds <= {StringTensorType, FloatTensorType} else DoubleTensorType


def _side_by_side(scope: Any, parts: list[tuple[str, Any, list[Any]]], weights: Any) -> Any:
    answered, shares = [], []
    for name, inner, inputs in parts:
        if isinstance(inner, str) and inner == "drop":
            continue
        answered.append(_answer(scope, inner, inputs))
        shares.append(float((weights or {}).get(name, 1.0)))
    return [_derived(scope, _Merged(shares), answered)]


def _answer(scope: Any, inner: Any, inputs: list[Any]) -> Any:
    """What one part gives. Raises ValueError where text would come out."""
    text = [isinstance(one.type, StringTensorType) for one in inputs]
    if isinstance(inner, str) or not _steps(inner, all(text)):
        if any(text):
            raise ValueError("a column of text passes through as it is; encode it, or drop it")
        return _derived(scope, _Merged([1.0] * len(inputs)), inputs)
    for step in _steps(inner, all(text)):
        if len(inputs) > 1 and not isinstance(step, _APART):
            if any(text) and not all(text):
                raise ValueError(f"{type(step).__name__} is given columns of text and of numbers together")
            inputs = [_derived(scope, _Merged([1.0] * len(inputs)), inputs)]
        inputs = list(_parse_sklearn(scope, step, inputs))
    return inputs[-1] if not hasattr(inner, "predict_proba") else inputs[0]


def _steps(inner: Any, text: bool) -> list[Any]:
    """Without the imputers of text: a client can send no missing text, and what is there they leave as it is."""
    steps = steps_of(inner)
    while text and steps and isinstance(steps[0], SimpleImputer):
        if isinstance(steps[0].missing_values, str) or not keeps_places(steps[0]):
            raise ValueError("SimpleImputer on text fills in a word, or flags missing ones; fill the gaps in before the model")
        steps = steps[1:]
    return steps


def _chosen_shape(operator: Any) -> None:
    operator.outputs[0].type = type(operator.inputs[0].type)([None, len(operator.raw_operator.positions)])


def _choose(scope: Any, operator: Any, container: Any) -> None:
    write = Writer(scope, container)
    positions = write.constant(operator.raw_operator.positions, TensorProto.INT64)
    write.node("Gather", [operator.inputs[0].full_name, positions], operator.outputs[0].full_name, axis=1)


def _beside_shape(operator: Any) -> None:
    widths = [one.type.shape[1] if len(one.type.shape) == 2 else None for one in operator.inputs]
    operator.outputs[0].type = _kind(operator.inputs)([None, None if None in widths else sum(widths)])


def _beside(scope: Any, operator: Any, container: Any) -> None:
    write, output = Writer(scope, container), operator.outputs[0]
    names = [one.full_name for one in operator.inputs]
    if not isinstance(output.type, StringTensorType):
        kind = TensorProto.FLOAT if isinstance(output.type, FloatTensorType) else TensorProto.DOUBLE
        names = [write.node("Cast", [name], to=kind) for name in names]
        for i, weight in enumerate(operator.raw_operator.weights):
            if weight != 1.0:
                names[i] = write.node("Mul", [names[i], write.constant([weight], kind)])
    write.node("Concat", names, output.full_name, axis=1)
