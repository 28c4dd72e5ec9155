"""Is the nearest of some points the one that scikit-learn finds?"""

from typing import Any

import numpy as np
import pytest
from sklearn.cluster import AffinityPropagation, Birch, BisectingKMeans, MeanShift
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from conversion.repairs import centroids
from serving.signature import Array
from tests.conversion.lacking import agrees, lacks

CLUSTERERS = [
    Birch(n_clusters=3, threshold=0.5), Birch(n_clusters=None, threshold=1.0), MeanShift(bandwidth=3),
    AffinityPropagation(random_state=0), BisectingKMeans(1, random_state=0), BisectingKMeans(2, random_state=0),
    BisectingKMeans(7, random_state=0), BisectingKMeans(5, bisecting_strategy="largest_cluster", random_state=0),
]  # fmt: skip
LABELS = [np.array([2**40, -5, 7]), np.array(["é", "b", "z"]), np.array([False, True, True])]


def test_skl2onnx_still_lacks_them() -> None:
    assert lacks(centroids.COVERED)


@pytest.mark.parametrize("clusterer", CLUSTERERS, ids=str)
def test_every_clusterer_agrees(clusterer: Any, rows: Array) -> None:
    agrees(clusterer.fit(rows), rows, centroids.NAME)


@pytest.mark.parametrize("metric", ["euclidean", "manhattan"])
@pytest.mark.parametrize("priors", ["uniform", "empirical"])
@pytest.mark.parametrize("names", LABELS, ids=["int64", "text", "bool"])
def test_nearest_centroid_agrees_for_every_kind_of_label(metric: str, priors: str, names: Array, rows: Array) -> None:
    labels = names[np.digitize(rows[:, 0], [-0.5, 0.9])]
    agrees(NearestCentroid(metric=metric, priors=priors).fit(rows, labels), rows, centroids.NAME)


def test_shrunken_centroids_agree(rows: Array) -> None:
    agrees(NearestCentroid(shrink_threshold=0.2).fit(rows, np.digitize(rows[:, 0], [-0.5, 0.9])), rows, centroids.NAME)


@pytest.mark.parametrize("last", [NearestCentroid(), BisectingKMeans(4, random_state=0), Birch()], ids=str)
def test_one_after_a_scaler_agrees(last: Any, rows: Array) -> None:
    agrees(make_pipeline(StandardScaler(), last).fit(rows, rows[:, 0] > 0), rows, centroids.NAME)
