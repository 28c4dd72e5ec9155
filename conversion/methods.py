"""Which of scikit-learn's methods is the model, and so what are the graph's outputs called?"""

from typing import Any

from sklearn.base import is_classifier, is_clusterer, is_outlier_detector

from conversion.errors import Refused


def methods_of(estimator: Any, wanted: list[str] | None = None) -> list[str]:
    """The methods that become outputs, named after them.

    Predictors give `predict` and `predict_proba` (else `decision_function`), outlier detectors `predict` and
    `decision_function`, clusterers `predict` and `transform`, transformers `transform`. `wanted` picks some of these.
    Raises Refused when there is none, or none of that name.
    """
    present = [name for name in _usual(estimator) if hasattr(estimator, name)]
    if not present:
        raise Refused(f"{type(estimator).__name__} has no method that answers new rows (predict, transform, ...)")
    for name in wanted or []:
        if name not in present and not hasattr(estimator, name):
            raise Refused(f"--methods {name}: {type(estimator).__name__} has no such method; it has {present}")
    return list(wanted or present)


def _usual(estimator: Any) -> list[str]:
    if is_outlier_detector(estimator):
        return ["predict", "decision_function"]
    if is_clusterer(estimator):
        return ["predict", "transform"]
    if is_classifier(estimator) or hasattr(estimator, "predict_proba"):
        return ["predict", "predict_proba" if hasattr(estimator, "predict_proba") else "decision_function"]
    return ["predict"] if hasattr(estimator, "predict") else ["transform"]
