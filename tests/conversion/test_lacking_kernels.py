"""Are scikit-learn's kernels, between rows and kept rows, the graph's?"""

import numpy as np
import pytest
from sklearn.decomposition import KernelPCA
from sklearn.kernel_approximation import Nystroem
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from conversion.errors import Refused
from conversion.repairs import kernels
from conversion.search import search
from serving.signature import Array
from tests.conversion.asking import question
from tests.conversion.lacking import agrees, lacks

ANY_SIGN = ["linear", "rbf", "poly", "sigmoid", "cosine", "laplacian"]


def test_skl2onnx_still_lacks_them() -> None:
    assert lacks((KernelRidge, Nystroem))


@pytest.mark.parametrize("kernel", ["linear", "rbf", "poly", "sigmoid", "cosine"])
def test_components_agree_for_every_kernel(kernel: str, rows: Array) -> None:
    scaled = StandardScaler().fit_transform(rows)
    agrees(KernelPCA(3, kernel=kernel).fit(scaled), rows, kernels.NAME)


def test_components_of_a_kernel_that_is_given_agree(rows: Array) -> None:
    given = rows[:50] @ rows[:50].T
    agrees(KernelPCA(2, kernel="precomputed").fit(given), given, kernels.NAME)


@pytest.mark.parametrize("kernel", ANY_SIGN)
def test_both_agree_for_every_kernel(kernel: str, rows: Array) -> None:
    agrees(KernelRidge(kernel=kernel).fit(rows, rows[:, :2]), rows, kernels.NAME)
    agrees(Nystroem(kernel, n_components=10, random_state=0).fit(rows), rows, kernels.NAME)


@pytest.mark.parametrize("kernel", ["chi2", "additive_chi2"])
def test_kernels_of_histograms_agree(kernel: str, rows: Array) -> None:
    histogram = abs(rows[:, :2])
    agrees(Nystroem(kernel, n_components=10, random_state=0).fit(histogram), histogram, kernels.NAME)


def test_ridge_on_a_kernel_of_histograms_agrees(rows: Array) -> None:
    histogram = abs(rows[:, :2])
    agrees(KernelRidge(kernel="chi2", gamma=0.1).fit(histogram, rows[:, 0]), histogram, kernels.NAME)


def test_their_own_parameters_are_used(rows: Array) -> None:
    agrees(Nystroem("poly", degree=2, coef0=0.5, gamma=0.1, n_components=9, random_state=0).fit(rows), rows, kernels.NAME)


def test_features_of_a_kernel_feed_a_classifier(rows: Array) -> None:
    features = Nystroem(n_components=20, random_state=0)
    agrees(make_pipeline(StandardScaler(), features, LogisticRegression()).fit(rows, rows[:, 0] > 0), rows, kernels.NAME)


def test_a_kernel_of_the_users_own_is_refused(rows: Array) -> None:
    with pytest.raises(Refused, match="a kernel of its own"):
        search(question(KernelRidge(kernel=lambda a, b: float(a @ b)).fit(rows, rows[:, 0])))


def test_differences_that_need_too_much_memory_are_refused(rows: Array) -> None:
    with pytest.raises(Refused, match="too much memory"):
        search(question(KernelRidge(kernel="laplacian").fit(np.tile(rows, 30), rows[:, 0])))
