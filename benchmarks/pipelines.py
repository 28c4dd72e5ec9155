"""Which real-life models, beside scikit-learn's own estimators, does the benchmark convert?"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from sklearn import ensemble as e
from sklearn import linear_model as lm
from sklearn import preprocessing as p
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import NMF, PCA, FastICA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.feature_selection import RFE, SelectFromModel, SelectKBest, VarianceThreshold, f_regression
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern, WhiteKernel
from sklearn.impute import KNNImputer, MissingIndicator, SimpleImputer
from sklearn.kernel_approximation import Nystroem, RBFSampler
from sklearn.kernel_ridge import KernelRidge
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV, RandomizedSearchCV, TunedThresholdClassifierCV
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier, MultiOutputRegressor
from sklearn.naive_bayes import BernoulliNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor, LocalOutlierFactor, NearestCentroid
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import FeatureUnion, make_pipeline, make_union
from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR, NuSVC, OneClassSVM
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from benchmarks import training_data as on
from benchmarks.training_data import Case, Maker

Made = dict[str, tuple[Callable[[], Any], Maker]]
pipe = make_pipeline


def pipelines() -> Iterator[Case]:
    """In the order in which they stand here."""
    for name, (make, data) in {**_SCALED, **_TREES, **_COLUMNS, **_TEXT, **_META, **_LABELS, **_NUMBERS, **_OTHERS}.items():
        yield Case(name, make, data)


def _logistic(**given: Any) -> Any:
    return lm.LogisticRegression(max_iter=1000, **given)


def _forest(**given: Any) -> Any:
    return e.RandomForestClassifier(20, random_state=0, **given)


def _forest_regressor(**given: Any) -> Any:
    return e.RandomForestRegressor(20, random_state=0, **given)


def _hist(**given: Any) -> Any:
    return e.HistGradientBoostingClassifier(max_iter=20, random_state=0, **given)


def _hist_regressor(**given: Any) -> Any:
    return e.HistGradientBoostingRegressor(max_iter=20, random_state=0, **given)


def _network(**given: Any) -> Any:
    return MLPClassifier((16, 8), max_iter=150, random_state=0, **given)


def _network_regressor(**given: Any) -> Any:
    return MLPRegressor(hidden_layer_sizes=(16, 8), max_iter=150, random_state=0, **given)


_SCALED: Made = {
    "scaler, logistic": (lambda: pipe(p.StandardScaler(), _logistic()), on.classification),
    "scaler, ridge": (lambda: pipe(p.StandardScaler(), lm.Ridge()), on.regression),
    "scaler, network": (lambda: pipe(p.StandardScaler(), _network()), on.classification),
    "scaler, network, 3 outputs": (lambda: pipe(p.StandardScaler(), _network_regressor()), on.multi_regression),
    "scaler, pca, network, 3 outputs": (
        lambda: pipe(p.StandardScaler(), PCA(8), _network_regressor(activation="tanh")), on.wide_regression,
    ),
    "network, logistic activation": (
        lambda: pipe(p.StandardScaler(), _network(activation="logistic", solver="lbfgs")), on.binary,
    ),
    "network, labels 3": (lambda: pipe(p.StandardScaler(), _network()), on.multi_label),
    "pca, svc": (lambda: pipe(PCA(3), SVC()), on.classification),
    "scaler, svc with probability": (
        lambda: pipe(p.StandardScaler(), SVC(probability=True, random_state=0)), on.classification,
    ),
    "scaler, svc polynomial": (lambda: pipe(p.StandardScaler(), SVC(kernel="poly", degree=3)), on.binary),
    "scaler, svc sigmoid": (lambda: pipe(p.StandardScaler(), SVC(kernel="sigmoid")), on.binary),
    "scaler, svc one against one": (
        lambda: pipe(p.StandardScaler(), SVC(decision_function_shape="ovo", class_weight="balanced")), on.classification,
    ),
    "scaler, nusvc": (lambda: pipe(p.StandardScaler(), NuSVC(nu=0.3)), on.classification),
    "scaler, linear svc": (lambda: pipe(p.StandardScaler(), LinearSVC(random_state=0)), on.classification),
    "scaler, svr": (lambda: pipe(p.StandardScaler(), SVR(C=10)), on.regression),
    "scaler, linear svr": (lambda: pipe(p.StandardScaler(), LinearSVR(random_state=0)), on.regression),
    "robust scaler, huber": (lambda: pipe(p.RobustScaler(), lm.HuberRegressor()), on.regression),
    "min-max, knn": (lambda: pipe(p.MinMaxScaler(), KNeighborsClassifier()), on.classification),
    "scaler, knn by distance": (lambda: pipe(p.StandardScaler(), KNeighborsRegressor(weights="distance")), on.regression),
    "scaler, knn manhattan": (lambda: pipe(p.StandardScaler(), KNeighborsClassifier(7, p=1, weights="distance")), on.binary),
    "knn, 3 outputs": (lambda: pipe(p.StandardScaler(), KNeighborsRegressor(3)), on.multi_regression),
    "max-abs, sgd": (lambda: pipe(p.MaxAbsScaler(), lm.SGDClassifier(random_state=0)), on.classification),
    "scaler, sgd modified huber": (
        lambda: pipe(p.StandardScaler(), lm.SGDClassifier(loss="modified_huber", random_state=0)), on.classification,
    ),
    "scaler, sgd log loss": (lambda: pipe(p.StandardScaler(), lm.SGDClassifier(loss="log_loss", random_state=0)), on.binary),
    "scaler, ridge classifier": (lambda: pipe(p.StandardScaler(), lm.RidgeClassifier()), on.classification),
    "scaler, perceptron": (lambda: pipe(p.StandardScaler(), lm.Perceptron(random_state=0)), on.classification),
    "power transform, ridge": (lambda: pipe(p.PowerTransformer(), lm.Ridge()), on.regression),
    "quantiles, logistic": (lambda: pipe(p.QuantileTransformer(n_quantiles=50), _logistic()), on.classification),
    "normal quantiles, ridge": (
        lambda: pipe(p.QuantileTransformer(n_quantiles=30, output_distribution="normal"), lm.Ridge()), on.regression,
    ),
    "polynomial, ridge": (lambda: pipe(p.StandardScaler(), p.PolynomialFeatures(3), lm.Ridge()), on.regression),
    "interactions, lasso": (
        lambda: pipe(p.StandardScaler(), p.PolynomialFeatures(2, interaction_only=True), lm.Lasso(0.01)), on.regression,
    ),
    "splines, ridge": (lambda: pipe(p.SplineTransformer(), lm.Ridge()), on.regression),
    "splines, constant outside": (
        lambda: pipe(p.SplineTransformer(n_knots=6, extrapolation="constant"), _logistic()), on.classification,
    ),
    "normaliser, centroid": (lambda: pipe(p.Normalizer(), NearestCentroid()), on.classification),
    "log, scaler, ridge": (
        lambda: pipe(p.FunctionTransformer(np.log1p), p.StandardScaler(), lm.Ridge()), on.positive,
    ),
    "whitened pca, gaussian process": (
        lambda: pipe(PCA(3, whiten=True), GaussianProcessRegressor(ConstantKernel() * RBF() + WhiteKernel())), on.regression,
    ),
    "scaler, matern process": (
        lambda: pipe(p.StandardScaler(), GaussianProcessRegressor(Matern(nu=1.5), alpha=0.1, normalize_y=True)), on.regression,
    ),
    "scaler, gaussian process classes": (lambda: pipe(p.StandardScaler(), GaussianProcessClassifier(RBF())), on.binary),
    "scaler, kernel ridge": (lambda: pipe(p.StandardScaler(), KernelRidge(kernel="rbf", alpha=0.1)), on.regression),
    "nystroem, logistic": (
        lambda: pipe(p.StandardScaler(), Nystroem(n_components=40, random_state=0), _logistic()), on.classification,
    ),
    "random kitchen sinks, ridge": (
        lambda: pipe(p.StandardScaler(), RBFSampler(n_components=50, random_state=0), lm.Ridge()), on.regression,
    ),
    "independent components, logistic": (
        lambda: pipe(FastICA(4, random_state=0, whiten="unit-variance"), _logistic()), on.classification,
    ),
    "pls, 3 outputs": (lambda: pipe(p.StandardScaler(), PLSRegression(3)), on.multi_regression),
    "lda, knn": (lambda: pipe(LinearDiscriminantAnalysis(), KNeighborsClassifier(3)), on.classification),
    "scaler, qda": (lambda: pipe(p.StandardScaler(), QuadraticDiscriminantAnalysis()), on.classification),
    "scaler, gaussian naive bayes": (lambda: pipe(p.StandardScaler(), GaussianNB()), on.classification),
    "scaler, k-means": (lambda: pipe(p.StandardScaler(), KMeans(4, n_init=2, random_state=0)), on.regression),
    "scaler, mixture": (lambda: pipe(p.StandardScaler(), GaussianMixture(3, random_state=0)), on.regression),
    "distances to centres, logistic": (
        lambda: pipe(p.StandardScaler(), MiniBatchKMeans(5, n_init=2, random_state=0), _logistic()), on.classification,
    ),
}  # fmt: skip
_TREES: Made = {
    "scaler, forest": (lambda: pipe(p.StandardScaler(), _forest()), on.classification),
    "scaler, forest regressor": (lambda: pipe(p.StandardScaler(), _forest_regressor()), on.regression),
    "pca, gradient boosting": (
        lambda: pipe(PCA(4), e.GradientBoostingClassifier(n_estimators=20, random_state=0)), on.classification,
    ),
    "forest, 3 outputs": (_forest_regressor, on.multi_regression),
    "forest, large targets": (_forest_regressor, on.large_targets),
    "forest, votes that tie": (lambda: e.RandomForestClassifier(10, random_state=0), on.few_values),
    "extra trees, missing values": (lambda: e.ExtraTreesClassifier(20, random_state=0), on.missing),
    "forest, missing values": (_forest, on.missing),
    "forest, missing values asked later": (_forest_regressor, on.missing_regression),
    "tree, pruned": (lambda: DecisionTreeClassifier(ccp_alpha=0.01, random_state=0), on.classification),
    "tree, deep, missing values": (lambda: DecisionTreeRegressor(random_state=0), on.missing_regression),
    "gradient boosting, log loss": (lambda: e.GradientBoostingClassifier(n_estimators=30, random_state=0), on.binary),
    "gradient boosting, exponential": (
        lambda: e.GradientBoostingClassifier(loss="exponential", n_estimators=20, random_state=0), on.binary,
    ),
    "gradient boosting, started by a model": (
        lambda: e.GradientBoostingRegressor(init=lm.Ridge(), n_estimators=20, random_state=0), on.regression,
    ),
    "gradient boosting, quantile": (
        lambda: e.GradientBoostingRegressor(loss="quantile", alpha=0.9, n_estimators=20, random_state=0), on.regression,
    ),
    "histogram boosting, missing values": (_hist, on.missing),
    "histogram boosting, poisson": (lambda: _hist_regressor(loss="poisson"), on.positive_regression),
    "histogram boosting, categories": (lambda: _hist(categorical_features=[0]), on.code_frame),
    "scaler, histogram boosting": (lambda: pipe(p.StandardScaler(), _hist_regressor()), on.regression),
    "imputer, gradient boosting": (
        lambda: pipe(SimpleImputer(strategy="median"), e.GradientBoostingClassifier(n_estimators=20, random_state=0)),
        on.missing,
    ),
    "imputer with indicator, forest": (lambda: pipe(SimpleImputer(add_indicator=True), _forest()), on.missing),
    "neighbours fill in, logistic": (lambda: pipe(KNNImputer(), p.StandardScaler(), _logistic()), on.missing),
    "missing flags beside values": (
        lambda: pipe(make_union(SimpleImputer(), MissingIndicator(features="all")), _logistic()), on.missing,
    ),
    "bagged trees": (lambda: e.BaggingClassifier(n_estimators=15, random_state=0), on.classification),
    "bagged on some columns": (
        lambda: e.BaggingRegressor(lm.Ridge(), 10, max_features=0.5, random_state=0), on.regression,
    ),
    "boosted trees": (
        lambda: e.AdaBoostClassifier(DecisionTreeClassifier(max_depth=2), n_estimators=15, random_state=0), on.classification,
    ),
    "boosted trees regress": (lambda: e.AdaBoostRegressor(n_estimators=15, random_state=0), on.regression),
    "isolation forest": (lambda: e.IsolationForest(n_estimators=30, contamination=0.1, random_state=0), on.regression),
    "scaler, isolation forest": (
        lambda: pipe(p.StandardScaler(), e.IsolationForest(n_estimators=20, random_state=0)), on.regression,
    ),
    "leaves, logistic": (lambda: pipe(e.RandomTreesEmbedding(10, max_depth=3, random_state=0), _logistic()), on.classification),
}  # fmt: skip


def _mixed(numbers: Any = None, categories: Any = None) -> Any:
    return ColumnTransformer(
        [
            ("n", numbers or p.StandardScaler(), ["chord", "speed", "mass"]),
            ("c", categories or p.OneHotEncoder(handle_unknown="ignore"), ["family", "grade"]),
        ]
    )


_COLUMNS: Made = {
    "mixed columns, logistic": (lambda: pipe(_mixed(), _logistic()), on.frame),
    "mixed columns, forest": (lambda: pipe(_mixed(), _forest()), on.frame),
    "mixed columns, ordinal, histogram boosting": (
        lambda: pipe(
            _mixed("passthrough", p.OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)), _hist_regressor()
        ),
        on.frame_regression,
    ),
    "one-hot, histogram boosting": (
        lambda: pipe(_mixed(None, p.OneHotEncoder(sparse_output=False, handle_unknown="ignore")), _hist()),
        on.frame,
    ),
    "mixed columns with gaps": (
        lambda: pipe(_mixed(pipe(SimpleImputer(), p.StandardScaler())), lm.RidgeClassifier()),
        on.frame_missing,
    ),
    "categories dropped first": (lambda: pipe(_mixed(None, p.OneHotEncoder(drop="first")), lm.Ridge()), on.frame_regression),
    "rare categories together": (
        lambda: pipe(_mixed(None, p.OneHotEncoder(min_frequency=90, handle_unknown="infrequent_if_exist")), _logistic()),
        on.frame,
    ),
    "categories by their target": (
        lambda: pipe(_mixed(None, p.TargetEncoder(random_state=0)), lm.Ridge()),
        on.frame_regression,
    ),
    "columns by their kind": (
        lambda: pipe(
            ColumnTransformer(
                [
                    ("n", p.MinMaxScaler(), make_column_selector(dtype_include="number")),
                    ("c", p.OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude="number")),
                ]
            ),
            _logistic(),
        ),
        on.frame,
    ),
    "mixed columns with a remark": (
        lambda: pipe(
            ColumnTransformer(
                [
                    ("n", p.StandardScaler(), ["chord", "speed"]),
                    ("c", p.OneHotEncoder(handle_unknown="ignore"), ["family"]),
                    ("t", TfidfVectorizer(), "remark"),
                ]
            ),
            _logistic(),
        ),
        on.frame_with_text,
    ),
    "named numbers": (lambda: pipe(p.StandardScaler(), _logistic()), on.number_frame),
    "named numbers, forest": (_forest, on.number_frame),
    "some columns pass": (
        lambda: pipe(ColumnTransformer([("n", p.StandardScaler(), [0, 2])], remainder="passthrough"), _logistic()),
        on.classification,
    ),
    "columns dropped and reordered": (
        lambda: pipe(
            ColumnTransformer([("b", p.MinMaxScaler(), ["sensor 4"]), ("a", p.StandardScaler(), ["sensor 1", "sensor 0"])]),
            lm.Ridge(),
        ),
        on.number_frame,
    ),
    "codes one-hot, size scaled": (
        lambda: pipe(
            ColumnTransformer(
                [("c", p.OneHotEncoder(handle_unknown="ignore"), ["code"]), ("n", p.StandardScaler(), ["count", "size"])]
            ),
            _logistic(),
        ),
        on.code_frame,
    ),
    "categories alone, bernoulli": (lambda: pipe(p.OneHotEncoder(handle_unknown="ignore"), BernoulliNB()), on.categories),
    "ordinal categories, forest": (lambda: pipe(p.OrdinalEncoder(), _forest()), on.categories),
    "binned and binned again": (
        lambda: pipe(
            ColumnTransformer(
                [("k", p.KBinsDiscretizer(4, quantile_method="averaged_inverted_cdf"), [0, 1]), ("b", p.Binarizer(), [2, 3])]
            ),
            _logistic(),
        ),
        on.classification,
    ),
    "two views side by side": (
        lambda: pipe(FeatureUnion([("p", PCA(2)), ("k", SelectKBest(f_regression, k=2))]), lm.Ridge()),
        on.regression,
    ),
}
_TEXT: Made = {
    "tf-idf, logistic": (lambda: pipe(TfidfVectorizer(), _logistic()), on.texts),
    "tf-idf, sgd": (lambda: pipe(TfidfVectorizer(), lm.SGDClassifier(random_state=0)), on.texts),
    "tf-idf, complement naive bayes": (lambda: pipe(TfidfVectorizer(), ComplementNB()), on.texts),
    "counts, naive bayes": (lambda: pipe(CountVectorizer(), MultinomialNB()), on.texts),
    "counts, tf-idf, linear svc": (lambda: pipe(CountVectorizer(), TfidfTransformer(), LinearSVC(random_state=0)), on.texts),
    "word pairs, logistic": (lambda: pipe(TfidfVectorizer(ngram_range=(1, 2), min_df=2), _logistic()), on.texts),
    "characters, logistic": (lambda: pipe(TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 3)), _logistic()), on.texts),
    "binary counts with stop words": (
        lambda: pipe(CountVectorizer(binary=True, stop_words="english"), BernoulliNB()), on.texts,
    ),
    "case kept, accents stripped": (
        lambda: pipe(TfidfVectorizer(lowercase=False, strip_accents="unicode"), _logistic()), on.texts,
    ),
    "sublinear tf-idf, svd, logistic": (
        lambda: pipe(TfidfVectorizer(sublinear_tf=True), TruncatedSVD(5, random_state=0), _logistic()), on.texts,
    ),
    "hashed words": (lambda: pipe(HashingVectorizer(n_features=64), _logistic()), on.texts),
    "tf-idf, forest": (lambda: pipe(TfidfVectorizer(), _forest()), on.texts),
}  # fmt: skip
_META: Made = {
    "calibrated svc": (
        lambda: CalibratedClassifierCV(pipe(p.StandardScaler(), LinearSVC(random_state=0)), cv=3), on.classification,
    ),
    "calibrated forest, isotonic": (lambda: CalibratedClassifierCV(_forest(), method="isotonic", cv=3), on.binary),
    "votes, soft": (
        lambda: e.VotingClassifier([("l", pipe(p.StandardScaler(), _logistic())), ("f", _forest())], voting="soft"),
        on.classification,
    ),
    "votes, hard": (
        lambda: e.VotingClassifier([("l", _logistic()), ("f", _forest()), ("b", GaussianNB())]), on.classification,
    ),
    "votes, regress": (
        lambda: e.VotingRegressor([("r", lm.Ridge()), ("f", _forest_regressor())], weights=[1, 3]), on.regression,
    ),
    "stacked": (
        lambda: e.StackingClassifier([("f", _forest()), ("s", pipe(p.StandardScaler(), SVC()))], _logistic(), cv=3),
        on.classification,
    ),
    "stacked regress, rows passed": (
        lambda: e.StackingRegressor(
            [("r", lm.Ridge()), ("t", DecisionTreeRegressor(max_depth=3))], lm.Ridge(), cv=3, passthrough=True
        ),
        on.regression,
    ),
    "grid search over a pipeline": (
        lambda: GridSearchCV(pipe(p.StandardScaler(), _logistic()), {"logisticregression__C": [0.1, 1.0]}, cv=3),
        on.classification,
    ),
    "random search over a forest": (
        lambda: RandomizedSearchCV(_forest(), {"max_depth": [2, 4]}, n_iter=2, cv=3, random_state=0), on.classification,
    ),
    "pipeline of a grid search": (
        lambda: pipe(p.StandardScaler(), GridSearchCV(SVC(), {"C": [0.5, 2.0]}, cv=3)), on.classification,
    ),
    "target logged": (
        lambda: TransformedTargetRegressor(lm.Ridge(), func=np.log1p, inverse_func=np.expm1), on.positive_regression,
    ),
    "target scaled": (
        lambda: TransformedTargetRegressor(_network_regressor(), transformer=p.StandardScaler()), on.large_targets,
    ),
    "several targets, boosting": (lambda: MultiOutputRegressor(_hist_regressor()), on.multi_regression),
    "several classes at once": (lambda: MultiOutputClassifier(_forest()), on.multi_label),
    "a chain of labels": (lambda: pipe(p.StandardScaler(), ClassifierChain(_logistic())), on.multi_label),
    "threshold fixed": (
        lambda: FixedThresholdClassifier(_forest(), threshold=0.2, response_method="predict_proba"), on.binary,
    ),
    "threshold tuned": (lambda: TunedThresholdClassifierCV(_logistic(class_weight="balanced"), cv=3), on.rare),
    "features chosen by a forest": (
        lambda: pipe(SelectFromModel(_forest()), p.StandardScaler(), _logistic()), on.wide,
    ),
    "features eliminated": (
        lambda: pipe(p.StandardScaler(), RFE(_logistic(), n_features_to_select=3), KNeighborsClassifier()), on.classification,
    ),
    "variance, logistic": (lambda: pipe(VarianceThreshold(0.5), p.StandardScaler(), _logistic()), on.classification),
}  # fmt: skip
_LABELS: Made = {
    "text labels, logistic": (lambda: pipe(p.StandardScaler(), _logistic()), on.text_labels),
    "text labels, forest": (_forest, on.text_labels),
    "text labels, knn": (KNeighborsClassifier, on.text_labels),
    "text labels, svc": (lambda: pipe(p.StandardScaler(), SVC()), on.text_labels),
    "text labels, network": (lambda: pipe(p.StandardScaler(), _network()), on.text_labels),
    "text labels, histogram boosting": (_hist, on.text_labels),
    "text labels, stacked": (lambda: e.StackingClassifier([("f", _forest()), ("b", GaussianNB())], cv=3), on.text_labels),
    "bool labels, logistic": (lambda: pipe(p.StandardScaler(), _logistic()), on.bool_labels),
    "bool labels, boosting": (lambda: e.GradientBoostingClassifier(n_estimators=10, random_state=0), on.bool_labels),
    "large labels, logistic": (lambda: pipe(p.StandardScaler(), _logistic()), on.large_labels),
    "large labels, forest": (_forest, on.large_labels),
    "large labels, naive bayes": (GaussianNB, on.large_labels),
    "large labels, svc": (lambda: pipe(p.StandardScaler(), SVC()), on.large_labels),
    "rare class, balanced": (lambda: pipe(p.StandardScaler(), _logistic(class_weight="balanced")), on.rare),
    "rare class, weighted forest": (lambda: _forest(class_weight={0: 1, 1: 9}), on.rare),
}
_NUMBERS: Made = {
    "large offsets, logistic": (lambda: pipe(p.StandardScaler(), _logistic()), on.offset),
    "large offsets, pca, ridge": (lambda: pipe(PCA(4), lm.Ridge()), on.offset_regression),
    "large offsets, forest": (_forest, on.offset),
    "large offsets, knn": (KNeighborsClassifier, on.offset),
    "large offsets, linear": (lm.LinearRegression, on.offset_regression),
    "tiny scales, logistic": (lambda: pipe(p.StandardScaler(), _logistic()), on.tiny),
    "tiny scales, tree": (lambda: DecisionTreeClassifier(random_state=0), on.tiny),
    "tiny scales, histogram boosting": (_hist, on.tiny),
    "whole numbers, logistic": (lambda: pipe(p.MinMaxScaler(), _logistic()), on.whole),
    "whole numbers, forest": (_forest, on.whole),
    "whole numbers, naive bayes": (MultinomialNB, on.counts),
    "few values, knn": (lambda: KNeighborsClassifier(4), on.few_values),
    "few values, boosting": (lambda: e.GradientBoostingClassifier(n_estimators=10, random_state=0), on.few_values),
    "few values, binned": (
        lambda: pipe(p.KBinsDiscretizer(3, encode="ordinal", strategy="uniform"), DecisionTreeClassifier()),
        on.few_values,
    ),
    "counts, poisson": (lambda: pipe(p.StandardScaler(), lm.PoissonRegressor()), on.positive_regression),
    "positive, nmf, logistic": (lambda: pipe(NMF(3, max_iter=400, random_state=0), _logistic()), on.positive),
}
_OTHERS: Made = {
    "one-class svm": (lambda: pipe(p.StandardScaler(), OneClassSVM(nu=0.1)), on.regression),
    "outliers by density": (lambda: pipe(p.StandardScaler(), LocalOutlierFactor(novelty=True)), on.regression),
    "mean, knn regress": (lambda: pipe(p.StandardScaler(), KNeighborsRegressor(4)), on.regression),
    "bayesian ridge": (lambda: pipe(p.PolynomialFeatures(2), p.StandardScaler(), lm.BayesianRidge()), on.regression),
    "logistic, l1": (lambda: _logistic(l1_ratio=1.0, solver="liblinear"), on.binary),
    "ridge, 3 outputs": (lambda: lm.RidgeCV(), on.multi_regression),
    "linear, large targets": (lm.LinearRegression, on.large_targets),
    "ransac": (lambda: lm.RANSACRegressor(random_state=0), on.regression),
    "logistic, labels 3": (lambda: e.ExtraTreesClassifier(10, random_state=0), on.multi_label),
    "gamma": (lambda: pipe(p.StandardScaler(), lm.GammaRegressor()), on.positive_regression),
}
