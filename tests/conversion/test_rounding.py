"""Does the analysis cover what one operation really does, in any order, and what the elementary functions really err?"""

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from scipy.special import expit

from conversion.error_bounds.rounding import DOUBLE, FUNCTION_UNITS, SINGLE, NotBounded, Value, apart, joined, ratio
from serving.runtime import open_session
from serving.signature import Array


def rows(width: int, size: float = 1.0, unit: float = DOUBLE) -> Value:
    return Value.rows(np.full(width, -size), np.full(width, size), unit)


def test_one_sum_in_any_order_stays_within_its_bound() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        n = int(rng.integers(2, 300))
        drawn, weights = rng.uniform(-1, 1, (50, n)).astype(np.float32), rng.standard_normal((n, 1)).astype(np.float32)
        bias = np.float32(rng.standard_normal() * 100)
        found = rows(n, unit=SINGLE).product(weights, np.full(1, float(bias)))
        computed = np.full(50, bias)
        for i in rng.permutation(n):
            computed += drawn[:, i] * weights[i, 0]
        exact = drawn.astype(np.longdouble) @ weights.astype(np.longdouble) + bias
        assert np.abs(computed - exact[:, 0]).max() <= found.error[0]
        assert (exact >= found.low).all()
        assert (exact <= found.high).all()


def test_a_sum_that_starts_from_its_constant_stays_within_the_bound_of_both_orders() -> None:
    rng = np.random.default_rng(0)
    drawn, weights, bias = rng.uniform(-1, 1, (50, 400)), rng.standard_normal((400, 1)) * 1e-3, 1e6
    computed = np.full(50, bias)
    for i in range(400):
        computed += drawn[:, i] * weights[i, 0]
    exact = drawn.astype(np.longdouble) @ weights.astype(np.longdouble) + bias
    found = rows(400).product(weights).shift(np.full(1, bias))
    assert np.abs(computed - exact[:, 0]).max() <= found.error[0]
    assert found.error[0] > 100 * bias * DOUBLE


def test_what_overflows_in_float32_is_refused() -> None:
    for change in ("product", "shift"):
        with pytest.raises(NotBounded, match="overflows"):
            getattr(rows(2, 1e30, SINGLE), change)(np.full((2, 2) if change == "product" else 2, 1e39))


def test_two_equal_computations_are_apart_by_their_rounding_alone() -> None:
    first, second = (rows(3, unit=SINGLE).shift(np.full(3, 0.1)) for _ in range(2))
    assert (apart(first, second) <= 3 * first.error).all()


def test_a_large_mean_that_cancels_is_not_forgotten() -> None:
    seen = rows(1, 1e8).shift(np.full(1, -1e8)).scale(np.full(1, 1e8))
    assert seen.error[0] >= 1e8 * 1e8 * DOUBLE


def test_what_lies_between_two_maps_is_counted_whatever_comes_after() -> None:
    first, second = (rows(2).product(weights) for weights in (np.eye(2), np.array([[1.0, 0.0], [0.01, 1.0]])))
    assert apart(first.relu(), second.relu())[0] >= 0.01
    assert apart(first.bend("tanh"), second.bend("tanh"))[0] >= 0.01
    assert apart(first.clip(-2.0, 2.0), second.clip(-2.0, 2.0))[0] >= 0.01
    assert apart(first.bend("softmax"), second.bend("softmax")).max() >= 0.005 * 0.9


def test_values_of_other_form_cannot_be_compared() -> None:
    for first, second in (
        (rows(2).bend("tanh"), rows(2).relu()),
        (rows(2).clip(0.0, 1.0), rows(2).clip(0.0, 2.0)),
        (rows(2).bend("softmax"), rows(2).bend("logistic")),
        (rows(2), rows(3)),
    ):
        with pytest.raises(NotBounded):
            apart(first, second)
    with pytest.raises(NotBounded):
        joined([rows(2).relu(), rows(2).relu()])


def test_the_ratio_of_two_exponentials_does_not_grow_with_them() -> None:
    first, second = (rows(1, 600.0).scale(np.full(1, by)).exp() for by in (1.0, 1.0 + 1e-12))
    found = ratio(first, second)
    assert found is not None
    assert 600e-12 <= found <= 700e-12
    assert ratio(rows(1), rows(1)) is None


def test_exponentials_that_overflow_are_refused() -> None:
    with pytest.raises(NotBounded, match="overflows"):
        rows(1, 800.0).exp()


def test_shares_of_what_may_vanish_are_refused() -> None:
    assert rows(2, 600.0).logistic().shares().error.max() < 1e-10
    with pytest.raises(NotBounded, match="next to zero"):
        rows(2, 800.0).logistic().shares()


def test_distances_are_compared_whatever_point_they_are_reckoned_about() -> None:
    points = np.random.default_rng(0).standard_normal((6, 3)) + 50.0
    mean = points.mean(axis=0)
    about = points - mean
    plain = Value.rows(np.full(3, 45.0), np.full(3, 55.0), DOUBLE)
    moved = plain.shift(-mean)
    first = plain.distances(plain.product(-2.0 * points.T, (points**2).sum(axis=1)))
    second = moved.distances(moved.product(-2.0 * about.T, (about**2).sum(axis=1)))
    assert apart(first, second).max() < 1e-10
    drawn = np.random.default_rng(1).uniform(45, 55, (2000, 3))
    exact = ((drawn[:, None, :] - points).astype(np.longdouble) ** 2).sum(axis=2)
    for found, rows_, kept in ((first, drawn, points), (second, drawn - mean, about)):
        computed = np.maximum((rows_**2).sum(axis=1, keepdims=True) - 2 * rows_ @ kept.T + (kept**2).sum(axis=1), 0.0)
        assert (np.abs(computed - exact) <= found.error + 1e-13).all()
        assert (computed <= found.high).all()
    other = plain.product(-2.0 * (points + 1e-3).T, ((points + 1e-3) ** 2).sum(axis=1))
    assert apart(first, plain.distances(other)).max() > 1e-3


def run(kind: str, values: Array, **given: Any) -> Array:
    """One operator as onnxruntime runs it."""
    real = TensorProto.DOUBLE if values.dtype == np.float64 else TensorProto.FLOAT
    ends = [helper.make_tensor_value_info(name, real, None) for name in "xy"]
    graph = helper.make_graph([helper.make_node(kind, ["x"], ["y"], **given)], "one", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return np.asarray(open_session(model.SerializeToString()).run(None, {"x": values})[0])


def points(real: type) -> Array:
    rng = np.random.default_rng(0)
    far = 700 if real is np.float64 else 85
    small = rng.standard_normal(100_000) * 10.0 ** rng.integers(-300 if real is np.float64 else -30, 2, 100_000)
    ends: Any = [0.0, -0.0, far, -far, 1e-45, -1e-45, 18.7, -18.7, 36.7, -36.7, 0.549306, -0.549306]
    drawn: list[Any] = [rng.uniform(-far, far, 100_000), rng.standard_normal(200_000) * 5, np.clip(small, -far, far), ends]
    return np.concatenate(drawn).astype(real)


@pytest.mark.parametrize("real", [np.float64, np.float32])
def test_the_elementary_functions_err_by_a_quarter_of_what_is_assumed(real: type) -> None:
    values, unit = points(real), DOUBLE if real is np.float64 else SINGLE
    long = values.astype(np.longdouble)
    small = np.exp(-np.abs(long))
    logistic = np.where(long >= 0, 1, small) / (1 + small)
    power = np.exp(long)
    for kind, exact, own, size in (
        ("Exp", power, np.exp, power),
        ("Tanh", np.tanh(long), np.tanh, np.ones_like(long)),
        ("Sigmoid", logistic, expit, np.ones_like(long)),
        ("Cos", np.cos(long), np.cos, np.ones_like(long)),
    ):
        for computed in (run(kind, values), own(values)):
            assert (np.abs(computed - exact) <= FUNCTION_UNITS / 4 * unit * size).all(), kind
    # Ratios of logistic values are taken, so scipy's must keep its digits near zero, too.
    assert (np.abs(expit(values) - logistic) <= FUNCTION_UNITS / 4 * unit * logistic).all()


@pytest.mark.parametrize("real", [np.float64, np.float32])
def test_softmax_errs_by_no_more_than_its_value_allows(real: type) -> None:
    rng, unit = np.random.default_rng(0), DOUBLE if real is np.float64 else SINGLE
    for width in (2, 7, 200):
        size = 80 / np.exp(rng.uniform(0, 8, (20_000 // width, 1)))
        values: Array = (size * rng.standard_normal((len(size), width))).astype(real)
        powers = np.exp(values.astype(np.longdouble) - values.max(axis=1, keepdims=True))
        exact = powers / powers.sum(axis=1, keepdims=True)
        error = Value.rows(values.min(axis=0), values.max(axis=0), unit).bend("softmax").error
        assert (np.abs(run("Softmax", values, axis=1) - exact) <= error / 4).all()
