"""Does the graph find the same shortest ways through the neighbours as Isomap?"""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.manifold import Isomap
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from conversion.errors import Refused
from conversion.repairs import isomap
from conversion.search import search
from serving.signature import Array
from tests.conversion.asking import question
from tests.conversion.lacking import agrees, lacks


def test_skl2onnx_still_lacks_it() -> None:
    assert lacks(isomap.COVERED)


@pytest.mark.parametrize(("neighbours", "components"), [(6, 2), (12, 3)])
def test_it_agrees(neighbours: int, components: int, rows: Array) -> None:
    agrees(Isomap(n_neighbors=neighbours, n_components=components).fit(rows), rows, isomap.NAME)


def test_a_regression_on_it_agrees(rows: Array) -> None:
    fitted = make_pipeline(StandardScaler(), Isomap(n_neighbors=8), Ridge()).fit(rows, rows[:, 0])
    agrees(fitted, rows, isomap.NAME)


def test_rows_all_but_halfway_between_two_training_rows_agree() -> None:
    rng = np.random.default_rng(3)
    seen = rng.normal(size=(150, 5)).astype(np.float32).astype(np.float64)
    fitted = make_pipeline(StandardScaler(), Isomap()).fit(seen)
    accepted = search(question(fitted))
    first, second = rng.integers(0, len(seen), (2, 3000))
    halfway = (seen[first] + seen[second]) / 2
    distances, _ = fitted[-1].nbrs_.kneighbors(fitted[0].transform(halfway), n_neighbors=6)
    assert (np.diff(distances)[:, 4] < 1e-12).sum() > 100
    # Where even the last bit is the same, the layout of scikit-learn's tree decides.
    halfway = halfway[distances[:, 4] < distances[:, 5]]
    answered = accepted.session.answer({"X": halfway}, ["transform"])["transform"]
    np.testing.assert_allclose(answered, fitted.transform(halfway), rtol=1e-6, atol=1e-6)


def test_neighbours_by_brute_force_are_refused() -> None:
    with pytest.raises(Refused, match="brute force"):
        search(question(Isomap().fit(np.random.default_rng(3).normal(size=(60, 20)))))


def test_training_rows_at_equal_distances_are_refused(rows: Array) -> None:
    grid = np.unique(np.round(rows), axis=0)
    with pytest.raises(Refused, match="equally near"):
        search(question(Isomap().fit(grid)))


def test_a_radius_is_refused(rows: Array) -> None:
    with pytest.raises(Refused, match="with a radius"):
        search(question(Isomap(n_neighbors=None, radius=50.0).fit(rows)))
