import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from recommender.catalogue import POLAR, load
from recommender.polar import Flight, Polar

SAMPLES = json.loads(Path(__file__).with_name("polar_samples.json").read_text(encoding="utf-8"))
OUTPUTS = ("CL", "ln_CD", "CM", "confidence", "top_transition", "bottom_transition")
Feeds = dict[str, NDArray[np.float32]]


@pytest.fixture(scope="module")
def feeds() -> Feeds:
    columns = {name: np.array(SAMPLES[name], dtype=np.float32) for name in ("alpha", "reynolds", "n_crit")}
    return {"contour": load().contour[SAMPLES["row"]]} | columns


def answer(feeds: Feeds) -> dict[str, NDArray[np.float32]]:
    import onnxruntime

    session = onnxruntime.InferenceSession(POLAR, providers=["CPUExecutionProvider"])
    return dict(zip(OUTPUTS, session.run(list(OUTPUTS), dict(feeds)), strict=True))


@pytest.mark.parametrize("output", OUTPUTS)
def test_the_graph_answers_as_the_package_did(feeds: Feeds, output: str) -> None:
    gap = np.abs(answer(feeds)[output] - np.array(SAMPLES[output]))
    assert gap.max() <= 1e-4


def test_one_row_answers_as_it_does_in_a_batch(feeds: Feeds) -> None:
    alone = answer({name: value[3:4] for name, value in feeds.items()})
    together = answer(feeds)
    for output in OUTPUTS:
        assert alone[output].shape == (1,)
        assert abs(alone[output][0] - together[output][3]) < 1e-5


def test_a_section_flown_inverted_has_opposite_lift(feeds: Feeds) -> None:
    contour = feeds["contour"]
    inverted = -np.concatenate([contour[:, 65:], contour[:, :65]], axis=1)
    down = answer(feeds | {"contour": inverted, "alpha": -feeds["alpha"]})
    up = answer(feeds)
    assert np.abs(down["CL"] + up["CL"]).max() < 1e-4
    assert np.abs(down["ln_CD"] - up["ln_CD"]).max() < 1e-4
    assert np.abs(down["top_transition"] - up["bottom_transition"]).max() < 1e-4


@pytest.fixture(scope="module")
def polar() -> Polar:
    return Polar()


HEIGHTS = load().contour.astype(np.float64)
FLIGHT = Flight(1e6, 9.0)


@pytest.mark.parametrize("lift", [-0.3, 0.2, 0.8, 1.3])
def test_at_the_wanted_lift_is_where_the_lift_is(polar: Polar, lift: float) -> None:
    found = polar.at_lift(HEIGHTS, lift, FLIGHT)
    reached = np.isfinite(found.alpha)
    assert reached.mean() > 0.7
    again = polar.predict(HEIGHTS[reached], found.alpha[reached], FLIGHT)
    assert np.abs(again["CL"] - lift).max() < 0.03
    assert np.abs(np.exp(again["ln_CD"]) - found.drag[reached]).max() < 1e-6
    assert np.median(np.abs(found.lift[reached] - lift)) < 1e-3


def test_a_lift_that_no_angle_gives_is_no_number(polar: Polar) -> None:
    found = polar.at_lift(HEIGHTS[:5], 3.0, FLIGHT)
    assert np.isnan(found.alpha).all()
    assert np.isnan(found.glide).all()


def test_the_first_angle_is_taken_where_the_lift_falls_again_behind_the_stall(polar: Polar) -> None:
    alphas = np.arange(-8.0, 17.0, 0.25)
    lifts = polar.sweep(HEIGHTS, alphas, FLIGHT)["CL"]
    found = polar.at_lift(HEIGHTS, 1.0, FLIGHT)
    first = np.array([alphas[np.argmax(row >= 1.0)] for row in lifts])
    reached = np.isfinite(found.alpha) & (lifts.max(axis=1) > 1.05)
    assert np.abs(found.alpha - first)[reached].max() < 1.0


def test_the_best_lift_is_where_a_fine_sweep_has_its_best_glide(polar: Polar) -> None:
    said = polar.sweep(HEIGHTS[:20], np.arange(-6, 14.1, 0.5), FLIGHT)
    glide = said["CL"] / np.exp(said["ln_CD"])
    for row, heights in enumerate(HEIGHTS[:20]):
        assert polar.best_lift(heights, FLIGHT) == pytest.approx(float(said["CL"][row, glide[row].argmax()]), abs=1e-5)


def test_many_cases_answer_as_few_do(polar: Polar) -> None:
    rows = np.arange(9000) % len(HEIGHTS)
    alpha = np.linspace(-5, 12, 9000)
    many = polar.predict(HEIGHTS[rows], alpha, FLIGHT)
    few = polar.predict(HEIGHTS[rows[-5:]], alpha[-5:], FLIGHT)
    assert all(np.abs(many[name][-5:] - few[name]).max() < 1e-5 for name in OUTPUTS)
