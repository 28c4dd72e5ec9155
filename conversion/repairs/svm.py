"""Support vector machines in double: the kernel by one matrix product, labels by the votes of every pair of classes.

onnxruntime's SVMClassifier and SVMRegressor compute in float32 whatever they are given (onnxruntime issue 11284), so votes
flip near a boundary, and there is none for double input.
"""

from itertools import combinations
from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import DoubleTensorType, Int64TensorType
from sklearn.svm import SVC, SVR, NuSVC, NuSVR, OneClassSVM

from conversion.repairs.classes import SCORES, label_type, write_labels
from conversion.repairs.inside import check_not_rounded
from conversion.writer import Writer
from serving.signature import Array

NAME = "svm"
_CLASSIFIERS, _REGRESSORS = (SVC, NuSVC), (SVR, NuSVR)
COVERED: tuple[type, ...] = (*_CLASSIFIERS, *_REGRESSORS, OneClassSVM)


def register() -> None:
    for model in _CLASSIFIERS:
        update_registered_converter(model, f"Unjar{model.__name__}", _class_shape, _classify, overwrite=True, options=SCORES)
    for model in _REGRESSORS:
        update_registered_converter(model, f"Unjar{model.__name__}", _value_shape, _regress, overwrite=True)
    update_registered_converter(OneClassSVM, "UnjarOneClassSVM", _side_shape, _detect, overwrite=True)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def _class_shape(operator: Any) -> None:
    model = operator.raw_operator
    count = len(model.classes_)
    columns = 1 if count == 2 else count * (count - 1) // 2 if model.decision_function_shape == "ovo" else count
    operator.outputs[0].type, operator.outputs[1].type = label_type(model.classes_), DoubleTensorType([None, columns])


def _value_shape(operator: Any) -> None:
    operator.outputs[0].type = DoubleTensorType([None, 1])


def _side_shape(operator: Any) -> None:
    operator.outputs[0].type, operator.outputs[1].type = Int64TensorType([None]), DoubleTensorType([None, 1])


def _check_kernel(model: Any) -> None:
    if model._sparse or model.kernel not in ("linear", "poly", "rbf", "sigmoid"):
        raise ValueError(f"kernel={model.kernel!r} fitted on {'sparse' if model._sparse else 'dense'} rows is not covered")


def _kernel(write: Writer, operator: Any) -> str:
    """`k_function` of libsvm's svm.cpp between the rows and every support vector."""
    model = operator.raw_operator
    vectors = model.support_vectors_
    rows = write.node("Cast", [operator.inputs[0].full_name], to=TensorProto.DOUBLE)
    if model.kernel == "rbf":
        return _radial(write, rows, vectors, model._gamma)
    product = write.node("MatMul", [rows, write.constant(vectors.T)])
    if model.kernel == "linear":
        return product
    scaled = write.node("Add", [write.node("Mul", [product, write.constant([model._gamma])]), write.constant([model.coef0])])
    if model.kernel == "sigmoid":
        return write.node("Tanh", [scaled])
    return write.node("Pow", [scaled, write.constant([float(model.degree)])])


def _radial(write: Writer, rows: str, vectors: Array, gamma: float) -> str:
    """e^(-gamma |x - v|^2), about the mean of the vectors: libsvm subtracts first, so nothing may cancel here either."""
    mean = vectors.mean(axis=0)
    about = vectors - mean
    centred = write.node("Sub", [rows, write.constant(mean)])
    own = write.node("ReduceSumSquare", [centred, write.constant([1], TensorProto.INT64)], keepdims=1)
    squares = write.constant(np.einsum("ij,ij->i", about, about))
    crossed = write.node("Gemm", [centred, write.constant(-2.0 * about.T), squares])
    apart = write.node("Max", [write.node("Add", [crossed, own]), write.constant([0.0])])
    return write.node("Exp", [write.node("Mul", [apart, write.constant([-gamma])])])


def _decisions(write: Writer, operator: Any, weights: Array) -> str:
    intercept = np.asarray(operator.raw_operator._intercept_, np.float64)
    return write.node("Gemm", [_kernel(write, operator), write.constant(weights), write.constant(intercept)])


def _regress(scope: Any, operator: Any, container: Any) -> None:
    _check_kernel(operator.raw_operator)
    write = Writer(scope, container)
    value = _decisions(write, operator, operator.raw_operator._dual_coef_.T)
    write.node("Identity", [value], operator.outputs[0].full_name)


def _detect(scope: Any, operator: Any, container: Any) -> None:
    _check_kernel(operator.raw_operator)
    write = Writer(scope, container)
    score = _decisions(write, operator, operator.raw_operator._dual_coef_.T)
    write.node("Identity", [score], operator.outputs[1].full_name)
    inside = write.node("Greater", [score, write.constant([0.0])])
    sides = [write.constant([side], TensorProto.INT64) for side in (1, -1)]
    chosen = write.node("Where", [inside, *sides])
    write.node("Reshape", [chosen, write.constant([-1], TensorProto.INT64)], operator.outputs[0].full_name)


def _classify(scope: Any, operator: Any, container: Any) -> None:
    model, write = operator.raw_operator, Writer(scope, container)
    _check_kernel(model)
    if hasattr(model, "predict_proba"):
        raise ValueError("probability=True: libsvm's coupling of probabilities stops early; use CalibratedClassifierCV")
    if len(model.classes_) > 2:
        # Votes jump, and so does the score that is made of them.
        check_not_rounded(model, operator.inputs)
    labels, scores = (output.full_name for output in operator.outputs)
    pairs = list(combinations(range(len(model.classes_)), 2))
    decisions = _decisions(write, operator, _pairwise(model, pairs))
    if len(model.classes_) == 2:
        write.node("Neg", [decisions], scores)
    elif model.decision_function_shape == "ovo":
        write.node("Identity", [decisions], scores)
    else:
        write.node("Identity", [_one_against_rest(write, decisions, pairs)], scores)
    votes = scores if model.break_ties and len(pairs) > 1 else _votes(write, "Greater", decisions, pairs)
    write_labels(write, model.classes_, write.node("ArgMax", [votes], axis=1, keepdims=0), labels)


def _pairwise(model: Any, pairs: list[tuple[int, int]]) -> Array:
    """(support vectors, pairs): `predict_values` takes the coefficients of both classes' own vectors."""
    ends = np.cumsum(model._n_support)
    own = [slice(end - count, end) for end, count in zip(ends, model._n_support, strict=True)]
    weights = np.zeros((len(model.support_vectors_), len(pairs)))
    for column, (first, second) in enumerate(pairs):
        weights[own[first], column] = model._dual_coef_[second - 1, own[first]]
        weights[own[second], column] = model._dual_coef_[first, own[second]]
    return weights


def sides(pairs: list[tuple[int, int]]) -> tuple[Array, Array]:
    """Which class each pair's first and second is, as zeros and ones."""
    count = max(second for _, second in pairs) + 1
    return tuple(np.eye(count)[[pair[side] for pair in pairs]] for side in (0, 1))  # type: ignore[return-value]


def _votes(write: Writer, kind: str, decisions: str, pairs: list[tuple[int, int]]) -> str:
    """How many pairs each class wins; a pair's first class wins above zero (or from zero on)."""
    first, second = sides(pairs)
    won = write.node("Cast", [write.node(kind, [decisions, write.constant([0.0])])], to=TensorProto.DOUBLE)
    lost = write.node("Sub", [write.constant([1.0]), won])
    return write.node(
        "Add", [write.node("MatMul", [one, write.constant(side)]) for one, side in ((won, first), (lost, second))]
    )


def _one_against_rest(write: Writer, decisions: str, pairs: list[tuple[int, int]]) -> str:
    """`_ovr_decision_function`: votes, plus the sum of confidences squeezed into a third either way."""
    first, second = sides(pairs)
    summed = write.node("MatMul", [decisions, write.constant(first - second)])
    return write.node("Add", [_votes(write, "GreaterOrEqual", decisions, pairs), squeezed(write, summed)])


def squeezed(write: Writer, summed: str) -> str:
    """x / (3 (|x| + 1)), between a third either way."""
    wide = write.node("Add", [write.node("Abs", [summed]), write.constant([1.0])])
    return write.node("Div", [summed, write.node("Mul", [wide, write.constant([3.0])])])
