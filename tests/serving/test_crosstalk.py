"""Does every answer belong to its question, with many at once?"""

import pytest

from benchmarks.crosstalk import crossed
from benchmarks.traffic import questions
from serving.model import Model
from tests.serving.asking import ROOT, Start

SHIPPED = ROOT / "model.onnx"


@pytest.mark.parametrize("front", ["fast", "asgi"])
def test_every_answer_belongs_to_its_question(start: Start, front: str) -> None:
    """Different rows, sizes, formats, errors; the whole run of 100,000 is benchmarks/crosstalk.py."""
    pool = questions(Model.load(SHIPPED), "model", 400, seed=11, most_rows=60)
    server = start(SHIPPED.read_bytes(), name="model", UNJAR_FRONT=front)
    tally = crossed(int(server.url.rpartition(":")[2]), 64, pool, 3000)
    assert tally.wrong == []
    assert tally.counts["broken"] == 0
    assert tally.asked == 3000


def test_a_swapped_answer_is_noticed(start: Start) -> None:
    pool = questions(Model.load(SHIPPED), "model", 40, seed=12, bad=0.0, most_rows=3)
    swapped = [pool[i - 1].__class__(pool[i].sent, 200, pool[i - 1].body, None) for i in range(len(pool))]
    server = start(SHIPPED.read_bytes(), name="model")
    tally = crossed(int(server.url.rpartition(":")[2]), 8, swapped, 100)
    assert len(tally.wrong) == 100
