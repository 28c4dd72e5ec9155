import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from recommender.drawing import ContourRefused, read
from recommender.smoothing import NOISE_MIN, steadied
from training import sources
from training.sources import Shapes, distinct, load, whitelist


@pytest.fixture(scope="module")
def shapes() -> Shapes:
    return load()


def test_nothing_outside_the_list_is_read() -> None:
    opened: set[str] = set()
    listening = [True]

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if listening and event == "open" and str(arguments[0]).endswith(".dat"):
            opened.add(Path(str(arguments[0])).name)

    sys.addaudithook(hook)
    load()
    listening.clear()
    assert opened == {source.file for source in whitelist()}


def test_every_files_own_header_names_the_source_it_is_listed_under() -> None:
    words = {"NACA": ("NACA",), "NASA": ("NASA", "LANGLEY"), "USA": ("USA",), "RAF": ("RAF",), "NPL": ("NPL",)}
    words |= {"Clark": ("CLARK",), "Göttingen": ("GOE",)}
    for source in whitelist():
        header = (sources.folder() / source.file).read_bytes().decode("latin-1").splitlines()[0].upper()
        assert any(word in header for word in words[source.source]), (source.file, header)


def test_no_listed_file_claims_a_copyright() -> None:
    for source in whitelist():
        text = (sources.folder() / source.file).read_bytes().decode("latin-1").lower()
        assert "(c)" not in text.replace("c(li)", ""), source.file
        assert "copyright" not in text, source.file


def test_shapes_are_exact_in_float32(shapes: Shapes) -> None:
    assert np.array_equal(shapes.heights, shapes.heights.astype(np.float32).astype(np.float64))


def test_near_duplicates_are_dropped_and_the_first_is_kept() -> None:
    shape = np.linspace(0, 0.1, 130)
    assert distinct(np.stack([shape, shape + 4e-4, shape + 6e-4, shape + 1.3e-3])).tolist() == [0, 2, 3]


def test_a_section_listed_under_two_names_appears_once(shapes: Shapes) -> None:
    files = {source.file for source in shapes.sources}
    assert len({"n0012.dat", "naca0012.dat"} & files) == 1


def test_a_file_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "broken.dat").write_text("BROKEN\n1 0\n0 0\n1 0\n")
    monkeypatch.setattr(sources, "folder", lambda: tmp_path)
    with pytest.raises(ValueError, match=r"broken\.dat: outline"):
        sources.heights_of("broken.dat")


def test_no_real_file_is_shaky_enough_to_be_smoothed() -> None:
    files = [file for file in sources.folder().iterdir() if file.name.endswith(".dat")]
    shakes = []
    for file in files:
        with suppress(ContourRefused):
            points = read(file.read_bytes().decode("latin-1")).points
            shakes.append(steadied(points[np.hypot(*np.diff(points, axis=0, prepend=np.inf).T) > 0.0])[1])
    assert len(shakes) > 2100
    assert max(shakes) < 0.7 * NOISE_MIN
