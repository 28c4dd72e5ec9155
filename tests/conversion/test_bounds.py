"""Is the stated bound never below what is seen, of use, and refused where nothing can be said?"""

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor, Ridge, SGDClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from conversion.candidates import FLOAT32, FLOAT64, Candidate
from conversion.error_bounds.bounds import Bound, NotBounded, bound, covers
from conversion.methods import methods_of
from conversion.report import bounded
from conversion.rows import representable
from conversion.schema import schema_of
from conversion.search import search
from conversion.translate import set_shapes, translate
from serving.runtime import open_session
from serving.signature import Array
from tests.conversion.asking import question
from tests.conversion.bounded_models import MODELS, fit, label, made, network, scaled


def rows_in(low: Array, high: Array, seen: Array) -> Array:
    """10,000 rows of the range: anywhere, in its corners, with some features at an end; and those that the model has seen."""
    rng = np.random.default_rng(0)
    anywhere = low + (high - low) * rng.random((6000, len(low)))
    corners = np.where(rng.random((2000, len(low))) < 0.5, low, high)
    edges = np.where(rng.random((2000, len(low))) < 0.6, np.resize(corners, (2000, len(low))), anywhere[:2000])
    rows = representable(np.concatenate([anywhere, corners, edges, seen]))
    return np.asarray(rows[((rows >= low) & (rows <= high)).all(axis=1)])


def answered(
    model: Any, candidate: Candidate, low: Array, high: Array, rows: Array
) -> tuple[Bound, dict[str, tuple[Array, Array]]]:
    """The bound, and for each method what the graph and what scikit-learn answer for the rows."""
    methods = methods_of(model)
    wanted = {name: np.asarray(getattr(model, name)(rows)) for name in methods}
    graph = translate(model, schema_of(model), methods, candidate).graph
    set_shapes(graph, {name: answer.shape[1:] for name, answer in wanted.items()})
    given = open_session(graph.SerializeToString()).run(methods, {"X": rows.astype(candidate.real)})
    return bound(graph, model, low, high), {name: (one, wanted[name]) for name, one in zip(methods, given, strict=True)}


def holds(found: Bound, answers: dict[str, tuple[Array, Array]], margins: Array | None) -> None:
    for name, (given, wanted) in answers.items():
        assert given.shape == wanted.shape
        if wanted.dtype.kind == "f":
            gap = np.abs(given - wanted)
            assert gap.max() <= found.largest, name
            assert found.share is None or (gap <= found.share * np.abs(wanted) + 1e-300).all()
        else:
            assert margins is not None
            assert found.margin is not None
            differ = given.astype(wanted.dtype) != wanted
            assert not (differ & (margins > found.margin)).any()


def margins_of(model: Any, rows: Array) -> Array | None:
    last = model[-1] if hasattr(model, "named_steps") else model
    if isinstance(last, MLPClassifier):
        shares = model.predict_proba(rows)
        best = np.sort(shares, axis=1)
        return np.asarray(np.abs(shares[:, 1] - 0.5) if shares.shape[1] == 2 else best[:, -1] - best[:, -2])
    if not hasattr(model, "decision_function"):
        return None
    scores = model.decision_function(rows)
    best = np.sort(scores, axis=-1)
    return np.asarray(np.abs(scores) if scores.ndim == 1 else best[:, -1] - best[:, -2])


@pytest.mark.parametrize(("model", "target"), MODELS, ids=[label(*one) for one in MODELS])
def test_nothing_seen_is_beyond_the_bound(model: Any, target: str) -> None:
    rng = np.random.default_rng(len(label(model, target)))
    for scale, offset in ((1.0, 0.0), (10.0 ** rng.integers(-3, 3), 1e3 * rng.standard_normal())):
        rows, targets = made(int(rng.integers(1000)), scale, offset)
        fitted = fit(model, rows, targets[target])
        assert covers(fitted)
        reach = rng.choice([2.0, 5.0]) * rows.std(axis=0)
        low, high = representable(rows.mean(axis=0) - reach), representable(rows.mean(axis=0) + reach)
        asked = rows_in(low, high, rows)
        for candidate in (FLOAT64, FLOAT32):
            try:
                found, answers = answered(fitted, candidate, low, high, asked)
            except NotBounded:
                # exp and ratios are bounded in double alone.
                if candidate is FLOAT32:
                    continue
                raise
            holds(found, answers, margins_of(fitted, asked))
            if candidate is FLOAT64 and offset == 0:
                sizes = [np.abs(wanted).max() for _, wanted in answers.values() if wanted.dtype.kind == "f"]
                assert min(found.largest / max(*sizes, 1e-3), found.share or np.inf) < 1e-7


@pytest.mark.parametrize(
    ("model", "target"),
    [
        (scaled(network(MLPRegressor, "relu", 12)), "several"),
        (LogisticRegression(), "three"),
        (LogisticRegression(), "two"),
        (scaled(network(MLPClassifier, "tanh")), "two"),
        (scaled(SGDClassifier(loss="log_loss")), "three"),
    ],
)
def test_the_search_states_the_bound(model: Any, target: str) -> None:
    rows, targets = made(0, 1.0, 5.0)
    evidence = search(question(fit(model, rows, targets[target]))).evidence
    assert evidence["evidence"] == "bounded"
    assert evidence["bound"]["largest"] <= 1e-5
    assert ("margin" in evidence["bound"]) == (target != "several")
    assert ("assumed" in evidence["bound"]) == (target != "several")
    assert "within" in bounded(evidence["bound"])


def test_a_range_that_is_too_wide_for_a_bound_is_taken_nearer_and_said() -> None:
    rows, targets = made(0, 1.0, 0.0)
    fitted = fit(scaled(PoissonRegressor(alpha=0)), rows, targets["positive"])
    ranges = []
    for coefficients in (fitted[-1].coef_, 60 * fitted[-1].coef_):
        fitted[-1].coef_ = coefficients
        evidence = search(question(fitted)).evidence
        assert evidence["evidence"] == "bounded"
        ranges.append(evidence["bound"]["range"])
    assert "typical x 10" in ranges[0]
    assert "typical x 10" not in ranges[1]


def test_large_numbers_are_bounded_by_their_share() -> None:
    rows, targets = made(0, 1.0, 0.0)
    accepted = search(question(fit(scaled(PoissonRegressor(alpha=0)), rows, 1e6 * targets["positive"] ** 3)))
    assert accepted.evidence["evidence"] == "bounded"
    assert accepted.evidence["bound"]["largest"] > 1e-5
    assert accepted.evidence["bound"]["share"] <= 1e-10
    assert "of scikit-learn's own number" in bounded(accepted.evidence["bound"])


def test_what_no_bound_is_written_for_is_named() -> None:
    rows, targets = made(0, 1.0, 0.0)
    for model, said in (
        (KMeans(2, n_init=1), "no bound is written for"),
        (SGDClassifier(loss="modified_huber"), "modified_huber jump|next to zero"),
    ):
        fitted = fit(model, rows, targets["three"])
        methods = methods_of(fitted)
        graph = translate(fitted, schema_of(fitted), methods, FLOAT64).graph
        with pytest.raises(NotBounded, match=said):
            bound(graph, fitted, rows.min(axis=0), rows.max(axis=0))


def test_a_model_of_the_same_form_that_answers_otherwise_has_a_bound_that_says_so() -> None:
    rows, targets = made(0, 1.0, 0.0)
    first, second = (fit(Ridge(alpha), rows, targets["rows"]) for alpha in (0.1, 30.0))
    graph = translate(second, schema_of(second), ["predict"], FLOAT64).graph
    found = bound(graph, first, rows.min(axis=0), rows.max(axis=0))
    assert found.largest >= np.abs(first.predict(rows) - second.predict(rows)).max()


def test_a_bound_above_the_tolerance_is_not_claimed(rows: Array) -> None:
    accepted = search(question(make_pipeline(StandardScaler(), LinearRegression()).fit(rows * 1e12, rows[:, 0] * 1e12)))
    assert accepted.evidence["evidence"] == "tested"
    assert "above the tolerance" in accepted.evidence["not_bounded"]


def test_a_column_of_zeros_and_a_single_feature_are_bounded() -> None:
    rows = np.random.default_rng(0).standard_normal((60, 1)).astype(np.float32).astype(np.float64)
    for seen in (rows, np.concatenate([rows, np.zeros((60, 1))], axis=1)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted = make_pipeline(StandardScaler(), LogisticRegression()).fit(seen, rows[:, 0] > 0)
        assert search(question(fitted)).evidence["evidence"] == "bounded"
