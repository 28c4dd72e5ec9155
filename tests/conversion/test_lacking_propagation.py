"""Are labels spread to new rows as scikit-learn spreads them?"""

import numpy as np
import pytest
from sklearn.semi_supervised import LabelPropagation, LabelSpreading

from conversion.errors import Refused
from conversion.repairs import propagation
from conversion.search import search
from serving.signature import Array
from tests.conversion.asking import question
from tests.conversion.lacking import agrees, lacks


@pytest.fixture
def known(rows: Array) -> Array:
    return np.where(np.arange(len(rows)) % 2, np.where(rows[:, 0] > 0, 2**40, 7), -1)


def test_skl2onnx_still_lacks_them() -> None:
    assert lacks(propagation.COVERED)


# Far from every training row scikit-learn divides zero by zero, and warns.
@pytest.mark.filterwarnings("ignore:invalid value encountered in divide:RuntimeWarning")
@pytest.mark.parametrize("kind", [LabelPropagation, LabelSpreading])
@pytest.mark.parametrize("gamma", [0.5, 20])
def test_they_agree_near_and_far(kind: type, gamma: float, rows: Array, known: Array) -> None:
    agrees(kind(gamma=gamma, max_iter=5000).fit(rows, known), rows, propagation.NAME)


def test_neighbours_are_refused(rows: Array, known: Array) -> None:
    with pytest.raises(Refused, match="kernel 'knn'"):
        search(question(LabelSpreading(kernel="knn").fit(rows, known)))
