"""Is a file that must not be served refused, with the reason?"""

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest

from serving.errors import ModelRefused
from serving.model import Model

SHIPPED = Path(__file__).resolve().parents[2] / "model.onnx"


def changed(path: Path, key: str, old: str, new: str) -> Path:
    """The shipped model with one piece of its metadata replaced."""
    model = onnx.load(SHIPPED)
    for entry in model.metadata_props:
        if entry.key == key:
            assert old in entry.value
            entry.value = entry.value.replace(old, new)
    onnx.save(model, path)
    return path


def test_the_digest_is_of_the_bytes_that_were_loaded() -> None:
    model = Model.load(SHIPPED)
    assert model.digest == hashlib.sha256(SHIPPED.read_bytes()).hexdigest()
    assert model.digest.startswith(model.version)


def test_the_shipped_model_verifies_here() -> None:
    for gap in Model.load(SHIPPED).verify().values():
        assert gap.passed
        assert gap.max_abs <= 1e-5


def test_a_missing_file_says_who_writes_it(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match=r"none\.onnx: cannot be read: No such file or directory; convert\.py writes it"):
        Model.load(tmp_path / "none.onnx")


@pytest.mark.parametrize("content", [b"", b"not a graph", SHIPPED.read_bytes()[:5000]])
def test_what_is_no_graph_is_refused(content: bytes) -> None:
    with pytest.raises(ModelRefused, match=r"model\.onnx: "):
        Model.from_bytes(content)


def test_a_graph_of_somebody_else_is_refused(tmp_path: Path) -> None:
    model = onnx.load(SHIPPED)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(ModelRefused, match=r"metadata 'unjar\.signature' is missing"):
        Model.load(tmp_path / "other.onnx")


def test_metadata_that_is_no_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="metadata cannot be read"):
        Model.load(changed(tmp_path / "m.onnx", "unjar.signature", "{", "<"))


@pytest.mark.parametrize(("old", "new"), [("[-1,32]", "[-1,33]"), ('"predict"', '"transform"'), ('"FP64"', '"FP32"')])
def test_a_signature_that_is_not_the_graphs_is_refused(tmp_path: Path, old: str, new: str) -> None:
    with pytest.raises(ModelRefused, match=r"its signature says .*, its graph has"):
        Model.load(changed(tmp_path / "m.onnx", "unjar.signature", old, new))


def test_rows_that_no_longer_hold_name_the_row_and_both_answers() -> None:
    model = Model.load(SHIPPED)
    answers = {name: array.copy() for name, array in model.verification.answers.items()}
    answers["predict"][3, 5] += 1.0
    object.__setattr__(model.verification, "answers", answers)
    with pytest.raises(ModelRefused, match=r"verification row 3, output 'predict': scikit-learn answered .*, this machine"):
        model.verify()


def test_rows_are_answered_by_name() -> None:
    model = Model.load(SHIPPED)
    rows = {name: array[:2] for name, array in model.verification.rows.items()}
    (answered,) = model.run(rows, ["predict"]).values()
    assert np.allclose(answered, model.verification.answers["predict"][:2], atol=1e-5)
