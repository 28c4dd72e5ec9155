"""Labels, mixes and the ONNX graph against the package itself."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import neuralfoil
import numpy as np
import onnx
import pytest
from aerosandbox.geometry.airfoil.airfoil_families import get_kulfan_parameters
from numpy.typing import NDArray

from recommender.catalogue import POLAR, load
from recommender.contour import SIDE, outline
from training import polar
from training.labels import CASES, OUTPUTS, kulfan, label
from training.mixing import mix

Array = NDArray[np.float64]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def heights() -> Array:
    return load().contour.astype(np.float64)


def test_the_fit_is_the_packages_own(heights: Array) -> None:
    ours = kulfan(heights[::5])
    for row, shape in zip(ours, heights[::5], strict=True):
        fit = get_kulfan_parameters(outline(shape), normalize_coordinates=False)
        theirs = [*fit["upper_weights"], *fit["lower_weights"], fit["leading_edge_weight"], fit["TE_thickness"]]
        assert np.abs(row - theirs).max() < 1e-11


def test_both_kinds_of_trailing_edge_occur(heights: Array) -> None:
    sharp = kulfan(heights)[:, 17] == 0.0
    assert 0.05 < sharp.mean() < 0.95


def test_a_label_is_the_packages_answer(heights: Array) -> None:
    quantities, _ = label(heights[:3])
    alpha, reynolds = CASES[7]
    fit = get_kulfan_parameters(outline(heights[2]), normalize_coordinates=False)
    answer = neuralfoil.get_aero_from_kulfan_parameters(fit, alpha=alpha, Re=reynolds, model_size="large")
    lift, drag, moment = quantities[2].reshape(3, len(CASES))[:, 7]
    assert lift == pytest.approx(answer["CL"][0], abs=1e-9)
    assert drag == pytest.approx(np.log(answer["CD"][0]), abs=1e-9)
    assert moment == pytest.approx(answer["CM"][0], abs=1e-9)


def test_labelling_in_blocks_changes_nothing(heights: Array, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, _ = label(heights[:7])
    monkeypatch.setattr("training.labels.BLOCK", 3)
    assert np.abs(label(heights[:7])[0] - whole).max() < 1e-12


def test_mixes_of_one_shape_are_that_shape_stretched(heights: Array) -> None:
    one = heights[:1]
    mixed, _ = mix(one, seed=0, count=50)
    half, thickness = (one[0, :SIDE] - one[0, SIDE:]) / 2, (mixed[:, :SIDE] - mixed[:, SIDE:]) / 2
    stretch = thickness @ half / (half @ half)
    assert np.abs(thickness - stretch[:, None] * half).max() < 1e-12
    assert 0.7 <= stretch.min() < stretch.max() <= 1.3


def test_the_same_seed_makes_the_same_mixes(heights: Array) -> None:
    first, again = mix(heights[:30], seed=3, count=60), mix(heights[:30], seed=3, count=60)
    assert np.array_equal(first[0], again[0])
    assert not np.array_equal(first[0], mix(heights[:30], seed=4, count=60)[0])


def test_the_graph_answers_as_the_package_on_4000_cases(heights: Array) -> None:
    gaps = polar.parity(polar.build(), heights)
    assert set(gaps) == set(OUTPUTS)
    assert max(gaps.values()) <= 1e-4


def test_the_graph_is_valid_and_every_name_is_its_own() -> None:
    model = onnx.load_from_string(polar.build())
    onnx.checker.check_model(model, full_check=True)
    names = [node.name for node in model.graph.node]
    values = [value for node in model.graph.node for value in node.output] + [tensor.name for tensor in model.graph.initializer]
    assert len(set(names)) == len(names)
    assert len(set(values)) == len(values)


def test_the_committed_graph_keeps_the_authors_notice() -> None:
    assert "MIT License" in onnx.load(POLAR).doc_string


@pytest.mark.parametrize("seed", ["0", "4711"])
def test_the_graph_is_the_same_bytes_in_every_process(seed: str) -> None:
    code = "import hashlib; from training import polar; print(hashlib.sha256(polar.build()).hexdigest())"
    environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == hashlib.sha256(polar.build()).hexdigest()
