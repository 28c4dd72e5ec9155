"""Which models of tables with named columns, and of texts, would vendors bring?"""

import numpy as np
from sklearn import ensemble as e
from sklearn import linear_model as lm
from sklearn import preprocessing as p
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectPercentile
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV
from sklearn.naive_bayes import ComplementNB, MultinomialNB
from sklearn.neighbors import (
    KNeighborsClassifier,
)  # fmt: skip
from sklearn.pipeline import make_union
from sklearn.svm import LinearSVC

from benchmarks import vendor_data as on
from benchmarks.vendor_steps import Made, boosted, churn, credit, forest, hist, logistic, one_hot, ordinal, pipe

TABLES: Made = {
    "churn, logistic": (lambda: pipe(churn(p.StandardScaler(), one_hot(drop="if_binary")), logistic()), on.churn),
    "churn, boosting on codes": (lambda: pipe(churn("passthrough", ordinal()), boosted()), on.churn),
    "churn, searched columns": (
        lambda: GridSearchCV(
            pipe(churn(p.RobustScaler(), one_hot()), forest()), {"randomforestclassifier__max_depth": [3, 6]}, cv=3
        ),
        on.churn,
    ),
    "churn, monotone boosting": (lambda: hist(monotonic_cst={"tenure": -1, "monthly": 1}), on.churn_number),
    "churn, calibrated, threshold tuned": (
        lambda: TunedThresholdClassifierCV(
            CalibratedClassifierCV(pipe(p.StandardScaler(), LinearSVC(random_state=1)), cv=3), cv=3
        ),
        on.churn_number,
    ),
    "churn, search within columns": (
        lambda: pipe(
            churn(pipe(p.StandardScaler(), PCA(2)), p.TargetEncoder(random_state=1)),
            GridSearchCV(logistic(), {"C": [0.1, 1.0]}, cv=3),
        ),
        on.churn,
    ),
    "churn, category columns, boosting": (lambda: hist(categorical_features="from_dtype"), on.category_frame),
    "churn, category columns, one-hot": (
        lambda: pipe(
            ColumnTransformer(
                [
                    ("c", one_hot(), make_column_selector(dtype_include="category")),
                    ("n", p.StandardScaler(), make_column_selector(dtype_include="number")),
                    ("b", "passthrough", make_column_selector(dtype_include="bool")),
                ]
            ),
            logistic(),
        ),
        on.category_frame,
    ),
    "churn, nullable columns": (
        lambda: pipe(
            ColumnTransformer(
                [("n", pipe(SimpleImputer(), p.StandardScaler()), ["tenure", "monthly"]), ("c", one_hot(), ["contract"])]
            ),
            logistic(),
        ),
        on.nullable_frame,
    ),
    "credit, imputed, logistic": (
        lambda: pipe(
            credit(pipe(SimpleImputer(strategy="median", add_indicator=True), p.StandardScaler()), one_hot(min_frequency=30)),
            logistic(class_weight="balanced"),
        ),
        on.credit,
    ),
    "credit, gaps in texts": (
        lambda: pipe(
            credit(SimpleImputer(), pipe(SimpleImputer(strategy="constant", fill_value="unknown"), one_hot())), forest()
        ),
        on.credit_text_gaps,
    ),
    "credit, log, spline, boosting": (
        lambda: pipe(
            ColumnTransformer(
                [
                    ("l", pipe(SimpleImputer(), p.FunctionTransformer(np.log), p.SplineTransformer(4)), ["income", "debt"]),
                    ("c", ordinal(), ["purpose", "region"]),
                ],
                remainder="drop",
            ),
            hist(),
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
            pipe(p.MinMaxScaler(), pipe(SelectPercentile(percentile=60), logistic())),
        ),
        on.credit_number,
    ),
    "credit, neighbours fill in, forest": (lambda: pipe(KNNImputer(n_neighbors=3), forest()), on.credit_number),
    "prices, logged target": (
        lambda: TransformedTargetRegressor(
            pipe(ColumnTransformer([("n", p.StandardScaler(), ["area", "rooms"]), ("c", one_hot(), ["city"])]), lm.RidgeCV()),
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
TEXTS: Made = {
    "tickets, tf-idf, linear svc": (lambda: pipe(TfidfVectorizer(), CalibratedClassifierCV(LinearSVC(), cv=3)), on.tickets),
    "tickets, counts, naive bayes": (lambda: pipe(CountVectorizer(min_df=2), MultinomialNB()), on.tickets),
    "tickets, word triples": (
        lambda: pipe(
            TfidfVectorizer(ngram_range=(1, 3), max_features=300, sublinear_tf=True), lm.SGDClassifier(random_state=1)
        ),
        on.tickets,
    ),
    "tickets, own pattern": (
        lambda: pipe(TfidfVectorizer(token_pattern=r"(?u)\b[a-z-]+\b", norm="l1", use_idf=False), logistic()),
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
            logistic(),
        ),
        on.tickets_with_numbers,
    ),
}
