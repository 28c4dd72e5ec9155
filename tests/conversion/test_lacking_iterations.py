"""Is what iterates refused by name, and the formula among them the graph's?"""

from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import NMF, DictionaryLearning, LatentDirichletAllocation, SparseCoder
from sklearn.linear_model import Ridge
from sklearn.manifold import LocallyLinearEmbedding
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from conversion.errors import Refused
from conversion.repairs import iterations, multi_output
from conversion.search import search
from serving.signature import Array
from tests.conversion.asking import question
from tests.conversion.lacking import agrees


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (NMF(2, max_iter=500, init="nndsvda", tol=1e-2), "until the whole batch has converged"),
        (LatentDirichletAllocation(2, max_iter=2), "until each row has converged"),
        (LocallyLinearEmbedding(), "ONNX has no solver"),
        (SparseCoder(np.eye(4)), "transform_algorithm='omp' cannot be mirrored: its transform iterates"),
    ],
)
@pytest.mark.filterwarnings("ignore:Orthogonal matching pursuit:RuntimeWarning")
def test_what_iterates_is_refused_by_name(model: Any, reason: str, rows: Array) -> None:
    fitted = make_pipeline(model, StandardScaler()).fit(np.abs(rows))
    with pytest.raises(Refused, match=reason):
        search(question(fitted))


@pytest.mark.parametrize(
    "options", [{}, {"split_sign": True}, {"positive_code": True, "fit_algorithm": "cd"}, {"transform_alpha": 0.3}]
)
def test_a_code_by_threshold_agrees(options: dict[str, Any], rows: Array) -> None:
    learnt = DictionaryLearning(5, alpha=0.7, transform_algorithm="threshold", max_iter=3, random_state=0, **options)
    agrees(learnt.fit(StandardScaler().fit_transform(rows)), rows, iterations.NAME)


def test_a_coder_of_given_atoms_agrees(rows: Array) -> None:
    agrees(SparseCoder(np.eye(4)[::-1] - 0.2, transform_algorithm="threshold").fit(rows), rows, iterations.NAME)


@pytest.mark.parametrize("inner", [Ridge(), DecisionTreeRegressor(), make_pipeline(StandardScaler(), DecisionTreeRegressor())])
def test_several_targets_agree_with_their_own_regressors(inner: Any, rows: Array) -> None:
    targets = np.stack([rows[:, 0], rows[:, 1] * rows[:, 2], np.sin(rows[:, 3])], axis=1)
    accepted = agrees(MultiOutputRegressor(inner).fit(rows, targets), rows, multi_output.NAME)
    assert accepted.candidate.precision == "float64" or accepted.evidence["evidence"] == "proved"
