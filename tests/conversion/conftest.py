"""Small fitted objects, and a way to convert them as a user would."""

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
Convert = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def rows() -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(1)
    return (rng.normal(size=(200, 4)) * [1.0, 5.0, 0.1, 2.0] + [0.0, 20.0, 0.0, 1.0]).astype(np.float32).astype(np.float64)


@pytest.fixture
def convert(tmp_path: Path) -> Convert:
    """Pickles an object and runs convert.py on it; model.onnx, report.json and example.json are in tmp_path."""

    def run(source: Any, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        path = tmp_path / "model.pkl"
        path.write_bytes(source if isinstance(source, bytes) else pickle.dumps(source))
        command = [sys.executable, "convert.py", str(path), "--report", str(tmp_path / "report.json"), *arguments]
        return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=170, check=False)

    return run


@pytest.fixture
def report(tmp_path: Path) -> Callable[[], dict[str, Any]]:
    def read() -> dict[str, Any]:
        document: dict[str, Any] = json.loads((tmp_path / "report.json").read_text())
        return document

    return read
