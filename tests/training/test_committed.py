import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from recommender.catalogue import CATALOGUE, load

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def metrics() -> dict[str, Any]:
    text = (ROOT / "training" / "metrics.json").read_text(encoding="utf-8")
    values: dict[str, Any] = json.loads(text)
    return values


def test_the_metrics_are_those_of_the_committed_model(metrics: dict[str, Any]) -> None:
    assert metrics["shipped_model"]["sha256"] == hashlib.sha256((ROOT / "model.pkl").read_bytes()).hexdigest()
    assert metrics["shapes"]["kept"] == len(load())


@pytest.mark.parametrize(("name", "least"), [("in_tolerance", 0.60), ("performance_r2", 0.88), ("retrieval_top1", 0.95)])
def test_held_out_families_meet_the_bound(metrics: dict[str, Any], name: str, least: float) -> None:
    assert metrics["bounds"][name]["at_least"] == least
    assert metrics["bounds"][name]["found"] >= least


def test_the_polar_graph_is_within_a_ten_thousandth_of_the_package(metrics: dict[str, Any]) -> None:
    parity = metrics["polar_parity"]
    assert parity["cases"] == 4000
    assert max(parity["max_abs"].values()) <= 1e-4


def test_the_bounds_are_those_of_the_held_out_families(metrics: dict[str, Any]) -> None:
    held, bounds = metrics["held_out_families"], metrics["bounds"]
    assert bounds["in_tolerance"]["found"] == held["reconstruction"]["in_tolerance"]
    assert bounds["performance_r2"]["found"] == held["performance"]["r2"]
    assert bounds["retrieval_top1"]["found"] == held["retrieval"]["top1"]


def test_the_catalogue_carries_no_clock() -> None:
    with zipfile.ZipFile(CATALOGUE) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_the_picture_carries_no_clock() -> None:
    assert "dc:date" not in (ROOT / "docs" / "reconstruction.svg").read_text(encoding="utf-8")


def test_without_the_training_packages_it_says_what_to_do_and_could_not_look() -> None:
    code = "import runpy, sys; sys.modules['neuralfoil'] = None; runpy.run_module('training', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "scripts/train makes the environment" in done.stderr
