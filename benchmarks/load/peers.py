"""The same model behind other model servers: what they are installed with, and the least they need to serve it.

Each runs in an environment of its own, made by `python -m benchmarks.serving --install-peers`.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HOME = Path.home() / ".cache" / "unjar-peers"
ORT = """
import numpy as np, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession("MODEL", options, providers=["CPUExecutionProvider"])
"""
MOSEC = """
from mosec import Server, Worker
class Predict(Worker):
    def forward(self, data):
        return {"predict": session.run(["predict"], {"X": np.array(data["data"])})[0].tolist()}
if __name__ == "__main__":
    server = Server()
    server.append_worker(Predict, num=1, route="/predict")
    server.run()
"""
LITSERVE = """
import litserve
class Predict(litserve.LitAPI):
    def setup(self, device): pass
    def decode_request(self, request): return np.array(request["data"])
    def predict(self, X): return session.run(["predict"], {"X": X})[0]
    def encode_response(self, answer): return {"predict": answer.tolist()}
if __name__ == "__main__":
    server = litserve.LitServer(Predict(), accelerator="cpu", api_path="/predict")
    server.run(port=PORT, log_level="error", generate_client_file=False)
"""
KSERVE = """
import kserve
class Predict(kserve.Model):
    def load(self):
        self.ready = True
        return True
    def predict(self, payload, headers=None, response_headers=None):
        answer = session.run(["predict"], {"X": payload.inputs[0].as_numpy()})[0]
        output = kserve.InferOutput("predict", list(answer.shape), "FP64")
        output.set_data_from_numpy(answer, binary_data=False)
        return kserve.InferResponse(payload.id, self.name, [output])
if __name__ == "__main__":
    model = Predict("model")
    model.load()
    kserve.ModelServer(http_port=PORT, enable_grpc=False, workers=1, access_log_format=None).start([model])
"""
BENTOML = """
import bentoml
@bentoml.service(workers=1)
class Predict:
    @bentoml.api
    def predict(self, data: list[list[float]]) -> dict:
        return {"predict": session.run(["predict"], {"X": np.array(data)})[0].tolist()}
"""
MLSERVER = """
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse
class Predict(MLModel):
    async def predict(self, payload):
        X = NumpyCodec.decode_input(payload.inputs[0])
        answer = session.run(["predict"], {"X": X})[0]
        return InferenceResponse(id=payload.id, model_name=self.name, outputs=[NumpyCodec.encode_output("predict", answer)])
"""


@dataclass(frozen=True)
class Peer:
    """`formats`: native is {"data": rows} on /predict; v2json and v2binary are the Open Inference Protocol."""

    name: str
    packages: tuple[str, ...]
    source: str
    formats: tuple[str, ...]

    @property
    def python(self) -> Path:
        return HOME / self.name / "bin" / "python"

    def install(self) -> None:
        subprocess.run([sys.executable, "-m", "venv", HOME / self.name], check=True)
        command = [self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*command, *self.packages, "onnxruntime==1.32.0"], check=True)

    def prepare(self, folder: Path, model: str, port: int) -> tuple[list[str], dict[str, str]]:
        """Writes what it needs into the folder. Returns its command and environment."""
        text = (ORT + self.source).replace("MODEL", model).replace("PORT", str(port))
        (folder / "peer.py").write_text(text)
        tools = self.python.parent
        if self.name == "mosec":
            return [str(self.python), "peer.py", "--port", str(port), "--log-level", "error"], {}
        if self.name == "bentoml":
            return [str(tools / "bentoml"), "serve", "peer:Predict", "--port", str(port)], {"BENTOML_DO_NOT_TRACK": "True"}
        if self.name == "mlserver":
            (folder / "model-settings.json").write_text('{"name": "model", "implementation": "peer.Predict"}')
            ports = f'"http_port": {port}, "grpc_port": {port + 1}, "metrics_port": {port + 2}'
            settings = f'{{{ports}, "parallel_workers": 0, "debug": false}}'
            (folder / "settings.json").write_text(settings)
            return [str(tools / "mlserver"), "start", "."], {}
        return [str(self.python), "peer.py"], {}


PEERS = (
    Peer("mosec", ("mosec==0.9.8",), MOSEC, ("native",)),
    Peer("litserve", ("litserve==0.2.19",), LITSERVE, ("native",)),
    Peer("bentoml", ("bentoml==1.4.40",), BENTOML, ("native",)),
    Peer("kserve", ("kserve==0.21.0",), KSERVE, ("v2json",)),
    Peer("mlserver", ("mlserver==1.7.1", "uvloop<0.22"), MLSERVER, ("v2json",)),
)
