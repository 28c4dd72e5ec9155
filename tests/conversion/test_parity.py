"""Is every difference between the graph and scikit-learn found, told, and excused only where scikit-learn itself is open?"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neighbors import KNeighborsRegressor
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from conversion.candidates import FLOAT32, FLOAT64
from conversion.parity import BATCHES, Asked, Finding, Graph, asked, compared, examine
from conversion.progress import Progress
from conversion.reference import Reference
from conversion.rows import DOUBLES, RowSet
from conversion.schema import schema_of
from serving.signature import Array
from serving.verification import Gap, Tolerance

TIE = 1e-5
ROWS = np.array([[0.0], [1.0], [2.0], [4.0], [5.0], [7.0]])
LABELS = np.array([0, 0, 0, 1, 1, 1])
Change = Callable[[str, Array, Array], Array]


@dataclasses.dataclass
class Altered:
    """scikit-learn's own answers, as a session gives them, after a change: what a wrong graph would answer."""

    reference: Reference
    change: Change = lambda name, rows, answer: answer

    def run(self, names: list[str], feeds: dict[str, Array]) -> list[Array]:
        answers = self.reference(feeds)
        return [self.change(name, feeds["X"], answers[name].copy()) for name in names]


def reference(model: Any, *methods: str) -> Reference:
    return Reference(model, schema_of(model), methods)


def graph(ask: Reference, change: Change | None = None, candidate: Any = FLOAT64) -> Graph:
    return Graph(Altered(ask, change) if change else Altered(ask), ask.schema, candidate)


def one_set(ask: Reference, rows: Array, kind: str = "some") -> Asked:
    return asked(ask, RowSet(kind, {"X": rows}), TIE)


def tolerances(ask: Reference) -> dict[str, Tolerance]:
    return {name: Tolerance(1e-5, 1e-5) for name in ask.methods}


def logistic() -> Reference:
    return reference(LogisticRegression().fit(ROWS, LABELS), "predict", "predict_proba")


def swapped(name: str, rows: Array, answer: Array) -> Array:
    return 1 - answer if name == "predict" else answer


def edge_of(ask: Reference) -> Array:
    return np.array([[-ask.estimator.intercept_[0] / ask.estimator.coef_[0, 0]]])


def test_rows_that_scikit_learn_refuses_are_set_aside() -> None:
    one = one_set(reference(StandardScaler().fit(ROWS), "transform"), np.array([[1.0], [np.inf], [3.0], [-np.inf]]))
    assert one.rows.feeds["X"].tolist() == [[1.0], [3.0]]
    assert one.refused.feeds["X"].tolist() == [[np.inf], [-np.inf]]
    assert one.answers["transform"].shape == (2, 1)
    assert (one.ties.shape, one.undecided.shape) == ((2,), (2,))


def test_a_set_of_which_nothing_is_answered_is_empty() -> None:
    one = one_set(reference(StandardScaler().fit(ROWS), "transform"), np.array([[np.inf]]))
    assert (one.rows.size, one.answers, one.refused.size) == (0, {}, 1)
    assert (one.ties.shape, one.undecided.shape) == ((0,), (0,))


def test_a_tie_is_a_margin_within_the_tolerance_and_no_more() -> None:
    ask = logistic()
    edge, slope = edge_of(ask), ask.estimator.coef_[0, 0]
    rows = edge + np.array([[0.0], [0.9 * TIE / slope], [1.1 * TIE / slope], [1.0]])
    assert one_set(ask, rows).ties.tolist() == [True, True, False, False]


def test_what_has_no_margin_has_no_tie() -> None:
    ask = reference(LinearRegression().fit(ROWS, ROWS[:, 0]), "predict")
    assert one_set(ask, ROWS).ties.tolist() == [False] * 6


def test_a_label_may_differ_on_a_tie_and_is_counted() -> None:
    ask = logistic()
    one = one_set(ask, np.concatenate([edge_of(ask), ROWS]))
    label, shares = compared(
        graph(ask, lambda n, rows, a: np.where(rows[:, 0] == edge_of(ask), 1 - a, a)[0] if n == "predict" else a),
        one,
        tolerances(ask),
    )
    assert (label.output, label.ties, label.gap.passed) == ("predict", 1, True)
    assert (shares.output, shares.ties, shares.gap.passed) == ("predict_proba", 0, True)


def test_a_label_that_differs_elsewhere_is_told_with_its_row_and_both_answers() -> None:
    ask = logistic()
    label, _ = compared(graph(ask, swapped), one_set(ask, ROWS), tolerances(ask))
    assert (label.gap.wrong, label.ties) == (6, 0)
    assert str(label) == ("6 of 6 'some' rows are out of tolerance for 'predict'; row 0: scikit-learn answered 0, the graph 1")


def test_a_tie_excuses_no_number() -> None:
    ask = logistic()
    moved = graph(ask, lambda name, rows, answer: answer + 1e-3 if name == "predict_proba" else answer)
    _, shares = compared(moved, one_set(ask, edge_of(ask)), tolerances(ask))
    assert (shares.gap.wrong, shares.ties) == (1, 0)


def test_a_tie_of_one_target_excuses_the_row_of_a_model_of_several() -> None:
    several = MultiOutputClassifier(LogisticRegression()).fit(ROWS, np.stack([LABELS, 1 - LABELS], axis=1))
    ask = reference(several, "predict")
    first = several.estimators_[0]
    edge = np.array([[-first.intercept_[0] / first.coef_[0, 0]]])
    rows = np.concatenate([edge, ROWS])
    other = graph(ask, lambda name, given, answer: np.where(given == edge, 1 - answer, answer))
    (label,) = compared(other, one_set(ask, rows), tolerances(ask))
    assert (label.ties, label.gap.wrong) == (1, 0)
    (label,) = compared(graph(ask, swapped), one_set(ask, ROWS), tolerances(ask))
    assert label.gap.wrong == 6


def test_equally_near_neighbours_leave_a_number_open() -> None:
    ask = reference(KNeighborsRegressor(1).fit(ROWS, ROWS[:, 0]), "predict")
    halfway = np.array([[0.5], [1.2], [6.0]])
    one = one_set(ask, halfway)
    assert one.undecided.tolist() == [True, False, True]
    (found,) = compared(graph(ask, lambda name, rows, answer: answer + np.isin(rows[:, 0], [0.5, 6.0])), one, tolerances(ask))
    assert (found.ties, found.gap.passed) == (2, True)
    (found,) = compared(graph(ask, lambda name, rows, answer: answer + (rows[:, 0] == 1.2)), one, tolerances(ask))
    assert (found.ties, found.gap.wrong, found.gap.worst_row) == (0, 1, 1)


def test_another_shape_is_never_excused() -> None:
    ask = logistic()
    flat = graph(ask, lambda name, rows, answer: answer.reshape(-1, 1) if name == "predict" else answer)
    label, _ = compared(flat, one_set(ask, edge_of(ask)), tolerances(ask))
    assert (label.gap.wrong, label.gap.expected, label.gap.answered) == (1, "shape [1]", "shape [1, 1]")


def test_every_set_is_compared_and_the_first_again_in_every_batch() -> None:
    ask = logistic()
    sets = [one_set(ask, ROWS, "first"), one_set(ask, ROWS[:2], "second")]
    found = examine(graph(ask), sets, tolerances(ask))
    kinds = ["first", "second", *(f"batch of {batch}" for batch in BATCHES)]
    assert [finding.kind for finding in found] == [kind for kind in kinds for _ in range(2)]
    assert [finding.gap.rows for finding in found[::2]] == [6, 2, *BATCHES]


def test_a_batch_repeats_rows_answers_and_what_is_open() -> None:
    ask = reference(KNeighborsRegressor(1).fit(ROWS, ROWS[:, 0]), "predict")
    one = dataclasses.replace(one_set(ask, np.array([[0.5], [1.2]])), ties=np.array([False, True]))
    three = one.resized(3)
    assert three.rows.feeds["X"].tolist() == [[0.5], [1.2], [0.5]]
    assert three.answers["predict"].tolist() == [*one.answers["predict"], one.answers["predict"][0]]
    assert (three.ties.tolist(), three.undecided.tolist()) == ([False, True, False], [True, False, True])
    assert three.refused.size == 0


def test_a_graph_that_is_wrong_in_one_batch_size_alone_is_found() -> None:
    ask = logistic()
    spoilt = graph(ask, lambda name, rows, answer: answer + 1 if len(rows) == 3 and name == "predict_proba" else answer)
    found = examine(spoilt, [one_set(ask, ROWS)], tolerances(ask))
    assert [(one.kind, one.output) for one in found if not one.gap.passed] == [("batch of 3", "predict_proba")]


def test_it_stops_at_the_first_set_that_does_not_hold() -> None:
    ask = logistic()
    sets = [one_set(ask, ROWS, kind) for kind in ("first", "second")]
    assert {finding.kind for finding in examine(graph(ask, swapped), sets, tolerances(ask))} == {"first"}


def test_rows_that_float32_cannot_hold_are_for_double_alone() -> None:
    ask = logistic()
    sets = [one_set(ask, ROWS, "first"), *(one_set(ask, ROWS, kind) for kind in DOUBLES)]
    for candidate, asked_for in ((FLOAT32, set()), (FLOAT64, set(DOUBLES))):
        found = examine(graph(ask, candidate=candidate), sets, tolerances(ask))
        assert {finding.kind for finding in found} & set(DOUBLES) == asked_for


def test_what_is_compared_is_said_while_it_is(capfd: pytest.CaptureFixture[str]) -> None:
    ask = logistic()
    examine(graph(ask), [one_set(ask, ROWS, "first")], tolerances(ask), Progress(shown=True))
    said = capfd.readouterr().err
    assert "float64: comparing rows, first (1 of 5)" in said
    assert "float64: comparing rows, batch of 1000 (5 of 5)" in said


def test_what_fails_inside_a_margin_excuses_no_label() -> None:
    def fails(rows: Array) -> Array:
        raise TypeError

    ask = logistic()
    broken = dataclasses.replace(ask, estimator=type(ask.estimator)().fit(ROWS, LABELS))
    broken.estimator.decision_function = fails
    broken.estimator.predict = ask.estimator.predict
    broken.estimator.predict_proba = ask.estimator.predict_proba
    assert one_set(broken, edge_of(ask)).ties.tolist() == [False]


@pytest.mark.parametrize("candidate", [FLOAT32, FLOAT64], ids=lambda candidate: candidate.name)
def test_the_graph_is_given_rows_of_its_own_precision(candidate: Any) -> None:
    seen: set[Any] = set()

    def noted(name: str, rows: Array, answer: Array) -> Array:
        seen.add(rows.dtype)
        return answer

    ask = logistic()
    examine(graph(ask, noted, candidate), [one_set(ask, ROWS)], tolerances(ask))
    assert seen == {candidate.real}


def test_a_margin_of_just_the_tolerance_is_a_tie() -> None:
    forest = RandomForestClassifier(2, bootstrap=False, max_depth=1, random_state=0).fit(ROWS, LABELS)
    ask = reference(forest, "predict")
    assert asked(ask, RowSet("some", {"X": ROWS}), 1.0).ties.all()
    assert not asked(ask, RowSet("some", {"X": ROWS}), 0.999).ties.any()


def test_a_finding_is_no_tie_unless_it_says_so() -> None:
    assert Finding("some", "predict", Gap(1, 0, 0.0, 0, "", "")).ties == 0


def test_the_rows_of_a_function_are_asked_as_they_are() -> None:
    ask = reference(FunctionTransformer(np.negative).fit(ROWS), "transform")
    assert one_set(ask, ROWS).answers["transform"].tolist() == (-ROWS).tolist()
