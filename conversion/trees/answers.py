"""What does scikit-learn do with the sums of the leaves, until they are labels, shares and scores?

Told operator by operator to whoever listens: `forests` writes a graph of it, `proof` compares it with a graph that was written.
Each formula names the method whose operations it repeats, in their order.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from onnx import TensorProto
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomTreesEmbedding,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.multioutput import MultiOutputRegressor

from conversion.errors import NotCovered
from conversion.steps import steps_of
from conversion.trees import elementwise
from conversion.trees.categories import encoding_of
from conversion.trees.ensembles import (
    AVERAGING_FORESTS,
    VOTING_FORESTS,
    Ensemble,
    ensemble_of,
    members_apart,
    starts_alike,
)


@dataclass(frozen=True)
class Answer:
    """`values` are predictions, shares, or an anomaly score; `label` numbers the classes, `scores` is a decision function."""

    values: Any
    label: Any = None
    scores: Any = None


class Nodes(Protocol):
    """A graph that is being written, or that is expected."""

    def node(self, kind: str, inputs: list[Any], output: str | None = None, **given: Any) -> Any: ...

    def constant(self, values: Any, kind: int | None = None) -> Any: ...

    def trees(self, ensemble: Ensemble, rows: Any) -> Any:
        """The sums of the leaves, (n, targets)."""

    def steps(self, steps: Sequence[Any], rows: Any) -> Any:
        """The rows behind elementwise steps."""

    def columns(self, rows: Any, positions: Any) -> Any:
        """Some columns of the rows, in double."""

    def ascending(self, values: Any, count: int) -> Any:
        """The columns of each row in ascending order, (n, count)."""

    def outside(self, model: Any, rows: Any) -> Answer:
        """What a model answers that is told nowhere here."""


def answer(write: Nodes, model: Any, rows: Any) -> Answer:
    """Raises NotCovered. A pipeline is told where its steps are elementwise."""
    if not all(elementwise.is_told(step) for step in steps_of(model)[:-1]):
        return write.outside(model, rows)
    *before, model = steps_of(model)
    if before:
        rows = write.steps(before, rows)
    for kinds, formula in _FORMULAS.items():
        if isinstance(model, kinds):
            return formula(write, model, rows)
    return write.outside(model, rows)


def _sums(write: Nodes, ensemble: Ensemble, rows: Any) -> Any:
    value = write.trees(ensemble, rows)
    return value if ensemble.divisor == 1.0 else write.node("Div", [value, write.constant([ensemble.divisor])])


def _largest(write: Nodes, scores: Any) -> Any:
    return write.node("ArgMax", [scores], axis=1, keepdims=0)


def _second(write: Nodes, comparison: str, score: Any) -> Any:
    """One where the score of the second class compares so with zero."""
    above = write.node("Cast", [write.node(comparison, [score, write.constant([0.0])])], to=TensorProto.INT64)
    return write.node("Reshape", [above, write.constant([-1], TensorProto.INT64)])


def _added(write: Nodes, parts: Sequence[Any]) -> Any:
    return parts[0] if len(parts) == 1 else write.node("Sum", list(parts))


def _votes(write: Nodes, model: Any, rows: Any) -> Answer:
    """predict_proba, predict: the class with the largest mean share; the first of several."""
    shares = _sums(write, ensemble_of(model), rows)
    return Answer(shares, _largest(write, shares))


def _mean(write: Nodes, model: Any, rows: Any) -> Answer:
    return Answer(_sums(write, ensemble_of(model), rows))


def _boosted(write: Nodes, model: Any, rows: Any) -> Answer:
    """_raw_predict; where it starts from another regressor's prediction, that is fed with float32 (`_raw_predict_init`)."""
    raw = _sums(write, ensemble_of(model), rows)
    if starts_alike(model):
        return Answer(raw)
    single = write.node("Cast", [rows], to=TensorProto.FLOAT)
    start = answer(write, model.init_, write.node("Cast", [single], to=TensorProto.DOUBLE)).values
    return Answer(write.node("Add", [start, raw]))


def _boosted_classes(write: Nodes, model: Any, rows: Any) -> Answer:
    """GradientBoostingClassifier.predict takes a score of zero to the second class."""
    if not starts_alike(model):
        raise NotCovered(f"boosting of classes that starts from {type(model.init_).__name__}")
    raw = _sums(write, ensemble_of(model), rows)
    if model.n_classes_ > 2:
        return Answer(write.node("Softmax", [raw], axis=1), _largest(write, raw), raw)
    twice = write.node("Mul", [raw, write.constant([2.0])]) if model.loss == "exponential" else raw
    return Answer(_both(write, twice), _second(write, "GreaterOrEqual", raw), raw)


def _both(write: Nodes, score: Any) -> Any:
    """HalfBinomialLoss.predict_proba"""
    share = write.node("Sigmoid", [score])
    return write.node("Concat", [write.node("Sub", [write.constant([1.0]), share]), share], axis=1)


def _raw_histogram(write: Nodes, model: Any, rows: Any) -> Any:
    encoding = encoding_of(model)
    if encoding is not None:
        parts = [write.trees(encoding.codes, rows)] if encoding.codes.targets else []
        parts += [write.columns(rows, encoding.others)] if len(encoding.others) else []
        rows = parts[0] if len(parts) == 1 else write.node("Concat", parts, axis=1)
    return _sums(write, ensemble_of(model), rows)


def _histogram(write: Nodes, model: Any, rows: Any) -> Answer:
    raw, loss = _raw_histogram(write, model, rows), type(model._loss).__name__
    if loss in ("HalfPoissonLoss", "HalfGammaLoss"):
        return Answer(write.node("Exp", [raw]))
    if loss not in ("HalfSquaredError", "AbsoluteError", "PinballLoss"):
        raise NotCovered(f"the loss {loss}")
    return Answer(raw)


def _histogram_classes(write: Nodes, model: Any, rows: Any) -> Answer:
    """HistGradientBoostingClassifier.predict takes a score of zero to the first class."""
    raw = _raw_histogram(write, model, rows)
    if len(model.classes_) > 2:
        return Answer(write.node("Softmax", [raw], axis=1), _largest(write, raw), raw)
    return Answer(_both(write, raw), _second(write, "Greater", raw), raw)


def _isolated(write: Nodes, model: Any, rows: Any) -> Answer:
    """decision_function = -2 ** -(mean depth / c(max_samples)) - offset_; what is below zero is an outlier, -1."""
    depth = _sums(write, ensemble_of(model), rows)
    anomaly = write.node("Pow", [write.constant([2.0]), write.node("Neg", [depth])])
    score = write.node("Sub", [write.node("Neg", [anomaly]), write.constant([float(model.offset_)])])
    outside = write.node("Less", [score, write.constant([0.0])])
    sides = [write.constant([side], TensorProto.INT64) for side in (-1, 1)]
    chosen = write.node("Where", [outside, *sides])
    return Answer(score, write.node("Reshape", [chosen, write.constant([-1], TensorProto.INT64)]))


def _hits(write: Nodes, label: Any, classes: int) -> Any:
    """True in the column of each row's class."""
    column = write.node("Reshape", [label, write.constant([-1, 1], TensorProto.INT64)])
    return write.node("Equal", [column, write.constant(np.arange(classes), TensorProto.INT64)])


def _bagged_classes(write: Nodes, model: Any, rows: Any) -> Answer:
    """_parallel_predict_proba: members without shares vote; who has not seen a class gives it nothing."""
    try:
        return _votes(write, model, rows)
    except NotCovered:
        parts = []
    for member, columns in zip(model.estimators_, model.estimators_features_, strict=True):
        one = answer(write, member, write.columns(rows, columns))
        share = one.values
        if not hasattr(member, "predict_proba"):
            share = write.node("Cast", [_hits(write, one.label, len(member.classes_))], to=TensorProto.DOUBLE)
        if len(member.classes_) != model.n_classes_:
            share = write.node("MatMul", [share, write.constant(np.eye(model.n_classes_)[member.classes_])])
        parts.append(share)
    shares = write.node("Div", [_added(write, parts), write.constant([float(model.n_estimators)])])
    return Answer(shares, _largest(write, shares))


def _bagged(write: Nodes, model: Any, rows: Any) -> Answer:
    try:
        return _mean(write, model, rows)
    except NotCovered:
        members = zip(model.estimators_, model.estimators_features_, strict=True)
    parts = [answer(write, member, write.columns(rows, columns)).values for member, columns in members]
    return Answer(write.node("Div", [_added(write, parts), write.constant([float(model.n_estimators)])]))


def _adaptive_classes(write: Nodes, model: Any, rows: Any) -> Answer:
    """AdaBoostClassifier.decision_function, predict and _compute_proba_from_decision"""
    count = model.n_classes_
    if count == 1:
        raise NotCovered("AdaBoostClassifier with one class")
    try:
        scores = _sums(write, ensemble_of(model), rows)
    except NotCovered:
        weights = zip(model.estimators_, model.estimator_weights_, strict=False)
        parts = [_weighed(write, model, member, float(weight), rows) for member, weight in weights]
        scores = write.node("Div", [_added(write, parts), write.constant([float(model.estimator_weights_.sum())])])
    if count > 2:
        shares = write.node("Softmax", [write.node("Div", [scores, write.constant([count - 1.0])])], axis=1)
        return Answer(shares, _largest(write, scores), scores)
    first, second = (write.node("Gather", [scores, write.constant([k], TensorProto.INT64)], axis=1) for k in (0, 1))
    score = write.node("Sub", [second, first])
    both = write.node("Concat", [write.node("Neg", [score]), score], axis=1)
    shares = write.node("Softmax", [write.node("Div", [both, write.constant([2.0])])], axis=1)
    return Answer(shares, _second(write, "Greater", score), score)


def _weighed(write: Nodes, model: Any, member: Any, weight: float, rows: Any) -> Any:
    places = write.constant(np.searchsorted(model.classes_, member.classes_), TensorProto.INT64)
    label = write.node("Gather", [places, answer(write, member, rows).label], axis=0)
    sides = [write.constant([weight]), write.constant([-1 / (model.n_classes_ - 1) * weight])]
    return write.node("Where", [_hits(write, label, model.n_classes_), *sides])


def _median(write: Nodes, model: Any, rows: Any) -> Answer:
    """AdaBoostRegressor._get_median_predict: the first member, in the order of predictions, at half of all weights.

    numpy may order equal predictions otherwise, which changes nothing but the rounding of the running sum of weights.
    """
    members, count = model.estimators_, len(model.estimators_)
    try:
        given = write.trees(members_apart(members), rows)
    except NotCovered:
        given = write.node("Concat", [answer(write, member, rows).values for member in members], axis=1)
    place = write.ascending(given, count)
    weights = write.constant(np.asarray(model.estimator_weights_[:count], np.float64))
    running = write.node("CumSum", [write.node("Gather", [weights, place], axis=0), write.constant(1, TensorProto.INT64)])
    half = write.node(
        "Mul", [write.node("Gather", [running, write.constant([-1], TensorProto.INT64)], axis=1), write.constant([0.5])]
    )
    above = write.node("Cast", [write.node("GreaterOrEqual", [running, half])], to=TensorProto.INT64)
    first = write.node("ArgMax", [above], axis=1, keepdims=1)
    chosen = write.node("GatherElements", [place, first], axis=1)
    return Answer(write.node("GatherElements", [given, chosen], axis=1))


def _average(write: Nodes, parts: Sequence[Any], weights: Any) -> Any:
    """numpy.average over the members"""
    if weights is None:
        return write.node("Div", [_added(write, parts), write.constant([float(len(parts))])])
    weighted = [write.node("Mul", [one, write.constant([float(w)])]) for one, w in zip(parts, weights, strict=True)]
    return write.node("Div", [_added(write, weighted), write.constant([float(np.sum(weights))])])


def _elected(write: Nodes, model: Any, rows: Any) -> Answer:
    """VotingClassifier.predict: its members know the classes by number."""
    weights, members = model._weights_not_none, [answer(write, one, rows) for one in model.estimators_]
    if model.voting == "soft":
        shares = _average(write, [one.values for one in members], weights)
        return Answer(shares, _largest(write, shares))
    hits = [_hits(write, one.label, len(model.classes_)) for one in members]
    votes = [write.node("Cast", [hit], to=TensorProto.DOUBLE) for hit in hits]
    counted = [
        write.node("Mul", [vote, write.constant([float(w)])])
        for vote, w in zip(votes, weights or [1.0] * len(votes), strict=True)
    ]
    total = _added(write, counted)
    return Answer(total, _largest(write, total))


def _averaged(write: Nodes, model: Any, rows: Any) -> Answer:
    return Answer(_average(write, [answer(write, one, rows).values for one in model.estimators_], model._weights_not_none))


def _side_by_side(write: Nodes, model: Any, rows: Any) -> Answer:
    return Answer(write.node("Concat", [answer(write, one, rows).values for one in model.estimators_], axis=1))


Formula = Callable[[Nodes, Any, Any], Answer]
_FORMULAS: dict[tuple[type, ...], Formula] = {
    VOTING_FORESTS: _votes,
    (*AVERAGING_FORESTS, RandomTreesEmbedding): _mean,
    (GradientBoostingClassifier,): _boosted_classes,
    (GradientBoostingRegressor,): _boosted,
    (HistGradientBoostingClassifier,): _histogram_classes,
    (HistGradientBoostingRegressor,): _histogram,
    (IsolationForest,): _isolated,
    (BaggingClassifier,): _bagged_classes,
    (BaggingRegressor,): _bagged,
    (AdaBoostClassifier,): _adaptive_classes,
    (AdaBoostRegressor,): _median,
    (VotingClassifier,): _elected,
    (VotingRegressor,): _averaged,
    (MultiOutputRegressor,): _side_by_side,
}
TOLD: tuple[type, ...] = tuple(kind for kinds in _FORMULAS for kind in kinds)
