"""Which estimators does a fitted object consist of, in the order in which a row meets them?"""

from typing import Any

from sklearn.frozen import FrozenEstimator


def unwrap(estimator: Any) -> Any:
    """The fitted estimator inside a search or a frozen one; any other object as it is."""
    while isinstance(estimator, FrozenEstimator) or hasattr(estimator, "best_estimator_"):
        estimator = estimator.estimator if isinstance(estimator, FrozenEstimator) else estimator.best_estimator_
    return estimator


def steps_of(estimator: Any) -> list[Any]:
    """The steps of a pipeline, flattened, without those that pass rows through; else the object alone."""
    estimator = unwrap(estimator)
    if not hasattr(estimator, "steps"):
        return [estimator]
    inner = [step for _, step in estimator.steps if step is not None and step != "passthrough"]
    return [one for step in inner for one in steps_of(step)]


def describe(estimator: Any) -> str:
    """`Pipeline(PCA, StandardScaler, MLPRegressor)`, or the class's name."""
    name = type(estimator).__name__
    inner = [type(step).__name__ for step in steps_of(estimator)]
    return name if inner == [name] else f"{name}({', '.join(inner)})"
