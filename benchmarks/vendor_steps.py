"""Which steps do several of the vendors' models share?"""

from collections.abc import Callable
from typing import Any

from sklearn import ensemble as e
from sklearn import linear_model as lm
from sklearn import preprocessing as p
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeRegressor

from benchmarks.training_data import Maker

Made = dict[str, tuple[Callable[[], Any], Maker]]
pipe = make_pipeline


def logistic(**given: Any) -> Any:
    return lm.LogisticRegression(max_iter=2000, **given)


def forest(trees: int = 15, **given: Any) -> Any:
    return e.RandomForestClassifier(trees, random_state=1, **given)


def hist(**given: Any) -> Any:
    return e.HistGradientBoostingClassifier(max_iter=15, random_state=1, **given)


def hist_regressor(**given: Any) -> Any:
    return e.HistGradientBoostingRegressor(max_iter=15, random_state=1, **given)


def boosted(**given: Any) -> Any:
    return e.GradientBoostingClassifier(n_estimators=15, random_state=1, **given)


def churn(numbers: Any, texts: Any) -> Any:
    return ColumnTransformer([("n", numbers, ["tenure", "monthly", "total"]), ("c", texts, ["contract", "payment"])])


def credit(numbers: Any, texts: Any) -> Any:
    return ColumnTransformer([("n", numbers, ["income", "debt", "age"]), ("c", texts, ["purpose", "region"])])


def one_hot(**given: Any) -> Any:
    return p.OneHotEncoder(handle_unknown="ignore", **given)


def two() -> Any:
    return [("r", lm.Ridge()), ("t", DecisionTreeRegressor(max_depth=3, random_state=1))]


def ordinal() -> Any:
    return p.OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
