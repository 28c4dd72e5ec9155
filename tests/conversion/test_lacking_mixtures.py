"""Do mixtures of Gaussians and quadratic discriminants share out the rows as scikit-learn does?"""

from typing import Any

import numpy as np
import pytest
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from conversion.repairs import discriminant, mixtures
from serving.signature import Array
from tests.conversion.lacking import agrees


@pytest.fixture(scope="module")
def three(rows: Array) -> Array:
    return np.digitize(rows[:, 1] + np.random.default_rng(5).normal(size=len(rows)), [17, 22])


@pytest.mark.parametrize("kind", [GaussianMixture, BayesianGaussianMixture])
@pytest.mark.parametrize("covariance", ["full", "tied", "diag", "spherical"])
def test_every_covariance_agrees(kind: Any, covariance: str, rows: Array) -> None:
    agrees(kind(n_components=3, covariance_type=covariance, max_iter=500, random_state=0).fit(rows), rows, mixtures.NAME)


def test_a_finite_prior_agrees(rows: Array) -> None:
    prior = "dirichlet_distribution"
    agrees(
        BayesianGaussianMixture(n_components=4, max_iter=500, weight_concentration_prior_type=prior).fit(rows),
        rows,
        mixtures.NAME,
    )


def test_a_mixture_far_from_zero_agrees(rows: Array) -> None:
    agrees(GaussianMixture(3, random_state=0).fit(rows + 1e4), rows + 1e4, mixtures.NAME)


def test_what_was_fitted_in_float32_agrees(rows: Array) -> None:
    agrees(GaussianMixture(3, random_state=0).fit(rows.astype(np.float32)), rows, mixtures.NAME)


def test_a_mixture_behind_a_scaler_agrees(rows: Array) -> None:
    agrees(make_pipeline(StandardScaler(), GaussianMixture(4, random_state=1)).fit(rows), rows, mixtures.NAME)


@pytest.mark.parametrize("labels", [np.array(["a", "b", "c"]), np.array([3, 2**40, -1]), np.array([False, True, True])])
def test_quadratic_discriminants_agree(labels: Array, rows: Array, three: Array) -> None:
    agrees(QuadraticDiscriminantAnalysis().fit(rows, labels[three]), rows, discriminant.NAME)


def test_a_class_of_fewer_axes_agrees(rows: Array, three: Array) -> None:
    fitted = QuadraticDiscriminantAnalysis(reg_param=0.1).fit(rows, three)
    fitted.rotations_[0], fitted.scalings_[0] = fitted.rotations_[0][:, :2], fitted.scalings_[0][:2]
    agrees(fitted, rows, discriminant.NAME)


def test_a_shrunk_covariance_agrees(rows: Array, three: Array) -> None:
    agrees(QuadraticDiscriminantAnalysis(solver="eigen", shrinkage=0.1).fit(rows, three), rows, discriminant.NAME)
