"""Which steps before the trees compute each number by itself, and how, to the last bit?

Each is told twice, from the same lines of scikit-learn: as expressions of columns, for the proof, and as nodes, for the graph.
The graph's are exact where skl2onnx 1.20 multiplies by a reciprocal, works in float32, or has no operator for double.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from onnx import TensorProto
from sklearn.compose import ColumnTransformer
from sklearn.feature_selection import (
    GenericUnivariateSelect,
    SelectFdr,
    SelectFpr,
    SelectFromModel,
    SelectFwe,
    SelectKBest,
    SelectorMixin,
    SelectPercentile,
    SequentialFeatureSelector,
    VarianceThreshold,
)
from sklearn.impute import SimpleImputer
from sklearn.pipeline import FeatureUnion
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    RobustScaler,
    StandardScaler,
)

from conversion.steps import steps_of
from conversion.trees.columns import Column, NotAlike, cast, number
from conversion.writer import Writer
from serving.signature import Array

Row = list[Column]
SELECTORS: tuple[type, ...] = (
    GenericUnivariateSelect, SelectFdr, SelectFpr, SelectFromModel, SelectFwe, SelectKBest, SelectPercentile,
    SequentialFeatureSelector, VarianceThreshold,
)  # fmt: skip


def told(step: Any, rows: Row) -> Row:
    """The columns that the step answers, fed with these. Raises NotAlike for a step that is not told here."""
    for kind, tell in _TOLD.items():
        if isinstance(step, kind):
            return tell(step, rows)
    raise NotAlike(f"{type(step).__name__} stands before the trees, and is not known to give the same bits")


def is_told(step: Any) -> bool:
    """Can it be written and proved by itself, wherever it stands?"""
    if isinstance(step, ColumnTransformer):
        parts = [one for _, part, _ in step.transformers_ if not isinstance(part, str) for one in steps_of(part)]
        return not step.transformer_weights and all(is_told(part) for part in parts)
    if isinstance(step, FunctionTransformer):
        return step.func is None
    if isinstance(step, SimpleImputer):
        return isinstance(step.missing_values, int | float) and np.dtype(step._fill_dtype).kind in "fiu"
    return type(step) in WRITTEN


def write_in_turn(write: Writer, steps: Sequence[Any], rows: str) -> str:
    """The rows, in double, behind these steps."""
    for step in steps:
        rows = WRITTEN[type(step)][0](write, step, rows)
    return rows


def _apart(kind: str, rows: Row, values: Array) -> Row:
    return [Column(kind, (one, number(value))) for one, value in zip(rows, np.ravel(values), strict=True)]


def _standard(step: Any, rows: Row) -> Row:
    """StandardScaler.transform: X -= mean_, X /= scale_"""
    rows = _apart("Sub", rows, step.mean_) if step.with_mean else rows
    return _apart("Div", rows, step.scale_) if step.with_std else rows


def _robust(step: Any, rows: Row) -> Row:
    rows = _apart("Sub", rows, step.center_) if step.with_centering else rows
    return _apart("Div", rows, step.scale_) if step.with_scaling else rows


def _clipped(rows: Row, low: float, high: float) -> Row:
    for kind, value in (("Less", low), ("Greater", high)):
        edge = number(value)
        rows = [Column("Where", (Column(kind, (one, edge), TensorProto.BOOL), edge, one)) for one in rows]
    return rows


def _between(step: Any, rows: Row) -> Row:
    """MinMaxScaler.transform: X *= scale_, X += min_"""
    rows = _apart("Add", _apart("Mul", rows, step.scale_), step.min_)
    return _clipped(rows, *step.feature_range) if step.clip else rows


def _largest(step: Any, rows: Row) -> Row:
    rows = _apart("Div", rows, step.scale_)
    return _clipped(rows, -1.0, 1.0) if getattr(step, "clip", False) else rows


def _binary(step: Any, rows: Row) -> Row:
    edge = number(step.threshold)
    return [cast(Column("Greater", (one, edge), TensorProto.BOOL), TensorProto.DOUBLE) for one in rows]


def _missing(step: Any, one: Column) -> Column:
    """sklearn.utils._mask._get_mask"""
    if np.isnan(step.missing_values):
        return Column("IsNaN", (one,), TensorProto.BOOL)
    return Column("Equal", (one, number(step.missing_values)), TensorProto.BOOL)


def _kept(step: Any) -> tuple[Array, Array]:
    """The columns that a SimpleImputer keeps, and what it puts in for each. Raises NotAlike for what are no numbers."""
    if not is_told(step):
        raise NotAlike("a SimpleImputer fills in what are no numbers")
    values = np.asarray(step.statistics_, np.float64)
    kept = np.arange(len(values)) if step.keep_empty_features else np.flatnonzero(~np.isnan(values))
    return kept, values[kept].astype(step._fill_dtype).astype(np.float64)


def _imputed(step: Any, rows: Row) -> Row:
    kept, values = _kept(step)
    filled = [Column("Where", (_missing(step, rows[k]), number(v), rows[k])) for k, v in zip(kept, values, strict=True)]
    if step.add_indicator:
        filled += [cast(_missing(step, rows[k]), TensorProto.DOUBLE) for k in step.indicator_.features_]
    return filled


def _selected(step: Any, rows: Row) -> Row:
    return [rows[k] for k in step.get_support(indices=True)]


def _unchanged(step: Any, rows: Row) -> Row:
    if step.func is not None:
        raise NotAlike("a function stands before the trees, and is not known to give the same bits")
    return rows


def _of_columns(step: Any, rows: Row) -> Row:
    """ColumnTransformer.transform: the answers side by side, in the order of its parts."""
    if step.transformer_weights:
        raise NotAlike("a ColumnTransformer weighs its parts")
    answers: Row = []
    for name, part, _ in step.transformers_:
        chosen = [rows[k] for k in step._transformer_to_input_indices[name]]
        if isinstance(part, str):
            answers += chosen if part == "passthrough" else []
        elif chosen:
            answers += _in_turn(part, chosen)
    return answers


def _united(step: Any, rows: Row) -> Row:
    if step.transformer_weights:
        raise NotAlike("a FeatureUnion weighs its parts")
    parts = [part for _, part in step.transformer_list if part not in ("drop", None)]
    return [one for part in parts for one in (rows if isinstance(part, str) else _in_turn(part, rows))]


def _in_turn(part: Any, rows: Row) -> Row:
    for step in steps_of(part):
        rows = told(step, rows)
    return rows


_TOLD: dict[type, Callable[[Any, Row], Row]] = {
    StandardScaler: _standard,
    RobustScaler: _robust,
    MinMaxScaler: _between,
    MaxAbsScaler: _largest,
    Binarizer: _binary,
    SimpleImputer: _imputed,
    SelectorMixin: _selected,
    FunctionTransformer: _unchanged,
    ColumnTransformer: _of_columns,
    FeatureUnion: _united,
}


def _scaled(write: Writer, step: Any, rows: str) -> str:
    offset = step.mean_ if isinstance(step, StandardScaler) else step.center_
    if step.with_mean if isinstance(step, StandardScaler) else step.with_centering:
        rows = write.node("Sub", [rows, write.constant(offset)])
    if step.with_std if isinstance(step, StandardScaler) else step.with_scaling:
        rows = write.node("Div", [rows, write.constant(step.scale_)])
    return rows


def _write_between(write: Writer, step: Any, rows: str) -> str:
    rows = write.node("Mul", [rows, write.constant(step.scale_)])
    rows = write.node("Add", [rows, write.constant(step.min_)])
    return _write_clipped(write, rows, *step.feature_range) if step.clip else rows


def _write_largest(write: Writer, step: Any, rows: str) -> str:
    rows = write.node("Div", [rows, write.constant(step.scale_)])
    return _write_clipped(write, rows, -1.0, 1.0) if getattr(step, "clip", False) else rows


def _write_clipped(write: Writer, rows: str, low: float, high: float) -> str:
    """Clip would not say what becomes of NaN."""
    for kind, value in (("Less", low), ("Greater", high)):
        edge = write.constant([float(value)])
        rows = write.node("Where", [write.node(kind, [rows, edge]), edge, rows])
    return rows


def _write_binary(write: Writer, step: Any, rows: str) -> str:
    above = write.node("Greater", [rows, write.constant([float(step.threshold)])])
    return write.node("Cast", [above], to=TensorProto.DOUBLE)


def _write_missing(write: Writer, step: Any, rows: str) -> str:
    missing = step.missing_values
    if isinstance(missing, float) and np.isnan(missing):
        return write.node("IsNaN", [rows])
    return write.node("Equal", [rows, write.constant([float(missing)])])


def _write_imputed(write: Writer, step: Any, rows: str) -> str:
    kept, values = _kept(step)
    given = _write_selected(write, kept, rows)
    filled = write.node("Where", [_write_missing(write, step, given), write.constant(values), given])
    if not step.add_indicator or not len(step.indicator_.features_):
        return filled
    missing = _write_missing(write, step, _write_selected(write, step.indicator_.features_, rows))
    return write.node("Concat", [filled, write.node("Cast", [missing], to=TensorProto.DOUBLE)], axis=1)


def _write_selected(write: Writer, places: Any, rows: str) -> str:
    return write.node("Gather", [rows, write.constant(np.asarray(places), TensorProto.INT64)], axis=1)


def _write_support(write: Writer, step: Any, rows: str) -> str:
    """skl2onnx 1.20 answers zeros where the first column alone is selected."""
    return _write_selected(write, step.get_support(indices=True), rows)


def _width(step: Any) -> int:
    """How many columns a ColumnTransformer answers."""
    return sum(len(range(*one.indices(2**31))) for one in step.output_indices_.values())


def _write_columns(write: Writer, step: Any, rows: str) -> str:
    """skl2onnx 1.20 leaves all columns in their order where one part takes them in another."""
    answers = []
    for name, part, _ in step.transformers_:
        places = step._transformer_to_input_indices[name]
        if len(places) and part != "drop":
            chosen = _write_selected(write, places, rows)
            answers.append(chosen if isinstance(part, str) else write_in_turn(write, steps_of(part), chosen))
    return answers[0] if len(answers) == 1 else write.node("Concat", answers, axis=1)


WRITTEN: dict[type, tuple[Callable[[Writer, Any, str], str], Callable[[Any], int]]] = {
    StandardScaler: (_scaled, lambda step: step.n_features_in_),
    RobustScaler: (_scaled, lambda step: step.n_features_in_),
    MinMaxScaler: (_write_between, lambda step: step.n_features_in_),
    MaxAbsScaler: (_write_largest, lambda step: step.n_features_in_),
    Binarizer: (_write_binary, lambda step: step.n_features_in_),
    SimpleImputer: (_write_imputed, lambda step: len(_kept(step)[0]) + len(getattr(step.indicator_, "features_", ()))),
    FunctionTransformer: (lambda write, step, rows: rows, lambda step: step.n_features_in_),
    ColumnTransformer: (_write_columns, _width),
    **{kind: (_write_support, lambda step: int(step.get_support().sum())) for kind in SELECTORS},
}
"""Each formula, and how many columns it answers."""
