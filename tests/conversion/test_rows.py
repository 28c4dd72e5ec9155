"""Do the rows reach the places where translations go wrong?"""

from typing import Any

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from conversion.rows import row_sets, spoilt
from conversion.schema import schema_of

Array = np.ndarray[Any, Any]


def kinds(estimator: Any) -> dict[str, Array]:
    return {found.kind: found.feeds["X"] for found in row_sets(estimator, schema_of(estimator))}


def test_every_row_is_the_same_number_in_both_precisions(rows: Array) -> None:
    for kind, array in kinds(StandardScaler().fit(rows)).items():
        assert np.isfinite(array).all()
        exact = (array == array.astype(np.float32).astype(np.float64)).all()
        assert exact == (kind != "doubles")


def test_typical_rows_lie_where_the_object_has_learned(rows: Array) -> None:
    typical = kinds(StandardScaler().fit(rows))["typical"]
    assert np.abs(typical.mean(axis=0) - rows.mean(axis=0)).max() < 0.2 * rows.std(axis=0).max()
    assert np.allclose(typical.std(axis=0), rows.std(axis=0), rtol=0.1)


def test_both_sides_of_every_split_are_tried(rows: Array) -> None:
    tree = DecisionTreeRegressor(max_depth=3, random_state=0).fit(rows, rows[:, 0])
    tried = kinds(tree)["thresholds"]
    inner = tree.tree_.children_left >= 0
    for feature, threshold in zip(tree.tree_.feature[inner], tree.tree_.threshold[inner], strict=True):
        column = tried[:, feature]
        near = np.float64(np.float32(threshold))
        assert (column == near).any()
        assert ((column > near) & (column < near + 1e-4 * abs(near) + 1e-6)).any()
        assert ((column < near) & (column > near - 1e-4 * abs(near) - 1e-6)).any()


def test_splits_behind_a_scaler_are_reached_too(rows: Array) -> None:
    model = make_pipeline(StandardScaler(), DecisionTreeRegressor(max_depth=2, random_state=0)).fit(rows, rows[:, 0])
    scaled = model[0].transform(kinds(model)["thresholds"])
    root = model[1].tree_
    assert np.abs(scaled[:, root.feature[0]] - root.threshold[0]).min() < 1e-5


def test_the_same_object_gives_the_same_rows(rows: Array) -> None:
    fitted = StandardScaler().fit(rows)
    for kind, array in kinds(fitted).items():
        assert (array == kinds(fitted)[kind]).all()


def test_one_number_of_every_row_is_spoilt_in_turn_and_then_more(rows: Array) -> None:
    changed = spoilt({"X": rows}, np.nan, ["X"])["X"]
    missing = np.isnan(changed).sum(axis=1)
    assert (missing[:64] == 1).all()
    assert np.isnan(changed[:64]).any(axis=0).all()
    assert missing.max() == rows.shape[1]
    assert len(set(missing.tolist())) > 2
    assert not np.isnan(rows).any()
