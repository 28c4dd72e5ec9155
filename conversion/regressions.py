"""Which rows went wrong once, and must never again? A file beside the pickle, which every conversion proves.

`python -m monitoring replay CASE --adopt regressions.json` adds a row to it. Where somebody has said what the answer should
have been, the model itself must give it: a model that does not is refused, however well it translates.
"""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from conversion.errors import Refused, Unreadable
from conversion.reference import Answers, Reference
from conversion.rows import RowSet
from conversion.schema import Feeds, Schema
from serving.signature import DTYPES, Array
from serving.verification import Tolerance, compare

KIND = "regression"
FORMAT = "unjar-regressions/1"


@dataclass(frozen=True)
class Regression:
    """One case's rows; `expected`: what should have been answered, by output, where somebody has said so."""

    name: str
    feeds: Feeds
    expected: dict[str, tuple[Array, Tolerance]]

    @property
    def size(self) -> int:
        return len(next(iter(self.feeds.values())))


def read(path: Path, schema: Schema) -> list[Regression]:
    """Raises Unreadable for a file of another form, or rows that are none for this model."""
    try:
        said = json.loads(path.read_bytes())
        if said["format"] != FORMAT:
            raise ValueError(f"format is {said['format']!r}, expected {FORMAT!r}")
        return [_regression(entry, schema) for entry in said["rows"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unreadable(f"{path.name}: {type(error).__name__}: {error}") from None


def _regression(entry: dict[str, Any], schema: Schema) -> Regression:
    feeds = {given["name"]: array_of(given) for given in entry["inputs"]}
    wanted = {column.name: column for column in schema.columns}
    if feeds.keys() != wanted.keys():
        raise ValueError(f"{entry['name']} has inputs {sorted(feeds)}, the model takes {sorted(wanted)}")
    for name, array in feeds.items():
        if array.ndim != 2 or array.shape[1] != wanted[name].width or array.dtype.hasobject != wanted[name].text:
            raise ValueError(f"{entry['name']}: {name} has shape {list(array.shape)}, wanted [n, {wanted[name].width}]")
    feeds = {name: array if array.dtype.hasobject else array.astype(np.float64) for name, array in feeds.items()}
    expected = {
        given["name"]: (array_of(given), Tolerance(float(given["atol"]), float(given["rtol"])))
        for given in entry.get("expected", [])
    }
    return Regression(str(entry["name"]), feeds, expected)


def array_of(given: dict[str, Any]) -> Array:
    """Raises KeyError or ValueError."""
    dtype, shape = DTYPES[given["datatype"]], tuple(given["shape"])
    if "base64" in given:
        raw = base64.b64decode(given["base64"], validate=True)
        return np.frombuffer(raw, dtype.newbyteorder("<")).astype(dtype).reshape(shape)
    return np.array(given["data"], dtype).reshape(shape)


def row_set(regressions: list[Regression]) -> RowSet:
    """All of them, to be proved as one more kind of rows."""
    names = regressions[0].feeds
    return RowSet(KIND, {name: np.concatenate([one.feeds[name] for one in regressions]) for name in names})


def check_expected(reference: Reference, regressions: list[Regression]) -> None:
    """Raises Refused for the first row that scikit-learn's own model does not answer as it should."""
    for one in regressions:
        if not one.expected:
            continue
        answers: Answers = reference(one.feeds)
        for name, (wanted, tolerance) in one.expected.items():
            if name not in answers:
                raise Refused(f"regression {one.name}: an answer of {name!r} is expected, the model has {sorted(answers)}")
            gap = compare(wanted, answers[name], tolerance)
            if not gap.passed:
                raise Refused(
                    f"regression {one.name}: the model itself, in scikit-learn, answers {name!r} with {gap.answered} where"
                    f" {gap.expected} should be; the fault is in the model, not in its translation: train it again"
                )
