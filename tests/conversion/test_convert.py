"""What does a user of convert.py get?"""

import hashlib
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import IsolationForest
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC

from serving.errors import InvalidInput
from serving.model import Model
from tests.conversion.conftest import ROOT, Convert

Array = np.ndarray[Any, Any]
Report = Callable[[], dict[str, Any]]


def answers(path: Path, feeds: dict[str, Array]) -> dict[str, Array]:
    model = Model.load(path)
    return model.run(model.signature.accept(feeds))


def test_the_shipped_model_is_the_translation_of_the_shipped_pickle() -> None:
    told = Model.load(ROOT / "model.onnx")
    assert told.provenance["source_sha256"] == hashlib.sha256((ROOT / "model.pkl").read_bytes()).hexdigest()
    example = json.loads((ROOT / "example.json").read_text())
    assert example["model"]["digest"] == told.digest
    told.verify()


def test_the_encoder_agrees_with_scikit_learn_on_every_catalogue_contour(
    convert: Convert, report: Report, tmp_path: Path
) -> None:
    catalogue = ROOT / "recommender" / "data" / "catalogue.npz"
    done = convert((ROOT / "model.pkl").read_bytes(), "--data", str(catalogue), "--array", "contour")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) < 25
    with np.load(catalogue, allow_pickle=False) as archive:
        contours = archive["contour"].astype(np.float64)
    found = {finding["kind"]: finding for finding in report()["findings"]}
    assert found["data"]["rows"] == len(contours) > 500
    assert found["data"]["max_abs"] <= 1e-5
    encoder = pickle.loads((ROOT / "model.pkl").read_bytes())
    model = Model.load(tmp_path / "model.onnx")
    for size in (1, 2, 3, 1000):
        rows = np.resize(contours, (size, contours.shape[1]))
        (answered,) = model.run({"X": rows.astype(model.signature.inputs[0].dtype)}).values()
        assert answered.shape == (size, 32)
        assert np.abs(answered - encoder.predict(rows)).max() <= 1e-5


def test_converting_twice_gives_the_same_bytes_whatever_the_hash_seed(convert: Convert, tmp_path: Path, rows: Array) -> None:
    fitted = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, (rows[:, 0] > 0).astype(int))
    digests = set()
    for seed in ("1", "2"):
        done = convert(fitted, env=os.environ | {"PYTHONHASHSEED": seed})
        assert done.returncode == 0, done.stderr
        digests.add(hashlib.sha256((tmp_path / "model.onnx").read_bytes()).hexdigest())
    assert len(digests) == 1


def test_a_planted_command_is_refused_by_name_and_does_not_run(convert: Convert, tmp_path: Path) -> None:
    marker = tmp_path / "the payload ran"

    class Planted:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, (f"touch '{marker}'",)

    done = convert(Planted())
    assert done.returncode == 1
    assert "posix.system at byte" in done.stderr
    assert "Traceback" not in done.stderr
    assert not marker.exists()
    assert not (tmp_path / "model.onnx").exists()


def test_a_refusal_leaves_the_model_that_was_there(convert: Convert, tmp_path: Path, rows: Array) -> None:
    (tmp_path / "model.onnx").write_bytes(b"the one in use")
    done = convert(DummyClassifier(strategy="stratified").fit(rows, rows[:, 0] > 0))
    assert done.returncode == 1
    assert "float32: " in done.stderr
    assert "float64: " in done.stderr
    assert (tmp_path / "model.onnx").read_bytes() == b"the one in use"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.onnx", "model.pkl"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b"hello", "not a whole pickle"),
        (pickle.dumps([1, 2]), "holds a list, wanted a fitted scikit-learn estimator"),
        (pickle.dumps(Ridge()), "is it fitted?"),
    ],
)
def test_what_is_no_model_gets_a_clear_error(convert: Convert, content: bytes, said: str) -> None:
    done = convert(content)
    assert said in done.stderr
    assert done.returncode == (2 if "whole" in said or "empty" in said else 1)
    assert "Traceback" not in done.stderr


def test_a_missing_pickle_is_exit_code_2(tmp_path: Path) -> None:
    command = [sys.executable, "convert.py", str(tmp_path / "none.pkl")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "none.pkl: cannot be read: No such file or directory" in done.stderr


def test_a_classifier_has_its_labels_and_probabilities(convert: Convert, tmp_path: Path, rows: Array) -> None:
    labels = np.array(["clark", "göttingen", "naca"])[np.digitize(rows[:, 0], [-0.5, 0.5])]
    fitted = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, labels)
    assert convert(fitted).returncode == 0
    found = answers(tmp_path / "model.onnx", {"X": rows.astype(np.float32)})
    assert list(found) == ["predict", "predict_proba"]
    assert (found["predict"] == fitted.predict(rows)).all()
    assert np.allclose(found["predict_proba"], fitted.predict_proba(rows), atol=1e-5)
    assert found["predict_proba"].shape == (len(rows), 3)


def test_a_classifier_without_probabilities_has_its_decision_function(convert: Convert, tmp_path: Path, rows: Array) -> None:
    fitted = LinearSVC().fit(rows, rows[:, 0] > 0)
    assert convert(fitted).returncode == 0
    found = answers(tmp_path / "model.onnx", {"X": rows.astype(np.float32)})
    assert found["decision_function"].shape == fitted.decision_function(rows).shape == (len(rows),)


def test_an_outlier_detector_has_both_its_methods(convert: Convert, tmp_path: Path, rows: Array) -> None:
    assert convert(IsolationForest(n_estimators=5, random_state=0).fit(rows)).returncode == 0
    assert [t.name for t in Model.load(tmp_path / "model.onnx").signature.outputs] == ["predict", "decision_function"]


def test_a_transformer_transforms_and_a_clusterer_predicts(convert: Convert, tmp_path: Path, rows: Array) -> None:
    assert convert(PCA(2).fit(rows)).returncode == 0
    assert [t.name for t in Model.load(tmp_path / "model.onnx").signature.outputs] == ["transform"]
    assert convert(KMeans(3, n_init=1, random_state=0).fit(rows), "--methods", "predict").returncode == 0
    assert [t.name for t in Model.load(tmp_path / "model.onnx").signature.outputs] == ["predict"]


def test_an_unknown_method_is_refused_with_those_there_are(convert: Convert, rows: Array) -> None:
    done = convert(PCA(2).fit(rows), "--methods", "predict")
    assert done.returncode == 1
    assert "--methods predict: PCA has no such method; it has ['transform']" in done.stderr


def test_text_is_one_input_of_strings(convert: Convert, tmp_path: Path) -> None:
    texts = ["thick wing", "thin wing", "thick part", "thin part with camber"] * 20
    fitted = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, [1, 0, 1, 0] * 20)
    assert convert(fitted).returncode == 0
    (tensor,) = Model.load(tmp_path / "model.onnx").signature.inputs
    assert (tensor.name, tensor.datatype, tensor.shape) == ("X", "BYTES", (-1, 1))
    found = answers(tmp_path / "model.onnx", {"X": np.array(texts, object).reshape(-1, 1)})
    assert (found["predict"] == fitted.predict(texts)).all()


def test_mixed_columns_are_one_input_each(convert: Convert, tmp_path: Path, rows: Array) -> None:
    frame = pd.DataFrame({"chord": rows[:, 0], "family": np.where(rows[:, 1] > 20, "naca", "clark")})
    columns = ColumnTransformer([("n", StandardScaler(), ["chord"]), ("c", OneHotEncoder(), ["family"])])
    fitted = make_pipeline(columns, LogisticRegression()).fit(frame, rows[:, 2] > 0)
    assert convert(fitted).returncode == 0
    found = Model.load(tmp_path / "model.onnx").signature.inputs
    assert [(t.name, t.datatype, t.shape) for t in found] == [("chord", "FP64", (-1, 1)), ("family", "BYTES", (-1, 1))]


@pytest.mark.parametrize("name", ["leading edge [mm]", "höhe", "variable", "family=naca", "1"])
def test_a_column_keeps_its_name_whatever_it_is(convert: Convert, tmp_path: Path, rows: Array, name: str) -> None:
    frame = pd.DataFrame({name: rows[:, 0], "family": np.where(rows[:, 1] > 20, "naca", "clark")})
    columns = ColumnTransformer([("n", StandardScaler(), [name]), ("c", OneHotEncoder(), ["family"])])
    assert convert(make_pipeline(columns, Ridge()).fit(frame, rows[:, 2])).returncode == 0
    assert [t.name for t in Model.load(tmp_path / "model.onnx").signature.inputs] == [name, "family"]


def test_a_column_named_like_an_output_is_refused_by_its_name(convert: Convert, rows: Array) -> None:
    frame = pd.DataFrame({"predict": rows[:, 0], "family": np.where(rows[:, 1] > 20, "naca", "clark")})
    columns = ColumnTransformer([("n", StandardScaler(), ["predict"]), ("c", OneHotEncoder(), ["family"])])
    done = convert(make_pipeline(columns, Ridge()).fit(frame, rows[:, 2]))
    assert done.returncode == 1
    assert "the column 'predict' has the name of an output" in done.stderr


def frame_of(rows: Array) -> pd.DataFrame:
    family = np.where(rows[:, 1] > 20, "naca", "clark")
    return pd.DataFrame({"remark": ["as built"] * len(rows), "chord": rows[:, 0], "family": family, "span": rows[:, 2]})


def test_a_category_that_scikit_learn_refuses_is_refused_by_the_signature(
    convert: Convert, tmp_path: Path, rows: Array
) -> None:
    strict = ColumnTransformer([("n", StandardScaler(), ["chord"]), ("c", OneHotEncoder(), ["family"])])
    lenient = ColumnTransformer([("n", StandardScaler(), ["chord"]), ("c", OneHotEncoder(handle_unknown="ignore"), ["family"])])
    for columns, known in ((strict, ("clark", "naca")), (lenient, None)):
        assert convert(make_pipeline(columns, Ridge()).fit(frame_of(rows), rows[:, 2])).returncode == 0
        assert Model.load(tmp_path / "model.onnx").signature.inputs[1].categories == known


def test_a_column_that_no_step_reads_is_no_input(convert: Convert, tmp_path: Path, rows: Array) -> None:
    columns = ColumnTransformer([("n", StandardScaler(), [3]), ("c", OneHotEncoder(), [2])])
    fitted = make_pipeline(columns, Ridge()).fit(frame_of(rows), rows[:, 0])
    assert convert(fitted).returncode == 0
    frame = frame_of(rows)
    feeds = {"family": frame[["family"]].to_numpy(object), "span": frame[["span"]].to_numpy()}
    assert np.allclose(answers(tmp_path / "model.onnx", feeds)["predict"], fitted.predict(frame))


def test_a_code_that_scikit_learn_refuses_is_refused_by_the_signature(convert: Convert, tmp_path: Path, rows: Array) -> None:
    codes = np.abs(rows[:, :2].round()) % 3
    assert convert(OneHotEncoder(sparse_output=False).fit(codes)).returncode == 0
    signature = Model.load(tmp_path / "model.onnx").signature
    assert signature.accept({"X": codes})
    with pytest.raises(InvalidInput, match=r"1\.5 at row 0, column 0 is none of the 3 codes that the model knows there"):
        signature.accept({"X": np.array([[1.5, 1.0]])})


def test_an_object_that_fails_in_a_way_nobody_foresaw_is_a_refusal(convert: Convert) -> None:
    done = convert(DictVectorizer().fit([{"a": 1.0}]))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_float32_is_not_taken_where_double_holds(convert: Convert, report: Report, rows: Array) -> None:
    assert convert(GaussianNB().fit(rows, rows[:, 0] > 0)).returncode == 0
    assert report()["parity"]["candidate"] == "float64"


def test_a_numeric_data_frame_is_one_table(convert: Convert, tmp_path: Path, rows: Array) -> None:
    frame = pd.DataFrame(rows, columns=list("abcd"))
    fitted = make_pipeline(ColumnTransformer([("n", StandardScaler(), ["d", "a"])]), Ridge()).fit(frame, rows[:, 0])
    assert convert(fitted).returncode == 0
    found = answers(tmp_path / "model.onnx", {"X": rows.astype(Model.load(tmp_path / "model.onnx").signature.inputs[0].dtype)})
    assert np.allclose(found["predict"], fitted.predict(frame), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("suffix", ["npz", "csv", "parquet"])
def test_rows_of_the_users_own_are_compared_too(
    convert: Convert, report: Report, tmp_path: Path, rows: Array, suffix: str
) -> None:
    path = tmp_path / f"rows.{suffix}"
    frame = pd.DataFrame(rows, columns=list("abcd"))
    {"npz": lambda: np.savez(path, X=rows), "csv": lambda: frame.to_csv(path, index=False),
     "parquet": lambda: frame.to_parquet(path)}[suffix]()  # fmt: skip
    assert convert(Ridge().fit(rows, rows[:, 0]), "--data", str(path)).returncode == 0
    assert report()["parity"]["rows"]["data"] == len(rows)


def test_rows_that_do_not_fit_are_exit_code_2(convert: Convert, tmp_path: Path, rows: Array) -> None:
    np.savez(tmp_path / "rows.npz", X=rows[:, :3])
    done = convert(Ridge().fit(rows, rows[:, 0]), "--data", str(tmp_path / "rows.npz"))
    assert done.returncode == 2
    assert "rows.npz: wanted one numeric array 'X' of shape [n, 4], found {'X': [200, 3]}" in done.stderr


def test_a_tolerance_that_cannot_be_met_is_refused(convert: Convert, rows: Array) -> None:
    done = convert(Ridge().fit(rows, rows[:, 0]), "--atol", "0", "--rtol", "0")
    assert done.returncode in (0, 1)
    if done.returncode == 1:
        assert "rows are out of tolerance for 'predict'" in done.stderr


def test_time_that_runs_out_is_a_refusal_that_says_so(convert: Convert, rows: Array) -> None:
    done = convert(Ridge().fit(rows, rows[:, 0]), "--time-limit", "1")
    assert done.returncode == 1
    assert "--time-limit allows more" in done.stderr


def test_nan_is_a_value_only_where_scikit_learn_and_the_graph_agree(convert: Convert, tmp_path: Path, rows: Array) -> None:
    assert convert(Ridge().fit(rows, rows[:, 0])).returncode == 0
    assert not Model.load(tmp_path / "model.onnx").signature.inputs[0].allow_nan
    assert convert(StandardScaler().fit(rows)).returncode == 0
    assert Model.load(tmp_path / "model.onnx").signature.inputs[0].allow_nan


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_file_says_where_it_comes_from_and_how_far_it_is_from_scikit_learn(
    convert: Convert, report: Report, tmp_path: Path, rows: Array
) -> None:
    network = MLPRegressor(hidden_layer_sizes=[3], max_iter=20, random_state=0)
    fitted = make_pipeline(StandardScaler(), network).fit(rows, rows[:, :2])
    assert convert(fitted).returncode == 0
    model = Model.load(tmp_path / "model.onnx")
    assert model.provenance["source_sha256"] == hashlib.sha256((tmp_path / "model.pkl").read_bytes()).hexdigest()
    assert model.provenance["repairs"] == ["mlp_shape"]
    assert model.provenance["versions"]["scikit-learn"] == "1.9.1"
    assert model.parity["evidence"] == "bounded"
    assert model.parity["rows"].keys() >= {"typical", "batch of 1", "batch of 2", "batch of 3", "batch of 1000"}
    assert "sklearn.neural_network._multilayer_perceptron.MLPRegressor" in report()["provenance"]["globals"]
    written = onnx.load(tmp_path / "model.onnx")
    assert [o.domain for o in written.opset_import] == sorted(o.domain for o in written.opset_import)


def test_linear_models_of_large_values_are_served_in_double(convert: Convert, tmp_path: Path, rows: Array) -> None:
    offset = rows + 1e6
    fitted = make_pipeline(StandardScaler(), LinearRegression()).fit(offset, rows[:, 0])
    assert convert(fitted).returncode == 0
    assert Model.load(tmp_path / "model.onnx").signature.inputs[0].datatype == "FP64"
