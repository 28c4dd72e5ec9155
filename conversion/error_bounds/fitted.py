"""What does scikit-learn 1.9 compute in a fitted object's methods, operation by operation, on rows of float64?

`answers` follows each step's own code, in the precision in which it runs, and refuses what it does not know exactly.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn import linear_model
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.cross_decomposition import CCA, PLSCanonical, PLSRegression
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.feature_selection import SelectorMixin
from sklearn.linear_model._base import LinearClassifierMixin, LinearModel
from sklearn.linear_model._glm.glm import _GeneralizedLinearRegressor
from sklearn.linear_model._ridge import _RidgeClassifierMixin
from sklearn.linear_model._stochastic_gradient import BaseSGDRegressor
from sklearn.multioutput import MultiOutputRegressor, RegressorChain
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import FeatureUnion
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

from conversion.error_bounds.choices import Answer, Choice, Labels, plain_classes
from conversion.error_bounds.kernel_maps import KERNELS
from conversion.error_bounds.rounding import NotBounded, Value, joined
from conversion.error_bounds.transforms import TRANSFORMS
from conversion.steps import steps_of
from serving.signature import Array

# The classes that inherit one of each predict X @ coef_.T + intercept_ and nothing else.
_LINEAR = {
    LinearModel.predict,
    linear_model.LinearRegression.predict,
    linear_model.Ridge.predict,
    linear_model.RidgeCV.predict,
    linear_model.BayesianRidge.predict,
    linear_model.ARDRegression.predict,
    BaseSGDRegressor.predict,
}
_SUMS = {LinearModel._decision_function, linear_model.ElasticNet._decision_function, BaseSGDRegressor._decision_function}
_SCORES = {LinearClassifierMixin.decision_function, LinearDiscriminantAnalysis.decision_function}
_LABELS = {LinearClassifierMixin.predict, _RidgeClassifierMixin.predict}


def answers(estimator: Any, method: str, rows: Value) -> Answer:
    """What the method answers for these rows. Raises NotBounded for what it cannot follow."""
    *before, last = steps_of(estimator)
    for step in before:
        rows = _number(_step(step, "transform", rows))
    return _step(last, method, rows)


def covers(estimator: Any) -> bool:
    """Does it consist of nothing but steps that are followed here?"""
    *before, last = steps_of(estimator)
    return all(_known(step, "transform") for step in before) and any(
        _known(last, method) for method in ("transform", "predict")
    )


def _known(step: Any, method: str) -> bool:
    return _follower(step, method) is not None


def _step(step: Any, method: str, rows: Value) -> Answer:
    follow = _follower(step, method)
    if follow is None:
        raise NotBounded(f"no bound is written for {type(step).__name__}.{method}")
    return follow(step, rows)


def _follower(step: Any, method: str) -> Callable[[Any, Value], Answer] | None:
    kind = type(step)
    if method == "transform":
        return (
            _selected
            if _own(step, "transform", {SelectorMixin.transform})
            else (TRANSFORMS | _UNIONS).get(kind) or KERNELS.get((kind, method))
        )
    if method == "predict" and _own(step, "predict", _LINEAR) and _own(step, "_decision_function", _SUMS):
        return _sums
    if _own(step, "decision_function", _SCORES):
        return _linear_classifier(step, method)
    if method == "predict" and _own(step, "predict", {_GeneralizedLinearRegressor.predict}):
        return _generalized
    return (_OTHERS | KERNELS).get((kind, method))


def _own(step: Any, name: str, methods: set[Any]) -> bool:
    """Is the method one of these, as scikit-learn wrote it?"""
    return type(step).__module__.startswith("sklearn.") and getattr(type(step), name, None) in methods


def _number(answer: Answer) -> Value:
    if not isinstance(answer, Value):
        raise NotBounded("a label is computed with")
    return answer


def _selected(step: Any, rows: Value) -> Value:
    return rows.columns(np.flatnonzero(step.get_support()))


def _least_squares(step: Any, rows: Value) -> Value:
    return rows.shift(-step._x_mean).product(step.coef_.T).shift(_spread(step.intercept_, len(step.coef_)))


def _union(step: Any, rows: Value) -> Value:
    if step.transformer_weights:
        raise NotBounded("a union with weights")
    inner = [one for _, one in step.transformer_list if one != "drop"]
    return joined([rows if one == "passthrough" else _number(answers(one, "transform", rows)) for one in inner])


def _by_columns(step: Any, rows: Value) -> Value:
    if step.transformer_weights:
        raise NotBounded("columns with weights")
    parts = []
    for name, inner, columns in step.transformers_:
        places = step._transformer_to_input_indices[name]
        if (isinstance(inner, str) and inner == "drop") or len(places) == 0:
            continue
        chosen = rows.columns(np.asarray(places))
        passes = isinstance(inner, str) or columns is None
        parts.append(chosen if passes else _number(answers(inner, "transform", chosen)))
    return joined(parts)


def _sums(step: Any, rows: Value) -> Value:
    weights = np.atleast_2d(step.coef_).T
    return rows.product(weights).shift(_spread(step.intercept_, weights.shape[1]))


def _spread(constant: Any, width: int) -> Array:
    return np.broadcast_to(np.asarray(constant, np.float64).reshape(-1), (width,))


def _generalized(step: Any, rows: Value) -> Value:
    link, sums = type(step._base_loss.link).__name__, _sums(step, rows)
    if link not in ("LogLink", "IdentityLink"):
        raise NotBounded(f"no bound is written for a {link}")
    return sums.exp() if link == "LogLink" else sums


def _one_class(step: Any, rows: Value) -> Value:
    return rows.product(np.atleast_2d(step.coef_).T).shift(-np.asarray(step.offset_, np.float64))


def _inlier(step: Any, rows: Value) -> Labels:
    return Labels(Choice(_one_class(step, rows), "from"), (-1, 1))


def _several(step: Any, rows: Value) -> Value:
    return joined([_number(answers(one, "predict", rows)) for one in step.estimators_])


def _chained(step: Any, rows: Value) -> Value:
    """_BaseChain._get_predictions"""
    fed = rows
    for one in step.estimators_:
        fed = joined([fed, _number(answers(one, "predict", fed))])
    return fed.columns(rows.width + np.argsort(step.order_))


def _agreed(step: Any, rows: Value) -> Value:
    return _number(answers(step.estimator_, "predict", rows))


def _target(step: Any, rows: Value) -> Value:
    """The regressor, then inverse_transform of what was done to the target."""
    value = _number(answers(step.regressor_, "predict", rows))
    for inner in reversed(steps_of(step.transformer_)):
        if type(inner) not in _UNDONE:
            raise NotBounded(f"no bound is written for the inverse of {type(inner).__name__}")
        value = _UNDONE[type(inner)](inner, value)
    return value


def _undone_scale(step: Any, value: Value) -> Value:
    centre = {StandardScaler: "mean_", RobustScaler: "center_"}.get(type(step), "")
    used = [getattr(step, name, True) for name in ("with_mean", "with_centering", "with_std", "with_scaling")]
    value = value.scale(step.scale_) if used[2] and used[3] else value
    return value.shift(getattr(step, centre)) if centre and used[0] and used[1] else value


def _undone_range(step: Any, value: Value) -> Value:
    return value.shift(-step.min_).divide(step.scale_)


def _undone_function(step: Any, value: Value) -> Value:
    if step.inverse_func is np.exp and not step.inv_kw_args:
        return value.exp()
    if step.inverse_func is not None:
        raise NotBounded(f"no bound is written for the inverse {step.inverse_func}")
    return value


def _network(step: Any, rows: Value) -> Value:
    """BaseMultilayerPerceptron._forward_pass_fast"""
    last = len(step.coefs_) - 1
    for i, (weights, bias) in enumerate(zip(step.coefs_, step.intercepts_, strict=True)):
        rows = rows.product(weights).shift(bias)
        activation = step.out_activation_ if i == last else step.activation
        if activation == "relu":
            rows = rows.relu()
        elif activation == "exp":
            rows = rows.exp()
        elif activation != "identity":
            rows = rows.bend(activation)
    return rows


def both(share: Value) -> Value:
    """The shares of two classes, from that of the second."""
    return joined([share.negate().shift(np.ones(1)), share])


def _network_shares(step: Any, rows: Value) -> Value:
    value = _network(step, rows)
    return both(value) if step.n_outputs_ == 1 else value


def _network_labels(step: Any, rows: Value) -> Labels:
    """LabelBinarizer.inverse_transform of what the network gives."""
    value = _network(step, rows)
    if step._label_binarizer.y_type_.startswith("multilabel"):
        raise NotBounded("several labels for one row")
    choice = Choice(value, "above", 0.5) if step.n_outputs_ == 1 else Choice(value, "largest")
    return Labels(choice, plain_classes(step.classes_))


def _linear_classifier(step: Any, method: str) -> Callable[[Any, Value], Answer] | None:
    if method == "decision_function":
        return _sums
    if method == "predict" and _own(step, "predict", _LABELS):
        return _linear_labels
    if method != "predict_proba":
        return None
    if isinstance(step, linear_model.SGDClassifier):
        return {"log_loss": _one_against_rest, "modified_huber": _huber_shares}.get(step.loss)
    owners = {linear_model.LogisticRegression.predict_proba, LinearDiscriminantAnalysis.predict_proba}
    return _linear_shares if _own(step, "predict_proba", owners) else None


def _linear_labels(step: Any, rows: Value) -> Labels:
    binarizer = getattr(step, "_label_binarizer", None)
    if binarizer is not None and binarizer.y_type_.startswith("multilabel"):
        raise NotBounded("several labels for one row")
    scores = _sums(step, rows)
    return Labels(Choice(scores, "above" if scores.width == 1 else "largest"), plain_classes(step.classes_))


def _linear_shares(step: Any, rows: Value) -> Value:
    """LogisticRegression's and LinearDiscriminantAnalysis's predict_proba"""
    scores = _sums(step, rows)
    return both(scores.bend("logistic")) if len(step.classes_) == 2 else scores.bend("softmax")


def _one_against_rest(step: Any, rows: Value) -> Value:
    """LinearClassifierMixin._predict_proba_lr"""
    shares = _sums(step, rows).logistic()
    return both(shares) if len(step.classes_) == 2 else shares.shares()


def _huber_shares(step: Any, rows: Value) -> Value:
    if len(step.classes_) > 2:
        raise NotBounded("shares of modified_huber jump where all scores fall below -1")
    return both(_sums(step, rows).clip(-1.0, 1.0).shift(np.ones(1)).divide(np.full(1, 2.0)))


_UNIONS: dict[type, Callable[[Any, Value], Value]] = {FeatureUnion: _union, ColumnTransformer: _by_columns}
_UNDONE: dict[type, Callable[[Any, Value], Value]] = {
    StandardScaler: _undone_scale,
    RobustScaler: _undone_scale,
    MaxAbsScaler: _undone_scale,
    MinMaxScaler: _undone_range,
    FunctionTransformer: _undone_function,
}
_OTHERS: dict[tuple[type, str], Callable[[Any, Value], Answer]] = {
    **{(kind, "predict"): _least_squares for kind in (PLSRegression, PLSCanonical, CCA)},
    (MultiOutputRegressor, "predict"): _several,
    (RegressorChain, "predict"): _chained,
    (linear_model.RANSACRegressor, "predict"): _agreed,
    (TransformedTargetRegressor, "predict"): _target,
    (MLPRegressor, "predict"): _network,
    (MLPClassifier, "predict"): _network_labels,
    (MLPClassifier, "predict_proba"): _network_shares,
    (linear_model.SGDOneClassSVM, "predict"): _inlier,
    (linear_model.SGDOneClassSVM, "decision_function"): _one_class,
}
