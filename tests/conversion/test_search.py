"""Is the candidate taken that the evidence bears, and is a refusal one that helps?"""

import dataclasses
import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import NMF, PCA
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsRegressor, LocalOutlierFactor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from conversion.candidates import candidates_for
from conversion.errors import Refused
from conversion.progress import Progress
from conversion.search import Accepted, search
from serving.signature import Array
from tests.conversion.asking import question
from tests.conversion.unrepaired import as_it_comes


def pinned(estimator: Any, precision: str, tolerance: float = 1e-5) -> Accepted:
    return search(dataclasses.replace(question(estimator, tolerance), precision=precision))


def network(rows: Array) -> Any:
    model = make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(64,), max_iter=60, random_state=0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(rows, rows[:, :2])


def test_a_pinned_precision_is_tried_alone_and_compared_all_the_same(rows: Array) -> None:
    accepted = pinned(network(rows), "mixed", 1e-3)
    assert [one.name for one in accepted.tried] == ["mixed"]
    assert len({finding.kind for finding in accepted.findings}) > 10


def test_mixed_takes_double_and_computes_in_float32_after_the_scaler(rows: Array) -> None:
    accepted, whole = pinned(network(rows), "mixed", 1e-3), pinned(network(rows), "float64", 1e-3)
    assert accepted.signature.inputs[0].datatype == "FP64"
    assert accepted.signature.outputs[0].datatype == "FP32"
    assert accepted.graph.ByteSize() < whole.graph.ByteSize()


def test_a_precision_that_the_object_has_no_graph_of_is_refused_with_what_to_do(rows: Array) -> None:
    with pytest.raises(Refused, match="mixed is for a pipeline that begins with"):
        candidates_for(LinearRegression().fit(rows, rows[:, 0]), "mixed")


def test_pinned_float32_is_refused_where_it_does_not_hold(rows: Array) -> None:
    far = rows + 1e6
    with pytest.raises(Refused, match="a tenth of the tolerance"):
        pinned(make_pipeline(PCA(2), LinearRegression()).fit(far, rows[:, 0]), "float32")


def test_a_refusal_names_the_step_the_row_the_cause_and_the_remedy(rows: Array) -> None:
    model = make_pipeline(StandardScaler(), KNeighborsRegressor(weights="distance")).fit(rows, rows[:, 0])
    with as_it_comes(), pytest.raises(Refused) as refused:
        search(question(model))
    said = str(refused.value)
    assert "step    KNeighborsRegressor, the last of 2" in said
    assert "row     X = " in said
    assert "cause   " in said
    assert "remedy  " in said


def test_a_step_that_cannot_be_written_is_named(rows: Array) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = make_pipeline(NMF(2, max_iter=20, random_state=0), LogisticRegression())
        model.fit(np.abs(rows), (rows[:, 0] > 0).astype(int))
    with pytest.raises(Refused, match="step    NMF, number 1 of 2"):
        search(question(model))


def test_on_a_terminal_it_says_what_is_tried_and_leaves_a_clean_line(rows: Array, capfd: pytest.CaptureFixture[str]) -> None:
    progress = Progress(shown=True)
    search(dataclasses.replace(question(LinearRegression().fit(rows, rows[:, 0])), progress=progress))
    progress.end()
    written = capfd.readouterr().err
    assert "float64: writing the graph" in written
    assert "comparing rows, whole numbers" in written
    assert written.endswith("\r\x1b[K")


def test_a_model_that_is_undecided_on_ordinary_rows_is_refused() -> None:
    grid = np.array([[x, y] for x in range(12) for y in range(12)], np.float64)
    with pytest.raises(Refused, match="so many on ordinary rows leave no evidence"):
        search(question(LocalOutlierFactor(5, novelty=True).fit(grid)))
