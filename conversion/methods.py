"""Which of scikit-learn's methods is the model, and so what are the graph's outputs called?"""

from typing import Any

from sklearn.base import is_classifier, is_clusterer, is_outlier_detector
from sklearn.feature_extraction import DictVectorizer, FeatureHasher
from sklearn.feature_extraction.image import PatchExtractor
from sklearn.feature_selection import SelectorMixin
from sklearn.preprocessing import LabelBinarizer, LabelEncoder, MultiLabelBinarizer

from conversion.errors import Refused
from conversion.steps import steps_of

_MAPPINGS = "takes mappings of names to values, and a graph takes columns: build the table with pandas and fit the rest on it"
_LABELS = "turns labels into numbers and takes no rows; the classifier that was fitted on its labels is the model"
# What a first step takes that no tensor holds, and what to do instead.
UNSERVABLE: dict[type, str] = {
    DictVectorizer: _MAPPINGS,
    FeatureHasher: _MAPPINGS,
    LabelBinarizer: _LABELS,
    LabelEncoder: _LABELS,
    MultiLabelBinarizer: _LABELS,
    PatchExtractor: "answers another number of rows than it was given; cut the patches before the rows are sent",
}


def check_servable(estimator: Any) -> None:
    """Raises Refused where the first step takes no rows of numbers or text."""
    for kind, reason in UNSERVABLE.items():
        if isinstance(steps_of(estimator)[0], kind):
            raise Refused(f"{kind.__name__} {reason}")


def methods_of(estimator: Any, wanted: list[str] | None = None) -> list[str]:
    """The methods that become outputs, named after them.

    Predictors give `predict` and `predict_proba` (else `decision_function`), outlier detectors `predict` and
    `decision_function`, clusterers `predict` and `transform`, transformers `transform`, selectors of features too, though
    some of them predict. `wanted` picks some of these.
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
    if isinstance(steps_of(estimator)[-1], SelectorMixin):
        return ["transform"]
    if is_outlier_detector(estimator):
        return ["predict", "decision_function"]
    if is_clusterer(estimator):
        return ["predict", "transform"]
    if is_classifier(estimator) or hasattr(estimator, "predict_proba"):
        return ["predict", "predict_proba" if hasattr(estimator, "predict_proba") else "decision_function"]
    return ["predict"] if hasattr(estimator, "predict") else ["transform"]
