"""How does everything the server needs come to lie in one file, the same bytes every time?"""

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx

from conversion.schema import Feeds
from serving.model import PREFIX
from serving.signature import Array, Signature
from serving.verification import Tolerance


def embed(graph: onnx.ModelProto, properties: Mapping[str, Any]) -> bytes:
    """The file's bytes, with each property as JSON in its metadata."""
    del graph.metadata_props[:]
    for key in sorted(properties):
        entry = graph.metadata_props.add()
        entry.key, entry.value = PREFIX + key, json.dumps(properties[key], sort_keys=True, separators=(",", ":"))
    onnx.checker.check_model(graph)
    return bytes(graph.SerializeToString(deterministic=True))


def rounded_up(value: float) -> float:
    """One significant digit, never below the value: the last digits of a gap differ between processors."""
    if value == 0 or not math.isfinite(value):
        return value
    magnitude = 10.0 ** math.floor(math.log10(abs(value)))
    return float(f"{math.ceil(value / magnitude) * magnitude:.0e}")


def example(
    name: str, content: bytes, source: str, signature: Signature, feeds: Feeds, answers: Mapping[str, Array],
    tolerance: Mapping[str, Tolerance],
) -> dict[str, Any]:  # fmt: skip
    """A request in the Open Inference Protocol's own form, with scikit-learn's answers and how far one may be from them."""
    return {
        "model": {"name": name, "digest": hashlib.sha256(content).hexdigest(), "source": source},
        "inputs": [_tensor(tensor.name, tensor.datatype, feeds[tensor.name]) for tensor in signature.inputs],
        "outputs": [
            _tensor(tensor.name, tensor.datatype, answers[tensor.name])
            | {"atol": tolerance[tensor.name].atol, "rtol": tolerance[tensor.name].rtol}
            for tensor in signature.outputs
        ],
    }


def _tensor(name: str, datatype: str, array: Array) -> dict[str, Any]:
    data = np.asarray(array).reshape(-1).tolist()
    return {"name": name, "datatype": datatype, "shape": list(array.shape), "data": data}
