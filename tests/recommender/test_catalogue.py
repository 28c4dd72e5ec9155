import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest

from recommender.catalogue import CATALOGUE, Catalogue, CatalogueRefused, load
from recommender.contour import STATIONS, THICKNESS_MAX, THICKNESS_MIN

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load()


def rewritten(path: Path, **changes: object) -> Path:
    with np.load(CATALOGUE, allow_pickle=False) as arrays:
        fields = {name: arrays[name] for name in arrays.files} | changes
    kept = {name: np.asarray(value) for name, value in fields.items() if value is not None}
    np.savez(path, allow_pickle=True, **kept)
    return path


def test_it_belongs_to_the_model_beside_it(catalogue: Catalogue) -> None:
    digest = hashlib.sha256((ROOT / "model.pkl").read_bytes()).hexdigest()
    assert load(CATALOGUE, digest).encoder_sha256 == digest


def test_every_part_has_its_own_id_and_a_source(catalogue: Catalogue) -> None:
    assert len(set(catalogue.id.tolist())) == len(catalogue) > 500
    assert set(catalogue.source.tolist()) == {"NACA", "NASA", "USA", "RAF", "NPL", "Clark", "Göttingen"}


def test_contours_are_airfoils_at_the_readers_stations(catalogue: Catalogue) -> None:
    with np.load(CATALOGUE, allow_pickle=False) as arrays:
        assert np.array_equal(arrays["station"], STATIONS)
    thickness = (catalogue.contour[:, :65] - catalogue.contour[:, 65:]).max(axis=1)
    assert thickness.min() >= THICKNESS_MIN
    assert thickness.max() <= THICKNESS_MAX


def test_no_two_parts_are_the_same(catalogue: Catalogue) -> None:
    contour = catalogue.contour.astype(np.float64)
    for row in range(1, len(contour)):
        gap = 100 * np.sqrt(((contour[:row] - contour[row]) ** 2).mean(axis=1))
        assert gap.min() >= 0.05


def test_a_catalogue_of_another_encoder_is_refused() -> None:
    with pytest.raises(CatalogueRefused, match="belongs to encoder"):
        load(CATALOGUE, "0" * 64)


def test_a_missing_array_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogueRefused, match="found no latent"):
        load(rewritten(tmp_path / "half.npz", latent=None))


def test_a_misshapen_array_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogueRefused, match=r"latent has shape \(3, 32\)"):
        load(rewritten(tmp_path / "short.npz", latent=np.zeros((3, 32), np.float32)))


def test_an_object_in_the_file_is_not_unpickled(tmp_path: Path) -> None:
    with pytest.raises(CatalogueRefused, match="not of plain numbers or text"):
        load(rewritten(tmp_path / "object.npz", name=np.array([{"any": "object"}], dtype=object)))


def test_another_path_reads_the_same(tmp_path: Path, catalogue: Catalogue) -> None:
    copy = shutil.copy(CATALOGUE, tmp_path / "parts.npz")
    assert np.array_equal(load(Path(copy)).contour, catalogue.contour)


def test_a_file_that_is_no_catalogue_is_refused(tmp_path: Path) -> None:
    whole = CATALOGUE.read_bytes()
    for content in (
        b"",
        b"PK\x03\x04",
        whole[:5000],
        whole.replace(b"(607, 130)", b"(608, 130)"),
        whole.replace(b"<f4", b"|O "),
    ):
        (tmp_path / "half.npz").write_bytes(content)
        with pytest.raises(CatalogueRefused, match=r"half\.npz: cannot be read as a catalogue"):
            load(tmp_path / "half.npz")


def test_a_coordinate_that_is_no_number_is_refused(tmp_path: Path, catalogue: Catalogue) -> None:
    latent = catalogue.latent.copy()
    latent[3, 4] = np.nan
    with pytest.raises(CatalogueRefused, match="a number is not finite"):
        load(rewritten(tmp_path / "nan.npz", latent=latent))


def test_parts_of_two_encoders_do_not_mix(catalogue: Catalogue) -> None:
    with pytest.raises(CatalogueRefused, match="do not mix"):
        catalogue.and_also(catalogue.with_latent(catalogue.latent, "0" * 64))
