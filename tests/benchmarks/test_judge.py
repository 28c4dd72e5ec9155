"""Does the judge see a wrong answer, and only a wrong one?"""

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import StackingClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Binarizer, OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from benchmarks.judge import Verdict, judge
from benchmarks.rounding import decided_by_rounding
from benchmarks.rows_of_a_stranger import strangers_rows
from serving.signature import Array, Signature, Tensor

RNG = np.random.default_rng(4)
X = RNG.standard_normal((60, 3)) * [1.0, 10.0, 0.1]
Y = X[:, 0] + X[:, 1] / 10


def positive(rows: Array) -> Array:
    """A label that changes where the first number does its sign."""
    return np.asarray(rows[:, 0] > 0)


@dataclass
class Copy:
    """A served model that answers as scikit-learn does, but for what `spoil` does to the answers."""

    estimator: Any
    outputs: tuple[Tensor, ...]
    spoil: Any = lambda name, answer: answer
    tolerance: dict[str, float] = field(default_factory=lambda: {"atol": 1e-5, "rtol": 1e-5})
    allow_nan: bool = False

    @property
    def signature(self) -> Signature:
        return Signature((Tensor("X", "FP64", (-1, 3), self.allow_nan),), self.outputs)

    @property
    def parity(self) -> dict[str, Any]:
        return {"tolerance": {tensor.name: self.tolerance for tensor in self.outputs}}

    def run(self, feeds: dict[str, Array]) -> dict[str, Array]:
        return {t.name: self.spoil(t.name, getattr(self.estimator, t.name)(feeds["X"])) for t in self.outputs}


VALUE = (Tensor("predict", "FP64", (-1,)),)
LABEL = (Tensor("predict", "INT64", (-1,)),)


def judged(estimator: Any, outputs: tuple[Tensor, ...], **given: Any) -> Verdict:
    model: Any = Copy(estimator, outputs, **given)
    return judge(estimator, X, model)


def test_the_same_answers_are_no_mismatch() -> None:
    verdict = judged(Ridge().fit(X, Y), VALUE)
    assert verdict.mismatches == []
    assert verdict.rows > 1000


def test_one_wrong_value_is_seen_and_named() -> None:
    def spoil(_: str, answer: Array) -> Array:
        return np.where(answer == answer.max(), answer * 1.001, answer)

    found = judged(Ridge().fit(X, Y), VALUE, spoil=spoil).mismatches
    assert found[0].startswith("training rows, batch of 1, predict: 1 of 1 rows; row [")


def test_a_value_within_the_stated_tolerance_is_none() -> None:
    assert judged(Ridge().fit(X, Y), VALUE, spoil=lambda _, answer: answer * (1 + 1e-6)).mismatches == []


def test_another_shape_is_a_mismatch() -> None:
    found = judged(Ridge().fit(X, Y), VALUE, spoil=lambda _, answer: answer.reshape(-1, 1)).mismatches
    assert "shape [1], answered [1, 1]" in found[0]


def test_nan_for_a_number_is_a_mismatch() -> None:
    assert judged(Ridge().fit(X, Y), VALUE, spoil=lambda _, answer: answer * np.nan).mismatches


def test_an_answer_that_is_an_error_is_listed() -> None:
    def fail(_: str, answer: Array) -> Array:
        if len(answer) == 7:
            raise RuntimeError("seven is too many")
        return answer

    assert (
        judged(Ridge().fit(X, Y), VALUE, spoil=fail).mismatches[0]
        == "training rows, batch of 7: not answered: seven is too many"
    )


def test_another_label_counts_where_scikit_learn_is_sure() -> None:
    fitted = LogisticRegression().fit(X, Y > 0)
    found = judged(fitted, (Tensor("predict", "BOOL", (-1,)),), spoil=lambda _, answer: ~answer)
    assert found.mismatches


def test_another_label_is_a_tie_where_both_are_as_likely() -> None:
    fitted = LogisticRegression().fit(X, (Y > 0).astype(int))
    fitted.coef_[:] = fitted.intercept_[:] = 0.0
    verdict = judged(fitted, LABEL, spoil=lambda _, answer: 1 - answer)
    assert verdict.mismatches == []
    assert verdict.ties >= verdict.rows


def test_a_label_that_scikit_learn_never_gives_is_no_tie() -> None:
    fitted = LogisticRegression().fit(X, (Y > 0).astype(int))
    fitted.coef_[:] = fitted.intercept_[:] = 0.0
    assert judged(fitted, LABEL, spoil=lambda _, answer: answer + 7).mismatches


@pytest.mark.parametrize(("place", "other", "open_"), [(1.0, 1, True), (0.999, 1, False), (1.0, 2, False)])
def test_only_a_row_exactly_between_two_neighbours_leaves_the_vote_open(place: float, other: int, open_: bool) -> None:
    fitted = KNeighborsClassifier(1).fit([[0.0], [2.0]], [0, 1])
    row = np.array([[place]])
    answered = 1 - fitted.predict(row)[0] if other == 1 else other
    assert decided_by_rounding(fitted, "predict", row, lambda answer: bool(answer == answered)) is open_


def test_missing_values_are_asked_only_where_the_signature_takes_them() -> None:
    kinds = [dict(strangers_rows(X, single=False, nan=nan, infinity=False, seed=1, label=positive)) for nan in (False, True)]
    assert all(np.isfinite(rows).all() for rows in kinds[0].values())
    assert np.isnan(kinds[1]["missing values"]).any(axis=0).all()
    assert np.isnan(kinds[1]["missing values"]).all(axis=1).any()


@pytest.mark.parametrize("seed", [1, 2])
def test_a_model_in_single_precision_is_asked_only_what_float32_holds(seed: int) -> None:
    for _, rows in strangers_rows(X, single=True, nan=False, infinity=False, seed=seed, label=positive):
        assert (rows.astype(np.float32) == rows).all()


def test_a_frame_is_moved_in_its_numbers_alone() -> None:
    frame = pd.DataFrame({"size": [0.0, 2.0, 4.0], "kind": ["thin", "thin", "thick"]})
    columns = ColumnTransformer([("n", StandardScaler(), ["size"]), ("c", OneHotEncoder(), ["kind"])])
    fitted = make_pipeline(columns, KNeighborsClassifier(1)).fit(frame, [0, 1, 2])
    row = pd.DataFrame({"size": [1.0], "kind": ["thin"]})
    answered = 1 - fitted.predict(row)[0]
    assert decided_by_rounding(fitted, "predict", row, lambda answer: bool(answer == answered))
    assert not decided_by_rounding(fitted, "predict", row, lambda answer: bool(answer == 2))


@pytest.mark.parametrize(
    "step", [Binarizer(threshold=1.0), OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)]
)
def test_a_number_that_is_compared_as_it_was_sent_has_no_last_digits_to_differ_in(step: Any) -> None:
    fitted = step.fit([[0.0], [1.0], [2.0]])
    row = np.array([[1.0]])
    given = fitted.transform(row)[0, 0]
    assert not decided_by_rounding(fitted, "transform", row, lambda answer: bool(answer[0] != given))


def test_rounding_behind_a_scaler_with_a_large_offset_is_seen() -> None:
    """At 1e8 the last digits that a row has are coarser than the half way between its neighbours once it is scaled."""
    known = 1e8 + np.array([[0.0], [0.1], [1.0]])
    fitted = make_pipeline(StandardScaler(), KNeighborsClassifier(1)).fit(known, [0, 1, 1])
    row = (known[:1] + known[1:2]) / 2
    answered = 1 - fitted.predict(row)[0]
    assert decided_by_rounding(fitted, "predict", row, lambda answer: bool(answer == answered))


def test_a_row_at_zero_is_still_moved_behind_a_step_that_computes() -> None:
    """Zero has no last digits of its own; what a scaler makes of it has."""
    fitted = make_pipeline(StandardScaler(), KNeighborsClassifier(1)).fit([[-3.0], [3.0], [10.0]], [0, 1, 1])
    row = np.array([[0.0]])
    answered = 1 - fitted.predict(row)[0]
    assert decided_by_rounding(fitted, "predict", row, lambda answer: bool(answer == answered))


def test_noise_left_by_cancelling_is_no_mismatch_and_more_than_it_is() -> None:
    fitted = Ridge(alpha=1e-9, fit_intercept=False).fit([[1.0, 0.0], [0.0, 1.0]], [1.0, -1.0])
    row = np.array([[1e17 / 3, 1e17 / 3 + 64]])
    noise = fitted.predict(row)[0]
    for answer, excused in ((noise + 8.0, True), (noise + 1e6, False)):
        found = decided_by_rounding(fitted, "predict", row, partial(np.array_equal, answer), answer)
        assert found is excused


@pytest.mark.parametrize(
    ("member", "open_"), [(make_pipeline(StandardScaler(), KNeighborsClassifier(1)), True), (DecisionTreeClassifier(), False)]
)
def test_in_a_stack_only_the_members_that_compute_see_a_row_moved(member: Any, open_: bool) -> None:
    rows, labels = np.array([[0.0], [2.0], [4.0], [6.0], [8.0], [10.0]]), [0, 1, 0, 1, 0, 1]
    stump = DecisionTreeClassifier(max_depth=1, random_state=0).fit(rows, labels)
    stack = StackingClassifier([("m", member.fit(rows, labels)), ("t", stump)], LogisticRegression(), cv="prefit")
    stack.fit(rows, labels)
    between = np.array([[3.0]])
    given = stack.predict_proba(between)
    other = next(one for one in stack.predict_proba([[2.5], [3.5]]) if not np.allclose(one, given))
    found = decided_by_rounding(stack, "predict_proba", between, lambda answer: bool(np.allclose(answer, other)))
    assert found is open_
