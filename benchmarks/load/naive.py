"""The servers people write first: FastAPI, pydantic, and scikit-learn's pickle or onnxruntime behind it; and an echo.

`python -m benchmarks.load.naive sklearn|ort|echo MODEL PORT`.
"""

import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel


class Rows(BaseModel):
    data: list[list[float]]


def naive(kind: str, model: str) -> Any:
    app = FastAPI()
    if kind == "sklearn":
        estimator = pickle.loads(Path(model).with_suffix(".pkl").read_bytes())
    else:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    @app.post("/predict")
    def predict(rows: Rows) -> dict[str, Any]:
        X = np.array(rows.data)
        answer = estimator.predict(X) if kind == "sklearn" else session.run(["predict"], {"X": X})[0]
        return {"predict": answer.tolist()}

    return app


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Reads the body and answers what is always the same: no framework, no reading, no model."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})


def main() -> None:
    kind, model, port = sys.argv[1:]
    if kind == "echo":
        uvicorn.run(echo, port=int(port), loop="uvloop", http="httptools", lifespan="off", access_log=False, log_level="error")
    else:
        # As uvicorn comes, its access log included.
        uvicorn.run(naive(kind, model), port=int(port))


if __name__ == "__main__":
    main()
