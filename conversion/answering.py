"""What does the object in a pickle answer? Runs as `python -m conversion.answering` in the sandbox.

Reads model.pkl and asked.json from its folder; leaves answers.json there, or refusal.json.
"""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np

from conversion.child import leave
from conversion.errors import Refused, Unreadable
from conversion.load import load
from conversion.methods import methods_of
from conversion.reference import Reference
from conversion.regressions import array_of
from conversion.schema import schema_of
from serving.signature import DATATYPES, Array


def main() -> None:
    asked = json.loads(Path("asked.json").read_text())
    try:
        leave("answers.json", _answers(asked))
    except (Refused, Unreadable) as refusal:
        leave("refusal.json", {"kind": type(refusal).__name__, "message": str(refusal)})
    except (KeyError, ValueError, TypeError) as error:
        leave("refusal.json", {"kind": "Unreadable", "message": f"the rows do not fit: {error}"})


def _answers(asked: dict[str, Any]) -> dict[str, Any]:
    estimator = load(Path("model.pkl").read_bytes(), frozenset(asked["trusted"])).estimator
    schema = schema_of(estimator)
    reference = Reference(estimator, schema, methods_of(estimator, []))
    feeds = {given["name"]: array_of(given) for given in asked["inputs"]}
    feeds = {name: array if array.dtype.hasobject else array.astype(np.float64) for name, array in feeds.items()}
    try:
        answers = reference({column.name: feeds[column.name] for column in schema.columns})
    except Exception as error:  # scikit-learn raises what it likes for rows it does not take
        return {"refused": f"{type(error).__name__}: {error}"[:500]}
    return {"outputs": [_told(name, array) for name, array in answers.items()]}


def _told(name: str, array: Array) -> dict[str, Any]:
    """Numbers to the last bit."""
    array = array if array.dtype in DATATYPES else array.astype(np.float64)
    said: dict[str, Any] = {"name": name, "datatype": DATATYPES[array.dtype], "shape": list(array.shape)}
    if array.dtype.hasobject:
        return said | {"data": array.reshape(-1).tolist()}
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return said | {"base64": base64.b64encode(little.tobytes()).decode()}


if __name__ == "__main__":
    main()
