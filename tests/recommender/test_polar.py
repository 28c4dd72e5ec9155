import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from recommender.catalogue import POLAR, load

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
