"""Does the check beside a server pass when it answers as it should, and fail whenever it does not?"""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from serving.check import check as run_check
from tests.bundle import signing
from tests.serving import graphs
from tests.serving.asking import ROOT, Running, Start, environment


def check(folder: Path, url: str, **extra: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "serving.check", "--url", url]
    return subprocess.run(
        command, cwd=folder, env=environment(folder) | extra, capture_output=True, text=True, timeout=60
    )  # fmt: skip


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "linear.onnx").write_bytes(graphs.linear())
    return tmp_path


def test_it_passes_where_the_server_answers_as_scikit_learn_did(model: Path, linear: Running) -> None:
    done = check(model, linear.url, UNJAR_MODEL="linear.onnx")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "PASS"
    assert "output  predict: at most 0.0e+00 from scikit-learn in 3 rows, 0 wrong" in done.stdout


def test_answers_of_another_model_fail(tmp_path: Path, linear: Running) -> None:
    (tmp_path / "linear.onnx").write_bytes(graphs.linear("FP64"))
    done = check(tmp_path, linear.url, UNJAR_MODEL="linear.onnx")
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "FAIL"


def test_wrong_numbers_fail(linear: Running) -> None:
    model = graphs.load(graphs.linear())
    answers = {"predict": model.verification.answers["predict"] + np.float32(0.5)}
    expecting = replace(model, verification=replace(model.verification, answers=answers))
    assert run_check(linear.url, "linear", model, None)[0]
    passed, lines = run_check(linear.url, "linear", expecting, None)
    assert not passed
    assert lines == ["output  predict: at most 5.0e-01 from scikit-learn in 3 rows, 3 wrong"]


def test_a_name_that_is_not_served_fails(model: Path, linear: Running) -> None:
    done = check(model, linear.url, UNJAR_MODEL="linear.onnx", UNJAR_NAME="other")
    assert done.returncode == 1
    assert "it answered 404" in done.stdout


def test_nobody_there_is_status_2(model: Path) -> None:
    done = check(model, "http://127.0.0.1:9", UNJAR_MODEL="linear.onnx")
    assert done.returncode == 2
    assert "check: cannot ask" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_opens_only_what_the_server_may_open(tmp_path: Path, linear: Running) -> None:
    key = signing.new_key()
    signing.release(tmp_path / "1", key, graphs.linear())
    signing.public(tmp_path / "vendor.pub", key)
    signing.public(tmp_path / "other.pub", signing.new_key())
    asked = {"UNJAR_MODEL": "1", "UNJAR_NAME": "linear"}
    assert check(tmp_path, linear.url, UNJAR_TRUSTED_KEYS="vendor.pub", **asked).returncode == 0
    refused = check(tmp_path, linear.url, UNJAR_TRUSTED_KEYS="other.pub", **asked)
    assert refused.returncode == 2
    assert "is not a signature of key" in refused.stderr


def test_with_a_token_where_tokens_are_asked_for(model: Path, start: Start) -> None:
    new = [sys.executable, "-m", "serving.tokens", "new", "operator"]
    made = subprocess.run(new, cwd=ROOT, capture_output=True, text=True, check=True)
    (model / "tokens").write_text(made.stdout)
    (model / "tokens").chmod(0o600)
    (model / "secret").write_text(made.stderr.split()[-1] + "\n")
    server = start(graphs.linear(), name="linear", UNJAR_TOKENS=str(model / "tokens"))
    assert check(model, server.url, UNJAR_MODEL="linear.onnx").returncode == 1
    command = [sys.executable, "-m", "serving.check", "--url", server.url, "--token-file", "secret"]
    with_token = environment(model) | {"UNJAR_MODEL": "linear.onnx"}
    assert subprocess.run(command, cwd=model, env=with_token, capture_output=True).returncode == 0
