"""Are Gaussian processes the graph's, whatever their kernel, and the graph quicker?"""

import time
from typing import Any

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process import kernels as gp
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from conversion.errors import Refused
from conversion.repairs import gaussian_processes
from conversion.search import search
from serving.signature import Array
from tests.conversion.asking import question
from tests.conversion.lacking import agrees

KERNELS = [
    gp.RBF([0.5, 3.0, 2.0, 1.0]),
    *(gp.Matern(2.0, nu=nu) for nu in (0.5, 1.5, 2.5, np.inf)),
    gp.ConstantKernel(3.0) * gp.RationalQuadratic(2.0, 0.7) + gp.WhiteKernel(0.1),
    (gp.DotProduct(0.5) + 1.0) ** 2,
    gp.RBF() * gp.ExpSineSquared(2.0, 3.0) + gp.WhiteKernel() * gp.RBF() + gp.ConstantKernel(2.0) * gp.ConstantKernel(0.5),
]


@pytest.fixture(scope="module")
def scaled(rows: Array) -> Array:
    return np.asarray(StandardScaler().fit_transform(rows)).astype(np.float32).astype(np.float64)[:80]


@pytest.fixture(scope="module")
def target(scaled: Array) -> Array:
    return np.asarray(np.sin(scaled[:, 0]) + scaled[:, 1] ** 2)


def _regressor(kernel: Any = None, **given: Any) -> Any:
    return GaussianProcessRegressor(kernel, optimizer=None, **{"alpha": 1e-2, **given})


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_every_kernel_agrees(kernel: Any, scaled: Array, target: Array) -> None:
    agrees(_regressor(kernel).fit(scaled, target), scaled, gaussian_processes.NAME)


@pytest.mark.parametrize("targets", [1, 3])
def test_normalised_targets_agree(targets: int, scaled: Array, target: Array) -> None:
    several = np.stack([target * scale + scale for scale in range(1, targets + 1)], axis=1)
    agrees(_regressor(normalize_y=True).fit(scaled, several), scaled, gaussian_processes.NAME)


def test_a_process_with_almost_no_noise_far_from_zero_agrees(scaled: Array, target: Array) -> None:
    agrees(_regressor(alpha=1e-10, normalize_y=True).fit(scaled + 1e3, target), scaled + 1e3, gaussian_processes.NAME)


def test_more_rows_than_differences_can_be_held_agree() -> None:
    many = np.random.default_rng(9).normal(size=(300, 70))
    agrees(_regressor(gp.RBF(9.0)).fit(many, many[:, 0]), many, gaussian_processes.NAME)


def test_a_kernel_without_a_closed_form_is_refused_by_name(scaled: Array, target: Array) -> None:
    with pytest.raises(Refused, match=r"nu=3\.2"):
        search(question(_regressor(gp.Matern(nu=3.2)).fit(scaled, target)))


def test_one_row_is_answered_sooner_than_by_scikit_learn(scaled: Array, target: Array) -> None:
    fitted = _regressor().fit(scaled, target)
    accepted = search(question(fitted))
    spent = []
    for _ in range(50):
        start = time.perf_counter()
        accepted.session.answer({"X": scaled[:1]}, ["predict"])
        middle = time.perf_counter()
        fitted.predict(scaled[:1])
        spent.append((middle - start, time.perf_counter() - middle))
    graphs, scikit_learns = np.median(spent, axis=0)
    assert graphs < scikit_learns


@pytest.mark.parametrize("kernel", [KERNELS[0], KERNELS[2], KERNELS[6]], ids=str)
def test_two_classes_agree(kernel: Any, scaled: Array, target: Array) -> None:
    fitted = GaussianProcessClassifier(kernel, optimizer=None).fit(scaled, np.array(["no", "yes"])[(target > 1).astype(int)])
    accepted = agrees(fitted, scaled, gaussian_processes.NAME)
    unseen = np.random.default_rng(7).normal(size=(300, 4)) * 3
    answered = accepted.session.answer({"X": unseen}, ["predict_proba"])["predict_proba"]
    # The shares are differences of numbers in the thousands: an error function in float32 would show in the third digit.
    np.testing.assert_allclose(answered, fitted.predict_proba(unseen), rtol=0, atol=1e-10)


def test_three_classes_agree(rows: Array, target: Array) -> None:
    fitted = make_pipeline(StandardScaler(), GaussianProcessClassifier(optimizer=None))
    fitted.fit(rows[:24], np.array([3, 2**40, -1])[np.digitize(target[:24], [0, 1.5])])
    accepted = search(question(fitted))
    assert gaussian_processes.NAME in accepted.repairs
    unseen = np.random.default_rng(7).normal(size=(300, 4)) * rows.std(axis=0) + rows.mean(axis=0)
    answered = accepted.session.answer({"X": unseen}, ["predict", "predict_proba"])
    np.testing.assert_array_equal(answered["predict"], fitted.predict(unseen))
    np.testing.assert_allclose(answered["predict_proba"], fitted.predict_proba(unseen), rtol=0, atol=1e-10)
