"""Does the scan that clears the image find a pickle when there is one?"""

import bz2
import gzip
import io
import lzma
import pickle
import zipfile
import zlib
from pathlib import Path

import joblib
import numpy as np
import pytest

from tests.image.streams import pickled

MODEL = {"weights": np.arange(12.0), "name": "encoder"}


@pytest.mark.parametrize("protocol", range(6))
def test_every_protocol_is_found(protocol: int) -> None:
    assert pickled(pickle.dumps(MODEL, protocol)) is not None


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, zlib.compress])
def test_a_compressed_pickle_is_found(compress: type[bytes]) -> None:
    assert pickled(compress(pickle.dumps(MODEL))) is not None


@pytest.mark.parametrize("compress", [0, ("zlib", 3), ("gzip", 3), ("bz2", 3), ("xz", 3)])
def test_what_joblib_writes_is_found(tmp_path: Path, compress: int | tuple[str, int]) -> None:
    joblib.dump(MODEL, tmp_path / "model", compress=compress)
    assert pickled((tmp_path / "model").read_bytes()) is not None


def test_objects_inside_an_npz_are_found() -> None:
    file = io.BytesIO()
    np.savez(file, rows=np.array([{"a": 1}], dtype=object))
    assert pickled(file.getvalue()) == "member rows.npy: an array of objects"


def test_a_pickle_inside_a_zip_is_found() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(MODEL))
    assert pickled(file.getvalue()) is not None


@pytest.mark.parametrize(
    "content", [b"", b".", b"N.", b"\n", b"partial\n", b"\x80", b"import pickle\n", b"\x7fELF\x02\x01", b"12\n34\n."]
)
def test_other_files_are_not_accused(content: bytes) -> None:
    assert pickled(content) is None


def test_arrays_of_numbers_are_not_accused() -> None:
    file = io.BytesIO()
    np.savez_compressed(file, rows=np.arange(20.0), names=np.array(["naca", "clark"]))
    assert pickled(file.getvalue()) is None
