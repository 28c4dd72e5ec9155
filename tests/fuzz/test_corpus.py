"""Does every input that coverage once found worth keeping still get its answer?"""

import contextlib
from pathlib import Path

import pytest

from recommender import contour, drawing
from tests.fuzz.mutations import DATATYPES
from tests.fuzz.test_decoder import agree

CORPUS = Path(__file__).parent / "corpus"


def inputs(target: str) -> list[Path]:
    return sorted((CORPUS / target).iterdir())


def test_there_is_a_corpus() -> None:
    assert len(inputs("decoder")) > 20
    assert len(inputs("contour")) > 20


@pytest.mark.parametrize("path", inputs("decoder"), ids=lambda path: path.name[:8])
def test_the_decoder_agrees_with_its_twin(path: Path) -> None:
    for datatype in DATATYPES:
        agree(datatype, path.read_bytes()[1:])


@pytest.mark.parametrize("path", inputs("contour"), ids=lambda path: path.name[:8])
def test_a_contour_is_read_or_refused(path: Path) -> None:
    with contextlib.suppress(contour.ContourRefused):
        contour.normalise(drawing.read(path.read_bytes().decode("latin-1")).points)
