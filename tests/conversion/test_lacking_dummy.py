"""Are answers that do not depend on the row given for every row?"""

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor

from conversion.errors import Refused
from conversion.repairs import dummy
from conversion.search import search
from serving.signature import Array
from tests.conversion.asking import question
from tests.conversion.lacking import agrees, lacks

LABELS = [
    np.array([2**40, -(2**40) + 1, 7]),
    np.array(["é", "b", "z"]),
    np.array([False, True, True]),
    np.array([0.0, 1.0, 5.0]),
]


def test_skl2onnx_still_lacks_them() -> None:
    assert lacks(dummy.COVERED)


@pytest.mark.parametrize("strategy", ["prior", "most_frequent", "constant"])
@pytest.mark.parametrize("names", LABELS, ids=["int64", "text", "bool", "float"])
def test_a_classifier_agrees_for_every_kind_of_label(strategy: str, names: Array, rows: Array) -> None:
    labels = names[np.digitize(rows[:, 0], [-0.5, 0.9])]
    agrees(DummyClassifier(strategy=strategy, constant=labels[:1].tolist()).fit(rows, labels), rows, dummy.NAME)


@pytest.mark.parametrize("strategy", ["uniform", "stratified"])
def test_a_draw_is_refused(strategy: str, rows: Array) -> None:
    with pytest.raises(Refused, match="draws at random"):
        search(question(DummyClassifier(strategy=strategy, random_state=0).fit(rows, rows[:, 0] > 0)))


@pytest.mark.parametrize("targets", [1, 2])
def test_a_regressor_agrees_for_one_target_and_two(targets: int, rows: Array) -> None:
    wanted = rows[:, 0] if targets == 1 else rows[:, :2]
    agrees(DummyRegressor(strategy="quantile", quantile=0.3).fit(rows, wanted), rows, dummy.NAME)
