"""Has a classifier with several targets one output of labels, and one of probabilities for each target?"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from conversion.errors import Refused
from conversion.repairs import several
from serving.signature import Array
from tests.conversion.asking import question
from tests.conversion.conftest import Convert
from tests.conversion.lacking import agrees
from tests.serving.asking import asker

LINE = make_pipeline(StandardScaler(), LogisticRegression())
OUTPUTS = {"predict": [-1, 3], "predict_proba_0": [-1, 3], "predict_proba_1": [-1, 2], "predict_proba_2": [-1, 2]}


@pytest.fixture
def targets(rows: Array) -> Array:
    """(n, 3): one target of three classes, two of two."""
    return np.stack([np.digitize(rows[:, 0], [-0.5, 0.9]), rows[:, 1] > 20, rows[:, 3] > 1], axis=1).astype(int)


@pytest.mark.parametrize(
    ("inner", "names"),
    [
        (LINE, np.array([2**40, -5, 7])),
        (RandomForestClassifier(5, random_state=0), np.array(["é", "b", "z"])),
        (HistGradientBoostingClassifier(max_iter=5), np.arange(3)),
    ],
    ids=["line", "forest", "boosting"],
)
def test_every_target_has_its_probabilities(inner: Any, names: Array, rows: Array, targets: Array) -> None:
    accepted = agrees(MultiOutputClassifier(inner).fit(rows, names[targets]), rows, several.NAME)
    assert {output.name: list(output.shape) for output in accepted.signature.outputs} == OUTPUTS


def test_targets_without_probabilities_have_labels_alone(rows: Array, targets: Array) -> None:
    accepted = agrees(MultiOutputClassifier(LinearSVC(C=0.01)).fit(rows, targets), rows, several.NAME)
    assert [output.name for output in accepted.signature.outputs] == ["predict"]


class Refusing(LogisticRegression):  # type: ignore[misc]
    """Answers nothing."""

    def predict(self, X: Any) -> Any:
        raise ValueError("negative values in data")


def test_scikit_learns_own_refusal_is_the_reason(rows: Array, targets: Array) -> None:
    with pytest.raises(Refused, match=r"refuses all 'typical' rows \(ValueError: negative values in data\)"):
        question(Refusing(max_iter=1000).fit(rows, targets[:, 0]))


def test_several_targets_are_converted_and_served_over_json_and_binary(
    convert: Convert, tmp_path: Path, rows: Array, targets: Array
) -> None:
    fitted = MultiOutputClassifier(LINE).fit(rows, np.array(["ja", "nein", "größer"])[targets])
    done = convert(fitted)
    assert done.returncode == 0, done.stderr
    ask = asker((tmp_path / "model.onnx").read_bytes())
    asked = json.loads((tmp_path / "example.json").read_text())["inputs"]
    x = np.array(asked[0]["data"]).reshape(asked[0]["shape"])
    told = {one["name"]: one for one in ask("POST", "/v2/models/test/infer", json={"inputs": asked}).json()["outputs"]}
    assert list(told) == list(OUTPUTS)
    assert told["predict"]["datatype"] == "BYTES"
    assert np.array_equal(np.reshape(told["predict"]["data"], (-1, 3)), fitted.predict(x))
    packed = ask("POST", "/v2/models/test/infer", json={"inputs": asked, "parameters": {"binary_data_output": True}})
    size = int(packed.headers["inference-header-content-length"])
    raw, at = packed.content[size:], 0
    for one in json.loads(packed.content[:size])["outputs"]:
        part, at = raw[at : at + one["parameters"]["binary_data_size"]], at + one["parameters"]["binary_data_size"]
        if one["datatype"] == "FP64":
            shares = fitted.predict_proba(x)[int(one["name"][-1])]
            assert one["shape"] == list(shares.shape) == told[one["name"]]["shape"]
            assert np.abs(np.frombuffer(part).reshape(shares.shape) - shares).max() < 1e-12
