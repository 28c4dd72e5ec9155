"""Is each kind of bug told from the others, from a case that a real server's door made?"""

import base64
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from monitoring import case_rows, replay
from monitoring.asked import Answer, ask
from monitoring.replay import CLIENT, INPUT, OTHER, PRECISION, SAME, STALE, Evidence, models_in
from serving.model import Model
from serving.settings import Settings
from serving.telemetry.capture import Kept
from serving.telemetry.case import NotACase, case_of, redacted
from tests.serving.asking import ROOT, question
from tests.serving.telemetry import sites

GOOD = sites.model_with_bins()
OTHER_MODEL = sites.model_with_bins(scale=1.5)
ROUTE = "/v2/models/{name}/infer"
Make = Callable[..., Path]


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "good.onnx").write_bytes(GOOD)
    (folder / "other.onnx").write_bytes(OTHER_MODEL)
    return folder


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """make(body, ...) -> a case: what `content` answers to it at the site, changed by `spoil`."""

    def case(body: bytes, content: bytes = GOOD, spoil: Callable[[Answer], Answer] = lambda a: a, **headers: str) -> Path:
        digest = Model.from_bytes(content).digest
        asked = {"settings": {}, "request": {"route": ROUTE, "headers": headers, "text": body.decode("latin-1")}}
        if not body.isascii():
            asked["request"] = {"route": ROUTE, "headers": headers, "base64": base64.b64encode(body).decode()}
        answer = spoil(ask(asked, content))
        kept = Kept("case-1", 1.8e9, ROUTE, headers, body, answer.status, answer.headers, answer.body, digest)
        path = tmp_path / "case.json"
        path.write_text(json.dumps(case_of(kept, Settings())))
        return path

    return case


def evidence(shelf: Path, **more: Any) -> Evidence:
    return Evidence(models_in([shelf]), **more)


def body(*numbers: float) -> bytes:
    return json.dumps(question(list(numbers), [len(numbers) // 3, 3])).encode()


def moved(by: float) -> Callable[[Answer], Answer]:
    """The site's answers are other than they should be."""

    def spoil(answer: Answer) -> Answer:
        said = json.loads(answer.body)
        said["outputs"][0]["data"] = [value * (1 + by) for value in said["outputs"][0]["data"]]
        return Answer(answer.status, answer.headers, json.dumps(said).encode())

    return spoil


def test_the_same_answer_is_the_models_or_the_expectations(make: Make, shelf: Path) -> None:
    verdict = replay.replay(make(body(1, 2, 3)), evidence(shelf))
    assert verdict.word == SAME
    assert verdict.numbers == {"same_bytes": True, "max_difference": 0.0}
    assert verdict.notes == ()


def test_what_was_expected_stands_beside_what_is_answered(make: Make, shelf: Path) -> None:
    expected = [{"name": "predict", "shape": [1, 2], "data": [14.0, 155.0]}]
    verdict = replay.replay(make(body(1, 2, 3)), evidence(shelf, expected=expected))
    assert verdict.word == SAME
    assert "155" in verdict.text
    assert verdict.numbers["expected_difference"] == pytest.approx(15.0)


def test_another_answer_is_the_environments(make: Make, shelf: Path) -> None:
    verdict = replay.replay(make(body(1, 2, 3), spoil=moved(0.01)), evidence(shelf))
    assert verdict.word == OTHER
    assert verdict.numbers["max_difference"] == pytest.approx(1.4, rel=1e-4)


def test_a_model_that_nobody_believed_to_answer_is_stale(make: Make, shelf: Path) -> None:
    path = make(body(1, 2, 3), content=OTHER_MODEL)
    verdict = replay.replay(path, evidence(shelf, believed=shelf / "good.onnx"))
    assert verdict.word == STALE
    assert verdict.numbers["believed_difference"] == pytest.approx(70.0)


def test_a_model_that_is_not_here_is_stale_too(make: Make, shelf: Path) -> None:
    path = make(body(1, 2, 3), content=OTHER_MODEL)
    (shelf / "other.onnx").unlink()
    assert replay.replay(path, evidence(shelf, believed=shelf / "good.onnx")).word == STALE
    with pytest.raises(NotACase, match="none of 1 models here"):
        replay.replay(path, evidence(shelf))


@pytest.mark.parametrize(
    "asked",
    [body(1, 2), json.dumps(question([1, 2, "x"])).encode(), json.dumps(question([1, 2, 3], datatype="FP64")).encode()],
)
def test_rows_that_the_model_does_not_take_are_bad_input(make: Make, shelf: Path, asked: bytes) -> None:
    verdict = replay.replay(make(asked), evidence(shelf))
    assert verdict.word == INPUT
    assert verdict.numbers["code"] == "invalid_input"


@pytest.mark.parametrize("asked", [b"{", b'{"inputs": []}', b"\xff\xfe", b'{"inputs": 1}', b"NaN"])
def test_a_request_that_is_none_is_the_clients_error(make: Make, shelf: Path, asked: bytes) -> None:
    assert replay.replay(make(asked), evidence(shelf)).word == CLIENT


def test_a_wrong_length_of_raw_bytes_is_the_clients_error(make: Make, shelf: Path) -> None:
    path = make(body(1, 2, 3), **{"inference-header-content-length": "99999"})
    assert replay.replay(path, evidence(shelf)).word == CLIENT


def test_a_difference_within_what_was_promised_is_precision(make: Make, shelf: Path) -> None:
    verdict = replay.replay(make(body(1, 2, 3), spoil=moved(3e-7)), evidence(shelf))
    assert verdict.word == PRECISION
    assert 0 < verdict.numbers["max_difference"] < 1e-4


def test_an_expectation_in_more_digits_than_the_model_has_is_precision(make: Make, shelf: Path) -> None:
    expected = [{"name": "predict", "shape": [1, 2], "data": [14.00000123, 140.0000099]}]
    assert replay.replay(make(body(1, 2, 3)), evidence(shelf, expected=expected)).word == PRECISION


def test_refused_there_and_answered_here_is_the_environment(make: Make, shelf: Path) -> None:
    said = json.dumps({"error": "x", "code": "model_failed", "request_id": "x"}).encode()
    path = make(body(1, 2, 3), spoil=lambda answer: Answer(500, answer.headers, said))
    verdict = replay.replay(path, evidence(shelf))
    assert verdict.word == OTHER
    assert "answered 500 model_failed there and 200" in verdict.text


def test_a_busy_server_is_the_environment(make: Make, shelf: Path) -> None:
    said = json.dumps({"error": "x", "code": "overloaded", "request_id": "x"}).encode()
    assert replay.replay(make(body(1, 2, 3), spoil=lambda a: Answer(503, a.headers, said)), evidence(shelf)).word == OTHER


def test_raw_bytes_are_run_again_to_the_last_bit(make: Make, shelf: Path) -> None:
    raw = np.array([1.1, 2.2, -0.0], "<f4").tobytes()
    entry = {"name": "X", "datatype": "FP32", "shape": [1, 3], "parameters": {"binary_data_size": 12}}
    head = json.dumps({"inputs": [entry], "parameters": {"binary_data_output": True}}).encode()
    path = make(head + raw, **{"inference-header-content-length": str(len(head))})
    verdict = replay.replay(path, evidence(shelf))
    assert (verdict.word, verdict.numbers["same_bytes"]) == (SAME, True)
    (inputs,) = case_rows.inputs_of(replay.read_case(path.read_bytes()), Model.from_bytes(GOOD))
    assert base64.b64decode(inputs["base64"]) == raw


def test_another_runtime_is_said(make: Make, shelf: Path) -> None:
    path = make(body(1, 2, 3))
    case = json.loads(path.read_text())
    case["server"]["onnxruntime"] = "1.20.0"
    path.write_text(json.dumps(case))
    assert any("onnxruntime is '1.20.0' there" in note for note in replay.replay(path, evidence(shelf)).notes)


def test_another_interpreter_can_be_asked(make: Make, shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert replay.replay(make(body(1, 2, 3)), evidence(shelf, python=sys.executable)).word == SAME


def test_a_redacted_case_says_that_it_cannot_be_run(tmp_path: Path, shelf: Path) -> None:
    kept = Kept("case-1", 1.8e9, ROUTE, {}, body(1, 2, 3), 200, {}, b"{}", "ab" * 32)
    (tmp_path / "case.json").write_text(json.dumps(redacted(kept, Settings(), None, 100)))
    with pytest.raises(NotACase, match="redacted"):
        replay.replay(tmp_path / "case.json", evidence(shelf))


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "unjar-case/9"}', '{"format": "unjar-case/1"}'])
def test_what_is_no_case_says_why(tmp_path: Path, shelf: Path, content: str) -> None:
    (tmp_path / "case.json").write_text(content)
    with pytest.raises(NotACase):
        replay.replay(tmp_path / "case.json", evidence(shelf))


# --- with the pickle, and adopted


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with model.pkl and its model.onnx."""
    folder = tmp_path_factory.mktemp("trained")
    rows = np.random.default_rng(0).standard_normal((200, 3))
    model = make_pipeline(StandardScaler(), Ridge()).fit(rows, rows @ [1.0, 2.0, 3.0])
    (folder / "model.pkl").write_bytes(pickle.dumps(model))
    convert(folder)
    return folder


def convert(folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "convert.py"), "model.pkl", *flags]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)})


def asked_of(trained: Path) -> bytes:
    tensor = Model.load(trained / "model.onnx").signature.inputs[0]
    entry = {"name": "X", "datatype": tensor.datatype, "shape": [1, 3], "data": [1.0, 2.0, 3.0]}
    return json.dumps({"inputs": [entry]}).encode()


def test_scikit_learns_answer_stands_beside_it(trained: Path, make: Make) -> None:
    path = make(asked_of(trained), content=(trained / "model.onnx").read_bytes())
    verdict = replay.replay(path, Evidence(models_in([trained]), pickle=trained / "model.pkl"))
    assert verdict.word == SAME
    assert "scikit-learn answers the same" in verdict.text
    assert verdict.numbers["scikit_learn_difference"] < 1e-5


def test_an_adopted_case_is_proved_by_every_conversion(trained: Path, make: Make, tmp_path: Path) -> None:
    content = (trained / "model.onnx").read_bytes()
    path = make(asked_of(trained), content=content)
    folder = tmp_path / "vendor"
    folder.mkdir()
    (folder / "model.pkl").write_bytes((trained / "model.pkl").read_bytes())
    for _ in range(2):
        case = replay.read_case(path.read_bytes())
        assert case_rows.adopt(case, Model.from_bytes(content), folder / "regressions.json", None) == 1
    done = convert(folder)
    assert done.returncode == 0, done.stderr
    model = Model.load(folder / "model.onnx")
    assert model.parity["rows"]["regression"] == 1
    assert [1.0, 2.0, 3.0] in model.verification.rows["X"].tolist()


def test_a_model_that_answers_wrongly_is_refused_once_the_case_is_adopted(trained: Path, make: Make, tmp_path: Path) -> None:
    content = (trained / "model.onnx").read_bytes()
    path = make(asked_of(trained), content=content)
    folder = tmp_path / "vendor"
    folder.mkdir()
    (folder / "model.pkl").write_bytes((trained / "model.pkl").read_bytes())
    expected = [{"name": "predict", "shape": [1], "data": [28.0], "atol": 0.1, "rtol": 0.0}]
    case_rows.adopt(replay.read_case(path.read_bytes()), Model.from_bytes(content), folder / "regressions.json", expected)
    done = convert(folder)
    assert done.returncode == 1
    assert "regression case-1: the model itself" in done.stderr
    assert not (folder / "model.onnx").exists()


def test_the_command_gives_the_verdict_and_adopts(trained: Path, make: Make, tmp_path: Path) -> None:
    path = make(asked_of(trained), content=(trained / "model.onnx").read_bytes())
    flags = ["--models", str(trained), "--pickle", str(trained / "model.pkl"), "--adopt", "regressions.json"]
    command = [sys.executable, "-m", "monitoring", "replay", str(path), *flags]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("verdict: model or expectation")
    assert json.loads((tmp_path / "regressions.json").read_text())["rows"][0]["name"] == "case-1"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "regressions.json"),
        ('{"format": "other", "rows": []}', "other"),
        (json.dumps({"format": "unjar-regressions/1", "rows": [{"name": "a", "inputs": []}]}), "inputs"),
    ],
)
def test_a_file_of_regressions_that_is_none_is_refused(trained: Path, tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "model.pkl").write_bytes((trained / "model.pkl").read_bytes())
    (tmp_path / "regressions.json").write_text(content)
    done = convert(tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
