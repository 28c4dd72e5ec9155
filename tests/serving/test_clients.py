"""Do clients that nobody here wrote get onnxruntime's own answers?"""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from serving.model import Model
from tests.serving import graphs
from tests.serving.asking import ROOT, Running, Start

SHIPPED = ROOT / "model.onnx"
EXAMPLE = json.loads((ROOT / "example.json").read_text())


@pytest.fixture(scope="module")
def shipped(start: Start) -> Running:
    return start(SHIPPED.read_bytes(), name="model")


@pytest.fixture
def client(shipped: Running) -> Iterator[Any]:
    with triton.InferenceServerClient(shipped.url.removeprefix("http://")) as client:
        yield client


def array_of(entry: dict[str, Any]) -> Any:
    return np.array(entry["data"], {"FP64": np.float64, "FP32": np.float32}[entry["datatype"]]).reshape(entry["shape"])


def ask(client: Any, name: str, feeds: dict[str, Any], *, binary_in: bool, binary_out: bool | None, **more: Any) -> Any:
    inputs = []
    for key, array in feeds.items():
        datatype = triton.InferInput(key, list(array.shape), DATATYPES[array.dtype.char])
        inputs.append(datatype.set_data_from_numpy(array, binary_data=binary_in))
    outputs = more.pop("outputs", None)
    if binary_out is not None and outputs is None:
        outputs = [out["name"] for out in client.get_model_metadata(name)["outputs"]]
    wanted = None if outputs is None else [triton.InferRequestedOutput(key, binary_data=bool(binary_out)) for key in outputs]
    return client.infer(name, inputs, outputs=wanted, **more)


DATATYPES = {"d": "FP64", "f": "FP32", "O": "BYTES", "l": "INT64"}
WAYS = [(False, False), (False, True), (True, False), (True, True), (True, None), (False, None)]


@pytest.mark.parametrize(("binary_in", "binary_out"), WAYS)
@pytest.mark.parametrize("rows", [1, 3])
def test_tritonclient_gets_what_onnxruntime_answers(client: Any, binary_in: bool, binary_out: bool | None, rows: int) -> None:
    entry = EXAMPLE["inputs"][0]
    X = np.resize(array_of(entry), (rows, *entry["shape"][1:]))
    model = Model.load(SHIPPED)
    answer = ask(client, "model", {"X": X}, binary_in=binary_in, binary_out=binary_out, request_id="a7")
    expected = model.run(model.signature.accept({"X": X}))
    for name, array in expected.items():
        assert answer.as_numpy(name).tobytes() == array.tobytes()
        assert answer.as_numpy(name).shape == array.shape
    assert answer.get_response()["id"] == "a7"
    assert answer.get_response()["model_version"] == model.version


@pytest.mark.parametrize("binary", [False, True])
def test_tritonclient_gets_what_scikit_learn_answered(client: Any, binary: bool) -> None:
    answer = ask(client, "model", {e["name"]: array_of(e) for e in EXAMPLE["inputs"]}, binary_in=binary, binary_out=binary)
    for entry in EXAMPLE["outputs"]:
        np.testing.assert_allclose(answer.as_numpy(entry["name"]), array_of(entry), atol=entry["atol"], rtol=entry["rtol"])


def test_tritonclient_reads_health_and_metadata(client: Any) -> None:
    model = Model.load(SHIPPED)
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("model")
    assert client.is_model_ready("model", model.version)
    assert not client.is_model_ready("other")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    assert client.get_model_metadata("model")["versions"] == [model.version]


@pytest.mark.parametrize("compression", ["gzip", "deflate"])
def test_tritonclient_may_compress_its_request(client: Any, compression: str) -> None:
    entry = EXAMPLE["inputs"][0]
    plain = ask(client, "model", {"X": array_of(entry)}, binary_in=True, binary_out=True)
    packed = ask(
        client, "model", {"X": array_of(entry)}, binary_in=True, binary_out=True, request_compression_algorithm=compression
    )
    name = EXAMPLE["outputs"][0]["name"]
    assert packed.as_numpy(name).tobytes() == plain.as_numpy(name).tobytes()


def test_tritonclient_shows_the_refusals_sentence(client: Any) -> None:
    with pytest.raises(InferenceServerException, match=r"input 'Y' is not one of the model's: \['X'\]") as refusal:
        ask(client, "model", {"Y": np.zeros((1, 130), np.float32)}, binary_in=True, binary_out=True)
    assert refusal.value.status() == "400"


@pytest.mark.parametrize(("binary_in", "binary_out"), WAYS)
def test_tritonclient_gets_text_and_numbers(start: Start, table: Running, binary_in: bool, binary_out: bool | None) -> None:
    with triton.InferenceServerClient(table.url.removeprefix("http://")) as client:
        feeds = {"age": np.array([[0.5], [7.0]]), "city": np.array([["Köln"], ['"']], object)}
        answer = ask(client, "test", feeds, binary_in=binary_in, binary_out=binary_out, outputs=["label", "old", "doubled"])
        assert answer.as_numpy("old").tolist() == [[0], [1]]
        assert answer.as_numpy("doubled").tolist() == [[1.0], [14.0]]
        texts = [text.decode() if isinstance(text, bytes) else text for text in answer.as_numpy("label").ravel()]
        assert texts == ["Köln", '"']


@pytest.fixture(scope="module")
def table(start: Start) -> Running:
    return start(graphs.table())
