"""Which models would vendors bring? A second family, written without a look at `pipelines`, on data of `vendor_data`."""

from collections.abc import Iterator

import numpy as np
from sklearn import ensemble as e
from sklearn import linear_model as lm
from sklearn import preprocessing as p
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import Birch, BisectingKMeans, KMeans
from sklearn.covariance import EllipticEnvelope
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.dummy import DummyClassifier
from sklearn.feature_selection import RFECV, SelectFromModel, VarianceThreshold
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, DotProduct, RationalQuadratic, WhiteKernel
from sklearn.impute import SimpleImputer
from sklearn.isotonic import IsotonicRegression
from sklearn.kernel_ridge import KernelRidge
from sklearn.mixture import BayesianGaussianMixture
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.model_selection._search_successive_halving import HalvingGridSearchCV
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier, MultiOutputRegressor, RegressorChain
from sklearn.naive_bayes import BernoulliNB, CategoricalNB, GaussianNB
from sklearn.neighbors import (
    KNeighborsClassifier,
    KNeighborsRegressor,
    LocalOutlierFactor,
    NearestCentroid,
    NeighborhoodComponentsAnalysis,
    RadiusNeighborsClassifier,
)  # fmt: skip
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import FeatureUnion
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.svm import SVC, SVR, LinearSVC, NuSVR, OneClassSVM
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeRegressor

from benchmarks import vendor_data as on
from benchmarks.training_data import Case
from benchmarks.vendor_steps import Made, boosted, forest, hist, hist_regressor, logistic, one_hot, pipe, two
from benchmarks.vendor_tables import TABLES, TEXTS


def vendors() -> Iterator[Case]:
    """In the order in which they stand here."""
    for name, (make, data) in {**TABLES, **TEXTS, **_FORESTS, **_SMOOTH, **_NEAREST, **_TOGETHER, **_ODD, **_WATCH}.items():
        yield Case(f"vendor: {name}", make, data)


_FORESTS: Made = {
    "forest, weighted classes": (lambda: forest(class_weight="balanced_subsample", min_samples_leaf=2), on.classes),
    "forest, even, integers": (lambda: forest(10), on.integer_table),
    "forest, thirty classes": (lambda: forest(8, max_depth=7), on.thirty_classes),
    "forest, one in two hundred": (lambda: forest(class_weight="balanced"), on.one_in_two_hundred),
    "forest, single precision": (lambda: e.ExtraTreesClassifier(12, random_state=1), on.single_precision),
    "forest, heavy tails": (lambda: pipe(p.RobustScaler(), forest()), on.cauchy),
    "forest, sample weights": (forest, on.weighted),
    "forest, billions": (forest, on.billions),
    "forest, true or false table": (forest, on.bool_table),
    "forest after pca": (lambda: pipe(p.StandardScaler(), PCA(3), forest()), on.classes),
    "forest, entropy, gaps": (lambda: e.RandomForestClassifier(10, criterion="entropy", random_state=1), on.gap_classes),
    "forest, absolute error, gaps": (lambda: e.RandomForestRegressor(6, random_state=1), on.gaps),
    "tree, best first": (lambda: DecisionTreeClassifier(max_leaf_nodes=9, random_state=1), on.cauchy),
    "tree, three labels": (lambda: DecisionTreeClassifier(max_depth=5, random_state=1), on.several_labels),
    "tree, several targets": (lambda: ExtraTreeRegressor(random_state=1), on.several_targets),
    "tree after scaler, drift": (lambda: pipe(p.StandardScaler(), DecisionTreeRegressor(random_state=1)), on.drift),
    "tree, poisson": (lambda: DecisionTreeRegressor(criterion="poisson", max_depth=6, random_state=1), on.claims),
    "boosting, subsampled": (lambda: boosted(subsample=0.6, max_features=2), on.true_or_false),
    "boosting, begun by a forest": (
        lambda: e.GradientBoostingRegressor(init=e.RandomForestRegressor(3, random_state=1), n_estimators=10),
        on.numbers,
    ),
    "boosting, huber, weights": (
        lambda: e.GradientBoostingRegressor(loss="huber", n_estimators=15, random_state=1),
        on.weighted_regression,
    ),
    "histogram boosting, thirty classes": (lambda: hist(max_depth=3), on.thirty_classes),
    "histogram boosting, gaps, gamma": (
        lambda: pipe(hist_regressor(loss="gamma", interaction_cst="no_interactions")),
        on.price_numbers,
    ),
    "histogram boosting, quantile": (lambda: hist_regressor(loss="quantile", quantile=0.8), on.gaps),
    "histogram boosting, codes": (lambda: hist_regressor(categorical_features=[0, 2]), on.integer_table),
    "histogram boosting, atoms": (lambda: hist(), on.atom_classes),
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
    "logistic, 300 columns": (lambda: pipe(p.StandardScaler(), logistic(C=0.1)), on.three_hundred_columns),
    "pca of 300, ridge": (lambda: pipe(p.StandardScaler(), PCA(0.9), lm.Ridge()), on.three_hundred_columns_regression),
    "logistic, billions": (lambda: pipe(p.StandardScaler(), logistic()), on.billions),
    "logistic, negative labels, drift": (lambda: pipe(p.QuantileTransformer(n_quantiles=20), logistic()), on.drift_classes),
    "logistic, true or false": (lambda: pipe(p.MaxAbsScaler(), logistic()), on.true_or_false),
    "logistic, weighted": (lambda: logistic(), on.weighted),
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
    "factor analysis, logistic": (lambda: pipe(p.StandardScaler(), FactorAnalysis(2, random_state=1), logistic()), on.classes),
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
            logistic(),
            cv=3,
            passthrough=True,
        ),
        on.classes,
    ),
    "stacked on stacked": (
        lambda: e.StackingRegressor(
            [("s", e.StackingRegressor(two(), lm.RidgeCV(), cv=3)), ("l", lm.Lasso(0.1))],
            hist_regressor(),
            cv=3,
        ),
        on.numbers,
    ),
    "stacked labels": (
        lambda: e.StackingClassifier([("s", LinearSVC()), ("f", forest(5))], boosted(), cv=3, stack_method="predict"),
        on.classes,
    ),
    "votes, weighted hard": (
        lambda: e.VotingClassifier(
            [("l", logistic()), ("t", DecisionTreeClassifier(max_depth=3)), ("n", GaussianNB())], weights=[0.1, 0.2, 0.3]
        ),
        on.classes,
    ),
    "votes, hard, even": (
        lambda: e.VotingClassifier([("l", logistic()), ("t", DecisionTreeClassifier(max_depth=3, random_state=1))]),
        on.true_or_false,
    ),
    "votes, soft of pipelines": (
        lambda: e.VotingClassifier(
            [("a", pipe(p.StandardScaler(), SVC(probability=True, random_state=1))), ("b", hist())],
            voting="soft",
            weights=[2, 1],
        ),
        on.binary_numbers,
    ),
    "votes regress, gaps": (
        lambda: e.VotingRegressor([("h", hist_regressor()), ("r", pipe(SimpleImputer(), lm.Ridge()))]),
        on.gaps,
    ),
    "calibrated forest": (lambda: CalibratedClassifierCV(forest(6), method="isotonic", cv=3), on.classes),
    "calibrated by temperature": (
        lambda: CalibratedClassifierCV(pipe(p.StandardScaler(), logistic()), method="temperature", cv=3),
        on.classes,
    ),
    "calibrated, frozen": (
        lambda: CalibratedClassifierCV(FrozenEstimator(forest(6).fit(on.binary_numbers().X, on.binary_numbers().y))),
        on.binary_numbers,
    ),
    "threshold fixed at 0.1": (
        lambda: FixedThresholdClassifier(boosted(), threshold=0.1, response_method="predict_proba"),
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
    "output codes": (lambda: OutputCodeClassifier(pipe(p.StandardScaler(), logistic()), random_state=1), on.classes),
    "many outputs, boosting": (lambda: MultiOutputRegressor(e.GradientBoostingRegressor(n_estimators=8)), on.several_targets),
    "many labels, knn": (lambda: MultiOutputClassifier(KNeighborsClassifier(3)), on.several_labels),
    "chain of regressors": (lambda: RegressorChain(lm.Ridge(), order=[3, 0, 2, 1]), on.several_targets),
    "chain of forests": (lambda: ClassifierChain(forest(5), order=[2, 0, 1]), on.several_labels),
    "halving search, svr": (
        lambda: HalvingGridSearchCV(pipe(p.StandardScaler(), SVR()), {"svr__C": [1.0, 10.0]}, cv=3, random_state=1),
        on.numbers,
    ),
    "eliminated with folds, then forest": (lambda: pipe(RFECV(logistic(), cv=3), forest(8)), on.binary_numbers),
    "chosen by lasso, svr": (lambda: pipe(p.StandardScaler(), SelectFromModel(lm.Lasso(0.05)), SVR()), on.numbers),
    "self training": (lambda: pipe(p.StandardScaler(), SelfTrainingClassifier(logistic())), on.drift_classes),
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
    "normalised rows": (lambda: pipe(p.Normalizer("max"), logistic()), on.classes),
    "power transform, heavy tails": (
        lambda: pipe(p.PowerTransformer(), lm.HuberRegressor(max_iter=1000)),
        on.cauchy_regression,
    ),
    "one-hot of integers": (lambda: pipe(one_hot(), logistic()), on.integer_table),
    "codes by their target": (
        lambda: pipe(p.TargetEncoder(random_state=1, target_type="binary"), forest(6)),
        on.integer_table,
    ),
    "frozen scaler, tree": (lambda: pipe(FrozenEstimator(p.StandardScaler().fit(on.classes().X)), boosted()), on.classes),
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
