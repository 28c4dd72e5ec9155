"""Every kind of model that a bound is written for, fitted on rows of any scale."""

import warnings
from typing import Any

import numpy as np
from sklearn import decomposition, linear_model
from sklearn.base import clone
from sklearn.cluster import FeatureAgglomeration
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.cross_decomposition import CCA, PLSSVD, PLSCanonical, PLSRegression
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.feature_selection import SelectFromModel, SelectKBest, VarianceThreshold, f_regression
from sklearn.kernel_approximation import Nystroem, RBFSampler
from sklearn.kernel_ridge import KernelRidge
from sklearn.multioutput import MultiOutputRegressor, RegressorChain
from sklearn.neighbors import NeighborhoodComponentsAnalysis
from sklearn.neural_network import BernoulliRBM, MLPClassifier, MLPRegressor
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection
from sklearn.svm import SVR, LinearSVC, LinearSVR, NuSVR, OneClassSVM

from serving.signature import Array


def network(kind: type, activation: str, *sizes: int, **given: Any) -> Any:
    return kind(hidden_layer_sizes=sizes or (7,), activation=activation, max_iter=20, random_state=0, **given)


def scaled(*steps: Any) -> Any:
    return make_pipeline(StandardScaler(), *steps)


def old(kind: type) -> Any:
    """Of a class that scikit-learn is about to remove."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kind()


TRANSFORMERS = [
    StandardScaler(),
    RobustScaler(),
    MinMaxScaler((-3, 2)),
    MinMaxScaler(clip=True),
    MaxAbsScaler(),
    MaxAbsScaler(clip=True),
    decomposition.PCA(2),
    decomposition.PCA(2, whiten=True),
    decomposition.IncrementalPCA(2, whiten=True),
    decomposition.TruncatedSVD(2),
    decomposition.FactorAnalysis(2),
    decomposition.FastICA(3, random_state=0),
    decomposition.FastICA(whiten=False, random_state=0),
    decomposition.SparsePCA(2, max_iter=20),
    BernoulliRBM(3, n_iter=2),
    decomposition.MiniBatchSparsePCA(2, max_iter=20),
    FeatureAgglomeration(2),
    GaussianRandomProjection(3),
    SparseRandomProjection(3),
    VarianceThreshold(),
    FeatureUnion([("a", StandardScaler()), ("b", decomposition.PCA(2))]),
    scaled(decomposition.PCA(3), MinMaxScaler(clip=True)),
]
REGRESSORS = [
    linear_model.LinearRegression(),
    linear_model.ARDRegression(),
    linear_model.BayesianRidge(),
    linear_model.RidgeCV(),
    linear_model.SGDRegressor(),
    old(linear_model.PassiveAggressiveRegressor),
    linear_model.RANSACRegressor(random_state=0),
    linear_model.TheilSenRegressor(max_subpopulation=200, random_state=0),
    linear_model.HuberRegressor(),
    LinearSVR(),
    linear_model.QuantileRegressor(),
    TransformedTargetRegressor(scaled(linear_model.Lasso(0.01)), transformer=RobustScaler()),
    TransformedTargetRegressor(linear_model.Ridge(), transformer=MinMaxScaler()),
    TransformedTargetRegressor(linear_model.Ridge(), func=np.log, inverse_func=np.exp),
    TransformedTargetRegressor(linear_model.Ridge()),
    network(MLPRegressor, "relu", 7, 5),
    network(MLPRegressor, "tanh", 7, 5),
    network(MLPRegressor, "logistic"),
    network(MLPRegressor, "identity"),
    scaled(network(MLPRegressor, "relu", loss="poisson")),
    scaled(network(MLPRegressor, "tanh")),
    scaled(linear_model.PoissonRegressor()),
    scaled(linear_model.GammaRegressor()),
    linear_model.TweedieRegressor(power=0),
    scaled(linear_model.TweedieRegressor(power=1.5)),
    make_pipeline(MinMaxScaler(clip=True), linear_model.ElasticNet(0.01)),
    make_pipeline(decomposition.PCA(2, whiten=True), linear_model.Lars()),
    make_pipeline(SelectKBest(f_regression, k=2), linear_model.LinearRegression()),
    make_pipeline(
        ColumnTransformer([("a", StandardScaler(), [0, 2]), ("b", decomposition.PCA(1), [1, 3])], remainder="passthrough"),
        linear_model.Ridge(),
    ),
]
SEVERAL = [
    PLSRegression(2),
    PLSCanonical(2),
    CCA(2),
    PLSSVD(2),
    MultiOutputRegressor(linear_model.SGDRegressor()),
    linear_model.MultiTaskLasso(0.01),
    RegressorChain(linear_model.Ridge(), order=[1, 0]),
    make_pipeline(MinMaxScaler(), RegressorChain(linear_model.Lasso(0.01))),
    TransformedTargetRegressor(linear_model.Ridge(), transformer=StandardScaler()),
    network(MLPRegressor, "tanh", 7, 5),
]
CLASSIFIERS = [
    linear_model.LogisticRegression(),
    linear_model.LogisticRegressionCV(Cs=2, cv=2),
    LinearSVC(),
    LinearDiscriminantAnalysis(),
    linear_model.Perceptron(),
    old(linear_model.PassiveAggressiveClassifier),
    linear_model.RidgeClassifier(),
    linear_model.RidgeClassifierCV(),
    linear_model.LogisticRegression(fit_intercept=False),
    linear_model.SGDClassifier(random_state=0),
    scaled(linear_model.SGDClassifier(loss="log_loss", random_state=0)),
    network(MLPClassifier, "relu"),
    network(MLPClassifier, "tanh", 7, 4),
    network(MLPClassifier, "logistic"),
    scaled(decomposition.PCA(2), LinearSVC()),
    make_pipeline(MinMaxScaler(clip=True), network(MLPClassifier, "identity")),
]
KERNELS = [
    (KernelRidge(kernel="rbf", gamma=0.7, alpha=0.01), "several"),
    (scaled(KernelRidge(kernel="rbf")), "positive"),
    (scaled(KernelRidge(kernel="sigmoid", gamma=0.1)), "positive"),
    (KernelRidge(), "positive"),
    (scaled(decomposition.PCA(2), SVR(C=10)), "positive"),
    (SVR(), "positive"),
    (scaled(NuSVR(kernel="sigmoid")), "positive"),
    (make_pipeline(MinMaxScaler(clip=True), SVR(kernel="linear")), "positive"),
    (scaled(Nystroem(n_components=20), linear_model.Ridge()), "positive"),
    (Nystroem(kernel="sigmoid", gamma=0.01, n_components=10), "rows"),
    (scaled(RBFSampler(n_components=20), linear_model.LogisticRegression()), "two"),
    (scaled(OneClassSVM()), "rows"),
]
OTHERS = [
    (linear_model.SGDOneClassSVM(), "rows"),
    (scaled(linear_model.SGDOneClassSVM()), "rows"),
    (NeighborhoodComponentsAnalysis(2), "two"),
    (SelectFromModel(linear_model.LogisticRegression()), "two"),
    (linear_model.SGDClassifier(loss="modified_huber", random_state=0), "two"),
]
MODELS = [
    *((one, "rows") for one in TRANSFORMERS),
    *((one, "positive") for one in REGRESSORS),
    *((one, "several") for one in SEVERAL),
    *((one, kind) for one in CLASSIFIERS for kind in ("two", "three")),
    *KERNELS,
    *OTHERS,
]


def label(model: Any, target: str) -> str:
    steps = [type(step).__name__ for step in getattr(model, "named_steps", {"": model}).values()]
    return f"{'-'.join(steps)}-{target}"


def made(seed: int, scale: float, offset: float) -> tuple[Array, dict[str, Array]]:
    """Rows that float32 holds, and targets of each kind for them."""
    rng = np.random.default_rng(seed)
    unit = rng.standard_normal((150, 5))
    rows = (scale * unit * np.exp(rng.standard_normal(5)) + offset).astype(np.float32).astype(np.float64)
    wanted = unit[:, 0] - 0.4 * unit[:, 1] + 0.2 * rng.standard_normal(150)
    other = unit[:, 2] + 0.1 * rng.standard_normal(150)
    return rows, {
        "rows": wanted,
        "positive": np.exp(wanted / 2),
        "several": np.stack([wanted, other], axis=1),
        "two": np.array(["no", "yes"])[(wanted > 0).astype(int)],
        "three": np.digitize(wanted, [-0.6, 0.6]) * 5 - 5,
    }


def fit(model: Any, rows: Array, target: Array) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return clone(model).fit(rows, target)
