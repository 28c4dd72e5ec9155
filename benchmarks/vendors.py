"""Which models would vendors bring? A second family, written without a look at `pipelines`, on data of `vendor_data`."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from sklearn import ensemble as e
from sklearn import linear_model as lm
from sklearn import preprocessing as p
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import Birch, BisectingKMeans, KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector
from sklearn.covariance import EllipticEnvelope
from sklearn.decomposition import PCA, FactorAnalysis, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.feature_selection import RFECV, SelectFromModel, SelectPercentile, VarianceThreshold
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, DotProduct, RationalQuadratic, WhiteKernel
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.isotonic import IsotonicRegression
from sklearn.kernel_ridge import KernelRidge
from sklearn.mixture import BayesianGaussianMixture
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV, TunedThresholdClassifierCV
from sklearn.model_selection._search_successive_halving import HalvingGridSearchCV
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier, MultiOutputRegressor, RegressorChain
from sklearn.naive_bayes import BernoulliNB, CategoricalNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.neighbors import (
    KNeighborsClassifier,
    KNeighborsRegressor,
    LocalOutlierFactor,
    NearestCentroid,
    NeighborhoodComponentsAnalysis,
    RadiusNeighborsClassifier,
)  # fmt: skip
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import FeatureUnion, make_pipeline, make_union
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.svm import SVC, SVR, LinearSVC, NuSVR, OneClassSVM
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeRegressor

from benchmarks import vendor_data as on
from benchmarks.training_data import Case, Maker

Made = dict[str, tuple[Callable[[], Any], Maker]]
pipe = make_pipeline


def vendors() -> Iterator[Case]:
    """In the order in which they stand here."""
    for name, (make, data) in {**_TABLES, **_TEXTS, **_FORESTS, **_SMOOTH, **_NEAREST, **_TOGETHER, **_ODD, **_WATCH}.items():
        yield Case(f"vendor: {name}", make, data)


def _logistic(**given: Any) -> Any:
    return lm.LogisticRegression(max_iter=2000, **given)


def _forest(trees: int = 15, **given: Any) -> Any:
    return e.RandomForestClassifier(trees, random_state=1, **given)


def _hist(**given: Any) -> Any:
    return e.HistGradientBoostingClassifier(max_iter=15, random_state=1, **given)


def _hist_regressor(**given: Any) -> Any:
    return e.HistGradientBoostingRegressor(max_iter=15, random_state=1, **given)


def _boosted(**given: Any) -> Any:
    return e.GradientBoostingClassifier(n_estimators=15, random_state=1, **given)


def _churn(numbers: Any, texts: Any) -> Any:
    return ColumnTransformer([("n", numbers, ["tenure", "monthly", "total"]), ("c", texts, ["contract", "payment"])])


def _credit(numbers: Any, texts: Any) -> Any:
    return ColumnTransformer([("n", numbers, ["income", "debt", "age"]), ("c", texts, ["purpose", "region"])])


def _one_hot(**given: Any) -> Any:
    return p.OneHotEncoder(handle_unknown="ignore", **given)


def _two() -> Any:
    return [("r", lm.Ridge()), ("t", DecisionTreeRegressor(max_depth=3, random_state=1))]


def _ordinal() -> Any:
    return p.OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)


_TABLES: Made = {
    "churn, logistic": (lambda: pipe(_churn(p.StandardScaler(), _one_hot(drop="if_binary")), _logistic()), on.churn),
    "churn, boosting on codes": (lambda: pipe(_churn("passthrough", _ordinal()), _boosted()), on.churn),
    "churn, searched columns": (
        lambda: GridSearchCV(
            pipe(_churn(p.RobustScaler(), _one_hot()), _forest()), {"randomforestclassifier__max_depth": [3, 6]}, cv=3
        ),
        on.churn,
    ),
    "churn, monotone boosting": (lambda: _hist(monotonic_cst={"tenure": -1, "monthly": 1}), on.churn_number),
    "churn, calibrated, threshold tuned": (
        lambda: TunedThresholdClassifierCV(
            CalibratedClassifierCV(pipe(p.StandardScaler(), LinearSVC(random_state=1)), cv=3), cv=3
        ),
        on.churn_number,
    ),
    "churn, search within columns": (
        lambda: pipe(
            _churn(pipe(p.StandardScaler(), PCA(2)), p.TargetEncoder(random_state=1)),
            GridSearchCV(_logistic(), {"C": [0.1, 1.0]}, cv=3),
        ),
        on.churn,
    ),
    "churn, category columns, boosting": (lambda: _hist(categorical_features="from_dtype"), on.category_frame),
    "churn, category columns, one-hot": (
        lambda: pipe(
            ColumnTransformer(
                [
                    ("c", _one_hot(), make_column_selector(dtype_include="category")),
                    ("n", p.StandardScaler(), make_column_selector(dtype_include="number")),
                    ("b", "passthrough", make_column_selector(dtype_include="bool")),
                ]
            ),
            _logistic(),
        ),
        on.category_frame,
    ),
    "churn, nullable columns": (
        lambda: pipe(
            ColumnTransformer(
                [("n", pipe(SimpleImputer(), p.StandardScaler()), ["tenure", "monthly"]), ("c", _one_hot(), ["contract"])]
            ),
            _logistic(),
        ),
        on.nullable_frame,
    ),
    "credit, imputed, logistic": (
        lambda: pipe(
            _credit(pipe(SimpleImputer(strategy="median", add_indicator=True), p.StandardScaler()), _one_hot(min_frequency=30)),
            _logistic(class_weight="balanced"),
        ),
        on.credit,
    ),
    "credit, gaps in texts": (
        lambda: pipe(
            _credit(SimpleImputer(), pipe(SimpleImputer(strategy="constant", fill_value="unknown"), _one_hot())), _forest()
        ),
        on.credit_text_gaps,
    ),
    "credit, log, spline, boosting": (
        lambda: pipe(
            ColumnTransformer(
                [
                    ("l", pipe(SimpleImputer(), p.FunctionTransformer(np.log), p.SplineTransformer(4)), ["income", "debt"]),
                    ("c", _ordinal(), ["purpose", "region"]),
                ],
                remainder="drop",
            ),
            _hist(),
        ),
        on.credit,
    ),
    "credit, three deep": (
        lambda: pipe(
            ColumnTransformer(
                [
                    (
                        "n",
                        pipe(
                            SimpleImputer(),
                            make_union(pipe(p.PowerTransformer(), PCA(2)), p.QuantileTransformer(n_quantiles=20)),
                        ),
                        [0, 1, 2],
                    )
                ]
            ),
            pipe(p.MinMaxScaler(), pipe(SelectPercentile(percentile=60), _logistic())),
        ),
        on.credit_number,
    ),
    "credit, neighbours fill in, forest": (lambda: pipe(KNNImputer(n_neighbors=3), _forest()), on.credit_number),
    "prices, logged target": (
        lambda: TransformedTargetRegressor(
            pipe(ColumnTransformer([("n", p.StandardScaler(), ["area", "rooms"]), ("c", _one_hot(), ["city"])]), lm.RidgeCV()),
            func=np.log,
            inverse_func=np.exp,
        ),
        on.prices,
    ),
    "prices, scaled target, forest": (
        lambda: TransformedTargetRegressor(e.ExtraTreesRegressor(15, random_state=1), transformer=p.MinMaxScaler()),
        on.price_numbers,
    ),
    "prices, gamma": (
        lambda: pipe(p.StandardScaler(), p.PolynomialFeatures(2), lm.GammaRegressor(alpha=0.1)),
        on.price_numbers,
    ),
}
_TEXTS: Made = {
    "tickets, tf-idf, linear svc": (lambda: pipe(TfidfVectorizer(), CalibratedClassifierCV(LinearSVC(), cv=3)), on.tickets),
    "tickets, counts, naive bayes": (lambda: pipe(CountVectorizer(min_df=2), MultinomialNB()), on.tickets),
    "tickets, word triples": (
        lambda: pipe(
            TfidfVectorizer(ngram_range=(1, 3), max_features=300, sublinear_tf=True), lm.SGDClassifier(random_state=1)
        ),
        on.tickets,
    ),
    "tickets, own pattern": (
        lambda: pipe(TfidfVectorizer(token_pattern=r"(?u)\b[a-z-]+\b", norm="l1", use_idf=False), _logistic()),
        on.tickets,
    ),
    "tickets, svd, knn": (
        lambda: pipe(TfidfVectorizer(), TruncatedSVD(6, random_state=1), KNeighborsClassifier(3)),
        on.tickets,
    ),
    "tickets, hashed, boosted": (lambda: pipe(HashingVectorizer(n_features=32, norm=None), lm.RidgeClassifier()), on.tickets),
    "tickets, two vectorizers": (
        lambda: pipe(make_union(TfidfVectorizer(), CountVectorizer(binary=True, max_features=20)), ComplementNB()),
        on.tickets,
    ),
    "tickets with numbers": (
        lambda: pipe(
            ColumnTransformer(
                [
                    ("t", TfidfVectorizer(), "subject"),
                    ("n", pipe(p.FunctionTransformer(np.log1p), p.StandardScaler()), ["age_h"]),
                ],
                remainder="passthrough",
            ),
            _logistic(),
        ),
        on.tickets_with_numbers,
    ),
}
_FORESTS: Made = {
    "forest, weighted classes": (lambda: _forest(class_weight="balanced_subsample", min_samples_leaf=2), on.classes),
    "forest, even, integers": (lambda: _forest(10), on.integer_table),
    "forest, thirty classes": (lambda: _forest(8, max_depth=7), on.thirty_classes),
    "forest, one in two hundred": (lambda: _forest(class_weight="balanced"), on.one_in_two_hundred),
    "forest, single precision": (lambda: e.ExtraTreesClassifier(12, random_state=1), on.single_precision),
    "forest, heavy tails": (lambda: pipe(p.RobustScaler(), _forest()), on.cauchy),
    "forest, sample weights": (_forest, on.weighted),
    "forest, billions": (_forest, on.billions),
    "forest, true or false table": (_forest, on.bool_table),
    "forest after pca": (lambda: pipe(p.StandardScaler(), PCA(3), _forest()), on.classes),
    "forest, entropy, gaps": (lambda: e.RandomForestClassifier(10, criterion="entropy", random_state=1), on.gap_classes),
    "forest, absolute error, gaps": (lambda: e.RandomForestRegressor(6, random_state=1), on.gaps),
    "tree, best first": (lambda: DecisionTreeClassifier(max_leaf_nodes=9, random_state=1), on.cauchy),
    "tree, three labels": (lambda: DecisionTreeClassifier(max_depth=5, random_state=1), on.several_labels),
    "tree, several targets": (lambda: ExtraTreeRegressor(random_state=1), on.several_targets),
    "tree after scaler, drift": (lambda: pipe(p.StandardScaler(), DecisionTreeRegressor(random_state=1)), on.drift),
    "tree, poisson": (lambda: DecisionTreeRegressor(criterion="poisson", max_depth=6, random_state=1), on.claims),
    "boosting, subsampled": (lambda: _boosted(subsample=0.6, max_features=2), on.true_or_false),
    "boosting, begun by a forest": (
        lambda: e.GradientBoostingRegressor(init=e.RandomForestRegressor(3, random_state=1), n_estimators=10),
        on.numbers,
    ),
    "boosting, huber, weights": (
        lambda: e.GradientBoostingRegressor(loss="huber", n_estimators=15, random_state=1),
        on.weighted_regression,
    ),
    "histogram boosting, thirty classes": (lambda: _hist(max_depth=3), on.thirty_classes),
    "histogram boosting, gaps, gamma": (
        lambda: pipe(_hist_regressor(loss="gamma", interaction_cst="no_interactions")),
        on.price_numbers,
    ),
    "histogram boosting, quantile": (lambda: _hist_regressor(loss="quantile", quantile=0.8), on.gaps),
    "histogram boosting, codes": (lambda: _hist_regressor(categorical_features=[0, 2]), on.integer_table),
    "histogram boosting, atoms": (lambda: _hist(), on.atom_classes),
    "adaboost, stumps": (lambda: e.AdaBoostClassifier(n_estimators=12, random_state=1), on.integer_table),
    "adaboost, deep regress": (
        lambda: e.AdaBoostRegressor(DecisionTreeRegressor(max_depth=4), n_estimators=9, random_state=1),
        on.numbers,
    ),
    "bagged knn": (lambda: e.BaggingClassifier(KNeighborsClassifier(3), 7, max_features=0.6, random_state=1), on.classes),
    "bagged svc": (lambda: e.BaggingClassifier(SVC(), 5, random_state=1), on.binary_numbers),
    "bagged pipelines": (
        lambda: e.BaggingRegressor(pipe(p.StandardScaler(), lm.Lasso(0.05)), 6, max_samples=0.7, random_state=1),
        on.numbers,
    ),
}
_SMOOTH: Made = {
    "svr after pca": (lambda: pipe(p.StandardScaler(), PCA(3), SVR(C=5, epsilon=0.05)), on.numbers),
    "nu svr, drift": (lambda: pipe(p.StandardScaler(), NuSVR(C=5)), on.drift),
    "svc, thirty classes": (lambda: pipe(p.StandardScaler(), SVC(C=3)), on.thirty_classes),
    "svc, break ties": (lambda: pipe(p.StandardScaler(), SVC(break_ties=True)), on.classes),
    "svc linear, integers": (lambda: SVC(kernel="linear"), on.integer_table),
    "svc, two a class": (lambda: SVC(gamma=0.5), on.one_column_two_a_class),
    "lasso over polynomials": (
        lambda: pipe(p.StandardScaler(), p.PolynomialFeatures(3), lm.Lasso(0.02, max_iter=20000)),
        on.numbers,
    ),
    "spline, poisson": (lambda: pipe(p.SplineTransformer(5, degree=2), lm.PoissonRegressor(alpha=1e-3)), on.claims),
    "periodic spline, ridge": (lambda: pipe(p.SplineTransformer(6, extrapolation="periodic"), lm.Ridge()), on.claims),
    "quantile regression": (lambda: pipe(p.StandardScaler(), lm.QuantileRegressor(quantile=0.9, alpha=0.01)), on.numbers),
    "elastic net, duplicates": (
        lambda: pipe(VarianceThreshold(), p.StandardScaler(), lm.ElasticNetCV(cv=3)),
        on.constant_and_twice_regression,
    ),
    "linear, collinear, 1e6": (lm.LinearRegression, on.drift),
    "logistic, 300 columns": (lambda: pipe(p.StandardScaler(), _logistic(C=0.1)), on.three_hundred_columns),
    "pca of 300, ridge": (lambda: pipe(p.StandardScaler(), PCA(0.9), lm.Ridge()), on.three_hundred_columns_regression),
    "logistic, billions": (lambda: pipe(p.StandardScaler(), _logistic()), on.billions),
    "logistic, negative labels, drift": (lambda: pipe(p.QuantileTransformer(n_quantiles=20), _logistic()), on.drift_classes),
    "logistic, true or false": (lambda: pipe(p.MaxAbsScaler(), _logistic()), on.true_or_false),
    "logistic, weighted": (lambda: _logistic(), on.weighted),
    "ridge, single precision": (lambda: pipe(p.StandardScaler(), lm.Ridge()), on.single_precision_regression),
    "lda shrunk, duplicates": (lambda: LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"), on.constant_and_twice),
    "qda, regularised": (lambda: QuadraticDiscriminantAnalysis(reg_param=0.1), on.classes),
    "sgd, modified huber": (
        lambda: pipe(p.StandardScaler(), lm.SGDClassifier(loss="modified_huber", random_state=1)),
        on.classes,
    ),
    "sgd regress, atoms": (lambda: pipe(p.StandardScaler(), lm.SGDRegressor(random_state=1)), on.atoms),
    "network, heavy tails": (
        lambda: pipe(
            p.QuantileTransformer(n_quantiles=30, output_distribution="normal"),
            MLPClassifier((12,), max_iter=200, random_state=1),
        ),
        on.cauchy,
    ),
    "network, several targets": (
        lambda: pipe(p.StandardScaler(), MLPRegressor(hidden_layer_sizes=(10, 6), max_iter=200, random_state=1)),
        on.several_targets,
    ),
    "process, quadratic": (
        lambda: pipe(p.StandardScaler(), GaussianProcessRegressor(RationalQuadratic() + WhiteKernel())),
        on.numbers,
    ),
    "process, linear kernel, atoms": (
        lambda: GaussianProcessRegressor(DotProduct() + WhiteKernel(), normalize_y=True),
        on.atoms,
    ),
    "process, classes": (lambda: pipe(p.StandardScaler(), GaussianProcessClassifier(RBF())), on.one_column_two_a_class),
    "kernel ridge, laplace": (lambda: pipe(p.StandardScaler(), KernelRidge(kernel="laplacian", alpha=0.3)), on.numbers),
    "isotonic": (lambda: IsotonicRegression(out_of_bounds="clip"), on.one_column),
    "theil-sen": (lambda: pipe(p.StandardScaler(), lm.TheilSenRegressor(max_subpopulation=200, random_state=1)), on.numbers),
    "tweedie, claims": (
        lambda: pipe(p.KBinsDiscretizer(5, quantile_method="averaged_inverted_cdf"), lm.TweedieRegressor(power=1.5)),
        on.claims,
    ),
    "factor analysis, logistic": (lambda: pipe(p.StandardScaler(), FactorAnalysis(2, random_state=1), _logistic()), on.classes),
}
_NEAREST: Made = {
    "knn after pca": (lambda: pipe(p.StandardScaler(), PCA(2), KNeighborsClassifier(5)), on.classes),
    "knn, integers": (lambda: KNeighborsClassifier(3), on.integer_table),
    "knn, twice with other labels": (lambda: KNeighborsClassifier(2), on.ties),
    "knn by distance, grid": (lambda: KNeighborsClassifier(4, weights="distance"), on.ties),
    "knn regress by distance, drift": (lambda: KNeighborsRegressor(3, weights="distance"), on.drift),
    "knn, two a class": (lambda: KNeighborsClassifier(2), on.one_column_two_a_class),
    "knn, chebyshev": (lambda: pipe(p.MinMaxScaler(), KNeighborsRegressor(4, metric="chebyshev")), on.several_targets),
    "knn, cosine": (lambda: KNeighborsClassifier(4, metric="cosine"), on.classes),
    "radius, true or false": (
        lambda: pipe(p.StandardScaler(), RadiusNeighborsClassifier(1.5, outlier_label=False)),
        on.true_or_false,
    ),
    "components analysed, knn": (
        lambda: pipe(
            p.StandardScaler(), NeighborhoodComponentsAnalysis(2, max_iter=20, random_state=1), KNeighborsClassifier(3)
        ),
        on.classes,
    ),
    "centroid, shrunk": (lambda: pipe(p.StandardScaler(), NearestCentroid(shrink_threshold=0.2)), on.classes),
    "centroid, manhattan, integers": (lambda: NearestCentroid(metric="manhattan"), on.integer_table),
    "k-means, billions": (lambda: KMeans(3, n_init=2, random_state=1), on.billions),
    "k-means, integers": (lambda: KMeans(4, n_init=2, random_state=1), on.integer_table),
    "bisecting k-means": (lambda: pipe(p.StandardScaler(), BisectingKMeans(5, random_state=1)), on.numbers),
    "birch, drift": (lambda: pipe(p.StandardScaler(), Birch(n_clusters=3)), on.drift),
}
_TOGETHER: Made = {
    "stacked, knn and trees": (
        lambda: e.StackingClassifier(
            [
                ("k", pipe(p.StandardScaler(), KNeighborsClassifier(3))),
                ("t", DecisionTreeClassifier(max_depth=4, random_state=1)),
            ],
            _logistic(),
            cv=3,
            passthrough=True,
        ),
        on.classes,
    ),
    "stacked on stacked": (
        lambda: e.StackingRegressor(
            [("s", e.StackingRegressor(_two(), lm.RidgeCV(), cv=3)), ("l", lm.Lasso(0.1))],
            _hist_regressor(),
            cv=3,
        ),
        on.numbers,
    ),
    "stacked labels": (
        lambda: e.StackingClassifier([("s", LinearSVC()), ("f", _forest(5))], _boosted(), cv=3, stack_method="predict"),
        on.classes,
    ),
    "votes, weighted hard": (
        lambda: e.VotingClassifier(
            [("l", _logistic()), ("t", DecisionTreeClassifier(max_depth=3)), ("n", GaussianNB())], weights=[0.1, 0.2, 0.3]
        ),
        on.classes,
    ),
    "votes, hard, even": (
        lambda: e.VotingClassifier([("l", _logistic()), ("t", DecisionTreeClassifier(max_depth=3, random_state=1))]),
        on.true_or_false,
    ),
    "votes, soft of pipelines": (
        lambda: e.VotingClassifier(
            [("a", pipe(p.StandardScaler(), SVC(probability=True, random_state=1))), ("b", _hist())],
            voting="soft",
            weights=[2, 1],
        ),
        on.binary_numbers,
    ),
    "votes regress, gaps": (
        lambda: e.VotingRegressor([("h", _hist_regressor()), ("r", pipe(SimpleImputer(), lm.Ridge()))]),
        on.gaps,
    ),
    "calibrated forest": (lambda: CalibratedClassifierCV(_forest(6), method="isotonic", cv=3), on.classes),
    "calibrated by temperature": (
        lambda: CalibratedClassifierCV(pipe(p.StandardScaler(), _logistic()), method="temperature", cv=3),
        on.classes,
    ),
    "calibrated, frozen": (
        lambda: CalibratedClassifierCV(FrozenEstimator(_forest(6).fit(on.binary_numbers().X, on.binary_numbers().y))),
        on.binary_numbers,
    ),
    "threshold fixed at 0.1": (
        lambda: FixedThresholdClassifier(_boosted(), threshold=0.1, response_method="predict_proba"),
        on.one_in_two_hundred,
    ),
    "threshold on decisions": (
        lambda: FixedThresholdClassifier(pipe(p.StandardScaler(), SVC()), threshold=-0.3, response_method="decision_function"),
        on.binary_numbers,
    ),
    "one against one": (lambda: OneVsOneClassifier(pipe(p.StandardScaler(), LinearSVC(random_state=1))), on.classes),
    "one against the rest, trees": (
        lambda: OneVsRestClassifier(DecisionTreeClassifier(max_depth=3, random_state=1)),
        on.classes,
    ),
    "output codes": (lambda: OutputCodeClassifier(pipe(p.StandardScaler(), _logistic()), random_state=1), on.classes),
    "many outputs, boosting": (lambda: MultiOutputRegressor(e.GradientBoostingRegressor(n_estimators=8)), on.several_targets),
    "many labels, knn": (lambda: MultiOutputClassifier(KNeighborsClassifier(3)), on.several_labels),
    "chain of regressors": (lambda: RegressorChain(lm.Ridge(), order=[3, 0, 2, 1]), on.several_targets),
    "chain of forests": (lambda: ClassifierChain(_forest(5), order=[2, 0, 1]), on.several_labels),
    "halving search, svr": (
        lambda: HalvingGridSearchCV(pipe(p.StandardScaler(), SVR()), {"svr__C": [1.0, 10.0]}, cv=3, random_state=1),
        on.numbers,
    ),
    "eliminated with folds, then forest": (lambda: pipe(RFECV(_logistic(), cv=3), _forest(8)), on.binary_numbers),
    "chosen by lasso, svr": (lambda: pipe(p.StandardScaler(), SelectFromModel(lm.Lasso(0.05)), SVR()), on.numbers),
    "self training": (lambda: pipe(p.StandardScaler(), SelfTrainingClassifier(_logistic())), on.drift_classes),
}
_ODD: Made = {
    "binned, naive bayes": (
        lambda: pipe(
            p.KBinsDiscretizer(4, encode="ordinal", strategy="kmeans", random_state=1), CategoricalNB(min_categories=4)
        ),
        on.classes,
    ),
    "binarised, bernoulli": (lambda: pipe(p.Binarizer(threshold=1.0), BernoulliNB()), on.integer_table),
    "naive bayes, tiny": (lambda: GaussianNB(), on.atom_classes),
    "naive bayes, two hundred to one": (lambda: pipe(p.StandardScaler(), GaussianNB()), on.one_in_two_hundred),
    "always the same": (lambda: DummyClassifier(strategy="prior"), on.churn_number),
    "function of numpy": (lambda: pipe(p.FunctionTransformer(np.cbrt, validate=True), lm.Ridge()), on.cauchy_regression),
    "sine and cosine": (
        lambda: pipe(
            FeatureUnion([("s", p.FunctionTransformer(np.sin)), ("c", p.FunctionTransformer(np.cos)), ("i", "passthrough")]),
            lm.Ridge(),
        ),
        on.claims,
    ),
    "normalised rows": (lambda: pipe(p.Normalizer("max"), _logistic()), on.classes),
    "power transform, heavy tails": (
        lambda: pipe(p.PowerTransformer(), lm.HuberRegressor(max_iter=1000)),
        on.cauchy_regression,
    ),
    "one-hot of integers": (lambda: pipe(_one_hot(), _logistic()), on.integer_table),
    "codes by their target": (
        lambda: pipe(p.TargetEncoder(random_state=1, target_type="binary"), _forest(6)),
        on.integer_table,
    ),
    "frozen scaler, tree": (lambda: pipe(FrozenEstimator(p.StandardScaler().fit(on.classes().X)), _boosted()), on.classes),
}
_WATCH: Made = {
    "isolation forest after pca": (
        lambda: pipe(p.StandardScaler(), PCA(2), e.IsolationForest(n_estimators=20, contamination=0.08, random_state=1)),
        on.numbers,
    ),
    "isolation forest, integers": (
        lambda: e.IsolationForest(n_estimators=15, contamination=0.1, max_features=2, random_state=1),
        on.integer_table,
    ),
    "one-class svm": (lambda: pipe(p.RobustScaler(), OneClassSVM(nu=0.05, gamma=0.2)), on.cauchy),
    "sgd one-class": (lambda: pipe(p.StandardScaler(), lm.SGDOneClassSVM(random_state=1)), on.numbers),
    "envelope after pca": (lambda: pipe(PCA(2), EllipticEnvelope(random_state=1)), on.numbers),
    "outliers by density, grid": (lambda: LocalOutlierFactor(5, novelty=True), on.integer_table),
    "mixture, bayesian": (
        lambda: pipe(p.StandardScaler(), BayesianGaussianMixture(n_components=3, random_state=1, max_iter=300)),
        on.numbers,
    ),
    "mixture of heavy tails": (
        lambda: pipe(p.QuantileTransformer(n_quantiles=25), KMeans(3, n_init=2, random_state=1)),
        on.cauchy,
    ),
}
