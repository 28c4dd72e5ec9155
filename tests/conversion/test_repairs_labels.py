"""Is every label the one that scikit-learn decides for, by its own rule and in its own datatype?"""

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor, VotingClassifier, VotingRegressor
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier, SGDClassifier
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC, NuSVC, NuSVR, OneClassSVM

from conversion.errors import Refused
from conversion.search import search
from tests.conversion.asking import question
from tests.conversion.test_repairs_neighbours import check
from tests.conversion.unrepaired import as_it_comes

Array = np.ndarray[Any, Any]
KINDS = {"whole": np.array([3, 2**40]), "text": np.array(["nein", "ja, größer"]), "truth": np.array([False, True])}


@pytest.fixture(scope="module")
def sides(rows: Array) -> Array:
    return (rows[:, 1] + np.random.default_rng(5).normal(size=len(rows)) > 20).astype(int)


@pytest.fixture(scope="module")
def three(rows: Array) -> Array:
    return np.digitize(rows[:, 1] + np.random.default_rng(5).normal(size=len(rows)), [17, 22])


def test_skl2onnx_never_reads_the_tuned_threshold(rows: Array) -> None:
    rows = StandardScaler().fit_transform(rows)
    noisy = (rows[:, 1] + np.random.default_rng(6).normal(size=len(rows)) > 1.0).astype(int)
    tuned = TunedThresholdClassifierCV(LogisticRegression(), random_state=0).fit(rows, noisy)
    with as_it_comes(), pytest.raises(Refused, match="rows are out of tolerance for 'predict'"):
        search(question(tuned))
    check(tuned, rows, "thresholds")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "inner", [GaussianNB(), RidgeClassifier(), LinearSVC(), make_pipeline(StandardScaler(), RidgeClassifier())]
)
def test_a_fixed_threshold_decides(kind: str, inner: Any, rows: Array, sides: Array) -> None:
    labels = KINDS[kind][sides]
    for positive in (None, KINDS[kind][0]) if kind != "text" else KINDS[kind]:
        check(FixedThresholdClassifier(inner, threshold=0.3, pos_label=positive).fit(rows, labels), rows, "thresholds")


def test_a_threshold_on_the_very_share_of_a_forest_is_met_exactly(rows: Array, sides: Array) -> None:
    forest = RandomForestClassifier(20, random_state=0)
    check(FixedThresholdClassifier(forest, threshold=0.3, pos_label=0).fit(rows, sides), rows, "thresholds")


def test_a_decision_by_score_and_an_answer_of_shares_hold_together(rows: Array, sides: Array) -> None:
    inner = LogisticRegression(max_iter=1000)
    check(FixedThresholdClassifier(inner, threshold=1.5, response_method="decision_function").fit(rows, sides), rows)


@pytest.mark.parametrize("loss", ["modified_huber", "log_loss", "hinge"])
def test_stochastic_gradient_labels_come_from_the_scores(loss: str, rows: Array, three: Array) -> None:
    scaled = StandardScaler().fit_transform(rows).astype(np.float32).astype(np.float64)
    check(SGDClassifier(loss=loss, random_state=0).fit(scaled, three * 2**40), scaled, "linear")
    check(SGDClassifier(loss=loss, random_state=0).fit(scaled, three > 0), scaled, "linear")


def test_skl2onnx_cannot_vote_by_default(rows: Array, sides: Array) -> None:
    members = [("a", LogisticRegression(max_iter=1000)), ("b", GaussianNB())]
    with as_it_comes(), pytest.raises(Refused, match="flatten_transform==True is not implemented"):
        search(question(VotingClassifier(members, voting="soft").fit(rows, sides)))


@pytest.mark.parametrize("voting", ["soft", "hard"])
@pytest.mark.parametrize("weights", [None, [1, 2, 0.5]])
def test_votes_are_counted_and_weighed(voting: str, weights: Any, rows: Array, three: Array) -> None:
    members = [
        ("line", make_pipeline(StandardScaler(), LogisticRegression())),
        ("forest", RandomForestClassifier(10, random_state=0)),
        ("near", KNeighborsClassifier()),
    ]
    names = np.array(["x", "y", "ü"])[three]
    check(VotingClassifier(members, voting=voting, weights=weights).fit(rows, names), rows, "voting")


def test_the_mean_of_regressors_leaves_out_the_dropped(rows: Array) -> None:
    members = [("line", Ridge()), ("forest", RandomForestRegressor(5, random_state=0)), ("gone", "drop")]
    check(VotingRegressor(members, weights=[1, 3, 9]).fit(rows, rows[:, 0]), rows, "voting")


def test_skl2onnx_cuts_whole_labels_to_32_bits(rows: Array, sides: Array) -> None:
    fitted = LogisticRegression(max_iter=1000).fit(rows, KINDS["whole"][sides])
    with as_it_comes(), pytest.raises(Refused, match="scikit-learn answered 1099511627776"):
        search(question(fitted))
    check(fitted, rows, "whole_labels")


@pytest.mark.parametrize("kernel", ["rbf", "linear", "sigmoid"])
@pytest.mark.parametrize("shape", ["ovr", "ovo"])
def test_support_vectors_vote_pair_by_pair(kernel: str, shape: str, rows: Array, three: Array) -> None:
    scaled = StandardScaler().fit_transform(rows).astype(np.float32).astype(np.float64)
    check(SVC(kernel=kernel, decision_function_shape=shape).fit(scaled, three * 2**40), scaled, "svm")
    check(SVC(kernel=kernel).fit(scaled, three > 0), scaled, "svm")


def test_every_other_support_vector_machine_holds(rows: Array, three: Array) -> None:
    check(SVC(break_ties=True).fit(rows, three), rows, "svm")
    check(NuSVC(nu=0.1, kernel="poly", degree=2).fit(rows - rows.mean(axis=0), three), rows - rows.mean(axis=0), "svm")
    check(SVR().fit(rows, rows[:, 1]), rows, "svm")
    check(NuSVR().fit(rows, rows[:, 1]), rows, "svm")
    check(OneClassSVM(nu=0.2).fit(rows), rows, "svm")


@pytest.mark.filterwarnings("ignore:Attribute `prob:FutureWarning")
def test_skl2onnx_flips_votes_in_float32(rows: Array, three: Array) -> None:
    with as_it_comes(), pytest.raises(Refused, match="out of tolerance"):
        search(question(SVC().fit(rows, three)))


def test_a_kernel_of_ones_own_is_refused(rows: Array, sides: Array) -> None:
    with pytest.raises(Refused, match="kernel='precomputed' fitted on dense rows is not covered"):
        search(question(SVC(kernel="precomputed").fit(rows @ rows.T, sides)))
