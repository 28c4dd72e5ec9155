"""Do KServe's client, MLServer's command and curl work unchanged, each from an environment of its own?"""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.model import Model
from tests.serving.asking import ROOT, Running, Start

SHIPPED = ROOT / "model.onnx"
EXAMPLE = json.loads((ROOT / "example.json").read_text())
ROWS = EXAMPLE["inputs"][0]
KSERVE = """
import asyncio, json, sys
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

async def main(url, example, binary):
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    found = [await client.is_server_live(url), await client.is_server_ready(url), await client.is_model_ready(url, "model")]
    entry = json.load(open(example))["inputs"][0]
    X = np.array(entry["data"]).reshape(entry["shape"])
    given = InferInput(entry["name"], entry["shape"], entry["datatype"])
    given.set_data_from_numpy(X, binary_data=binary)
    answer = await client.infer(url, InferRequest(model_name="model", infer_inputs=[given]), model_name="model")
    print(json.dumps({"health": found, "answer": answer.outputs[0].as_numpy().tolist()}))

asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3] == "binary"))
"""


@pytest.fixture(scope="module")
def shipped(start: Start) -> Running:
    return start(SHIPPED.read_bytes(), name="model")


@pytest.fixture(scope="module")
def expected() -> Any:
    model = Model.load(SHIPPED)
    return model.run(model.signature.accept({"X": np.array(ROWS["data"]).reshape(ROWS["shape"])}))["predict"]


def environment(name: str) -> Path:
    subprocess.run([ROOT / "scripts" / "tool", name], check=True)
    return ROOT / f".venv-{name}" / "bin"


@pytest.mark.parametrize("form", ["json", "binary"])
def test_kserves_client(shipped: Running, expected: Any, tmp_path: Path, form: str) -> None:
    script = tmp_path / "ask.py"
    script.write_text(KSERVE)
    command: list[str | Path] = [environment("kserve") / "python", script, shipped.url, ROOT / "example.json", form]
    said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert said.returncode == 0, said.stderr
    found = json.loads(said.stdout.splitlines()[-1])
    assert found["health"] == [True, True, True]
    assert np.array_equal(np.array(found["answer"]), expected)


def test_mlservers_infer(shipped: Running, expected: Any, tmp_path: Path) -> None:
    asked = {"inputs": [{key: ROWS[key] for key in ("name", "shape", "datatype", "data")}]}
    (tmp_path / "asked.json").write_text(json.dumps(asked) + "\n" + json.dumps(asked) + "\n")
    command: list[str | Path] = [
        environment("mlserver") / "mlserver",
        "infer",
        "-u",
        shipped.url.removeprefix("http://"),
        "-m",
        "model",
    ]
    files: list[str | Path] = ["-i", tmp_path / "asked.json", "-o", tmp_path / "answered.json"]
    said = subprocess.run([*command, *files], capture_output=True, text=True, check=False, timeout=120)
    assert said.returncode == 0, said.stderr
    lines = (tmp_path / "answered.json").read_text().splitlines()
    assert len(lines) == 2
    for line in lines:
        (output,) = json.loads(line)["outputs"]
        assert np.array_equal(np.array(output["data"]).reshape(output["shape"]), expected)


def test_curl(shipped: Running, expected: Any, tmp_path: Path) -> None:
    curl = shutil.which("curl")
    assert curl is not None, "curl is not there; it is Debian's package of this name"
    (tmp_path / "asked.json").write_text(json.dumps({"inputs": EXAMPLE["inputs"]}))

    def ask(*arguments: str) -> Any:
        done = subprocess.run([curl, "-sS", "--fail-with-body", *arguments], capture_output=True, check=True, timeout=60)
        return json.loads(done.stdout)

    url = f"{shipped.url}/v2/models/model/infer"
    for more in ([], ["--compressed"], ["-H", "Expect: 100-continue"], ["--http1.0"], ["-H", "Transfer-Encoding: chunked"]):
        (output,) = ask(url, "-d", f"@{tmp_path / 'asked.json'}", *more)["outputs"]
        assert np.array_equal(np.array(output["data"]).reshape(output["shape"]), expected)
    assert ask(f"{shipped.url}/v2/health/ready") == {"ready": True}
