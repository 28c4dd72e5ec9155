"""Which models does the benchmark convert? Every estimator of scikit-learn, each on data that suits it."""

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import numpy as np
from sklearn import ensemble, feature_selection, linear_model, model_selection, tree
from sklearn.base import RegressorMixin
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import SparseCoder
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.utils import all_estimators

from benchmarks import training_data as on
from benchmarks.large import large
from benchmarks.pipelines import pipelines
from benchmarks.training_data import Case, Maker
from benchmarks.vendors import vendors

ANSWERS_NEW_ROWS = ("predict", "transform")


def _logistic() -> Any:
    return make_pipeline(StandardScaler(), linear_model.LogisticRegression())


def _two_trees(kind: Any) -> list[tuple[str, Any]]:
    return [(f"tree{depth}", kind(max_depth=depth, random_state=depth)) for depth in (2, 4)]


# What cannot be made without arguments, or answers nothing worth comparing with the default ones.
_MADE: dict[str, Callable[[type], Any]] = {
    "ClassifierChain": lambda kind: kind(_logistic()),
    "ColumnTransformer": lambda kind: ColumnTransformer([("s", StandardScaler(), [0, 3]), ("m", MinMaxScaler(), [1, 2])]),
    "FeatureUnion": lambda kind: FeatureUnion([("s", StandardScaler()), ("m", MinMaxScaler())]),
    "FixedThresholdClassifier": lambda kind: kind(_logistic(), threshold=0.3, response_method="predict_proba"),
    "FrozenEstimator": lambda kind: FrozenEstimator(_logistic().fit(on.classification().X, on.classification().y)),
    "GaussianRandomProjection": lambda kind: kind(n_components=3, random_state=0),
    "GenericUnivariateSelect": lambda kind: kind(mode="k_best", param=3),
    "GridSearchCV": lambda kind: kind(linear_model.Ridge(), {"alpha": [0.1, 1.0]}),
    "LatentDirichletAllocation": lambda kind: kind(n_components=3, random_state=0),
    "MultiOutputClassifier": lambda kind: kind(_logistic()),
    "MultiOutputRegressor": lambda kind: kind(linear_model.Ridge()),
    "OneVsOneClassifier": lambda kind: kind(_logistic()),
    "OneVsRestClassifier": lambda kind: kind(_logistic()),
    "OutputCodeClassifier": lambda kind: kind(_logistic(), random_state=0),
    "Pipeline": lambda kind: Pipeline([("scale", StandardScaler()), ("ridge", linear_model.Ridge())]),
    "RFE": lambda kind: kind(linear_model.LogisticRegression(), n_features_to_select=3),
    "RFECV": lambda kind: kind(linear_model.LogisticRegression(), cv=3),
    "RandomizedSearchCV": lambda kind: kind(linear_model.Ridge(), {"alpha": [0.1, 1.0]}, n_iter=2, random_state=0),
    "RegressorChain": lambda kind: kind(linear_model.Ridge()),
    "SelectFromModel": lambda kind: kind(linear_model.Ridge()),
    "SelectKBest": lambda kind: kind(k=3),
    "SelectPercentile": lambda kind: kind(percentile=50),
    "SelfTrainingClassifier": lambda kind: SelfTrainingClassifier(_logistic()),
    "SequentialFeatureSelector": lambda kind: feature_selection.SequentialFeatureSelector(linear_model.Ridge(), cv=3),
    "SparseCoder": lambda kind: SparseCoder(np.random.default_rng(0).standard_normal((5, 6))),
    "SparseRandomProjection": lambda kind: kind(n_components=3, random_state=0),
    "StackingClassifier": lambda kind: ensemble.StackingClassifier(_two_trees(tree.DecisionTreeClassifier), cv=3),
    "StackingRegressor": lambda kind: ensemble.StackingRegressor(_two_trees(tree.DecisionTreeRegressor), cv=3),
    "TunedThresholdClassifierCV": lambda kind: model_selection.TunedThresholdClassifierCV(_logistic()),
    "VotingClassifier": lambda kind: ensemble.VotingClassifier(_two_trees(tree.DecisionTreeClassifier)),
    "VotingRegressor": lambda kind: ensemble.VotingRegressor(_two_trees(tree.DecisionTreeRegressor)),
}
_DATA: dict[str, Maker] = {
    "AdditiveChi2Sampler": on.positive, "BernoulliNB": on.counts, "BernoulliRBM": on.few_values, "CCA": on.multi_regression,
    "CategoricalNB": on.codes, "ClassifierChain": on.multi_label, "ComplementNB": on.counts, "CountVectorizer": on.texts,
    "DictVectorizer": on.dicts, "FeatureHasher": on.dicts, "FixedThresholdClassifier": on.binary,
    "GammaRegressor": on.positive_regression, "HashingVectorizer": on.texts, "IsotonicRegression": on.one_feature,
    "KernelCenterer": on.kernel, "LabelBinarizer": on.labels, "LabelEncoder": on.labels,
    "LabelPropagation": on.half_labelled, "LabelSpreading": on.half_labelled, "LatentDirichletAllocation": on.counts,
    "MiniBatchNMF": on.positive, "MissingIndicator": on.missing, "MultiLabelBinarizer": on.label_sets,
    "MultiOutputClassifier": on.multi_class_outputs, "MultiOutputRegressor": on.multi_regression,
    "MultiTaskElasticNet": on.multi_regression, "MultiTaskElasticNetCV": on.multi_regression,
    "MultiTaskLasso": on.multi_regression, "MultiTaskLassoCV": on.multi_regression, "MultinomialNB": on.counts,
    "NMF": on.positive, "OneHotEncoder": on.categories, "OrdinalEncoder": on.categories, "PLSCanonical": on.multi_regression,
    "PLSRegression": on.multi_regression, "PLSSVD": on.multi_regression, "PatchExtractor": on.images,
    "PoissonRegressor": on.positive_regression, "RegressorChain": on.multi_regression,
    "SelfTrainingClassifier": on.half_labelled, "SimpleImputer": on.missing, "KNNImputer": on.missing,
    "SkewedChi2Sampler": on.positive, "SparseRandomProjection": on.wide, "GaussianRandomProjection": on.wide,
    "TargetEncoder": on.categories, "TfidfTransformer": on.counts, "TfidfVectorizer": on.texts,
    "TunedThresholdClassifierCV": on.binary, "TweedieRegressor": on.positive_regression, "RFE": on.classification,
    "RFECV": on.classification,
}  # fmt: skip


def estimators() -> Iterator[Case]:
    """Every estimator that scikit-learn has, in its own order."""
    for name, kind in all_estimators():
        # Experimental ones are listed once something has enabled them, and not before.
        if kind.__module__.endswith(("_search_successive_halving", "impute._iterative")):
            continue
        yield Case(name, partial(_made, name, kind), _DATA.get(name, _usual(kind)))


def answers_new_rows(kind: Any) -> bool:
    return any(hasattr(kind, method) for method in ANSWERS_NEW_ROWS)


def _made(name: str, kind: Any) -> Any:
    made = _MADE[name](kind) if name in _MADE else kind()
    return made.set_params(random_state=0) if "random_state" in made.get_params(deep=False) else made


def _usual(kind: Any) -> Maker:
    return on.regression if issubclass(kind, RegressorMixin) else on.classification


@cache
def cases() -> dict[str, Case]:
    """All of them, by name."""
    return {case.name: case for case in (*estimators(), *pipelines(), *vendors(), *large())}
