"""Does the conversion in a container take the rows that went wrong once, where there are any?

No engine is needed: the lines of the last stage are followed in a folder, with what .dockerignore lets through. That an engine
reads `[n]` in a name as glob does is its documentation's word.
"""

import base64
import json
import os
import pickle
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from conversion.current import is_current
from serving.model import Model

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "bundle" / "image" / "conversion.Dockerfile"
Done = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def small() -> bytes:
    """A model of contours that is converted in seconds."""
    with np.load(ROOT / "recommender/data/catalogue.npz") as catalogue:
        contours = catalogue["contour"].astype(np.float64)
    return pickle.dumps(Ridge().fit(contours, contours.max(axis=1)))


def regressions(expected: float | None = None) -> bytes:
    row: dict[str, Any] = {
        "name": "case-1",
        "inputs": [{"name": "X", "datatype": "FP64", "shape": [1, 130], "base64": base64.b64encode(bytes(8 * 130)).decode()}],
    }
    if expected is not None:
        said = {"name": "predict", "datatype": "FP64", "shape": [1], "data": [expected], "atol": 0.1, "rtol": 0.0}
        row["expected"] = [said]
    return json.dumps({"format": "unjar-regressions/1", "rows": [row]}).encode()


def context(folder: Path, ours: dict[str, bytes]) -> Path:
    """What the engine is sent: the names on the list, `ours` in place of the checkout's."""
    folder.mkdir()
    for name in re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if name in ours:
            (folder / name).write_bytes(ours[name])
        elif (ROOT / name).exists() and name != "regressions.json":
            (folder / name).symlink_to(ROOT / name)
    return folder


def copy(sent: Path, patterns: list[str], target: str, work: Path) -> None:
    """COPY: a name without a wildcard must be there, a pattern may match nothing; of a folder its contents are copied."""
    for pattern in patterns:
        found = sorted(sent.glob(pattern))
        assert found or set(pattern) & set("*?["), f"{pattern} is not there"
        for path in found:
            if path.is_dir():
                shutil.copytree(path, work / target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                (work / target).mkdir(parents=True, exist_ok=True)
                shutil.copy(path, work / target)


def made(tmp_path: Path, ours: dict[str, bytes]) -> Done:
    """The stage `model`, in tmp_path/src; the last command that ran."""
    sent, work = context(tmp_path / "context", ours), tmp_path / "src"
    work.mkdir()
    done: Done | None = None
    _, _, stage = FILE.read_text().partition("FROM builder AS model\n")
    for line in filter(None, stage.splitlines()):
        word, *rest = shlex.split(line, comments=True) or [""]
        if word == "COPY":
            copy(sent, rest[:-1], rest[-1], work)
        elif word == "RUN":
            assert rest[0] == "python"
            environment = os.environ | {"ORT_DISABLE_TELEMETRY": "1", "PYTHONDONTWRITEBYTECODE": "1"}
            done = subprocess.run([sys.executable, *rest[1:]], cwd=work, env=environment, capture_output=True, text=True)
        else:
            assert not word, f"{line!r} is not understood here"
    assert done, "the stage runs nothing"
    return done


def test_rows_that_went_wrong_once_are_proved_in_the_container_too(small: bytes, tmp_path: Path) -> None:
    done = made(tmp_path, {"model.pkl": small, "regressions.json": regressions()})
    assert done.returncode == 0, done.stderr
    assert Model.load(tmp_path / "src" / "model.onnx").parity["rows"]["regression"] == 1


def test_a_model_is_current_only_when_it_has_proved_the_rows_that_are_there(small: bytes, tmp_path: Path) -> None:
    """A case that is adopted later, beside an unchanged pickle, asks for another conversion."""
    assert made(tmp_path, {"model.pkl": small, "regressions.json": regressions()}).returncode == 0
    source, model, rows = (tmp_path / "src" / name for name in ("model.pkl", "model.onnx", "regressions.json"))
    assert is_current(source, model)
    rows.write_bytes(rows.read_bytes() + b" ")
    assert not is_current(source, model)
    rows.unlink()
    assert is_current(source, model)
    source.write_bytes(small + b".")
    assert not is_current(source, model)


def test_a_model_that_answers_them_wrongly_makes_no_image(small: bytes, tmp_path: Path) -> None:
    done = made(tmp_path, {"model.pkl": small, "regressions.json": regressions(expected=4711)})
    assert done.returncode == 1, done.stderr
    assert "regression case-1: the model itself" in done.stderr
    assert not (tmp_path / "src" / "model.onnx").exists()


def test_without_such_rows_the_container_converts_as_ever(small: bytes, tmp_path: Path) -> None:
    done = made(tmp_path, {"model.pkl": small})
    assert done.returncode == 0, done.stderr
    assert "regression" not in Model.load(tmp_path / "src" / "model.onnx").parity["rows"]
