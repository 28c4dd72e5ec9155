"""What became of one model: fitted, pickled, converted as a user would, and judged?"""

import pickle
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.judge import judge
from benchmarks.memory import Watched
from benchmarks.models import answers_new_rows, cases
from benchmarks.training_data import Data
from conversion.errors import Refused, Unreadable
from conversion.parent import Order, convert
from serving.model import Model


@dataclass(frozen=True)
class Outcome:
    """One line of the table. `said` is the reason where there is no model."""

    name: str
    verdict: str
    seconds: float = 0.0
    said: str = ""
    candidate: str = ""
    evidence: str = ""
    max_abs: float = 0.0
    size_bytes: int = 0
    peak_bytes: int = 0
    onnx_us: float = 0.0
    scikit_learn_us: float = 0.0
    judged: dict[str, Any] = field(default_factory=dict)

    @property
    def mismatches(self) -> list[str]:
        return list(self.judged.get("mismatches", []))


ACCEPTED, REFUSED, NOTHING, UNFITTED, BROKEN = "accepted", "refused", "nothing to compare", "not fitted", "broken"
HANG, CONVERTING, JUDGING = "hang", "converting", "judging"


def outcome(name: str, seed: int, begins: Callable[[str], None] = lambda stage: None) -> Outcome:
    """Never raises: whatever happens is an outcome. `begins` is told of each stage."""
    case, start = cases()[name], time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            estimator, data = case.fitted()
        except Exception as error:
            return Outcome(case.name, UNFITTED, _since(start), _first_line(error))
    if not answers_new_rows(estimator):
        return Outcome(case.name, NOTHING, _since(start))
    with tempfile.TemporaryDirectory(prefix="unjar-benchmark-") as folder:
        return _converted(name, estimator, data, Path(folder), seed, begins)


def _converted(name: str, estimator: Any, data: Data, folder: Path, seed: int, begins: Callable[[str], None]) -> Outcome:
    start, source, output = time.monotonic(), folder / "model.pkl", folder / "model.onnx"
    source.write_bytes(pickle.dumps(estimator))
    begins(CONVERTING)
    try:
        with Watched() as seen:
            report = convert(Order(source, output))
    except Refused as error:
        return Outcome(name, REFUSED, _since(start), _reason(error), peak_bytes=seen.peak_bytes)
    except Unreadable as error:
        return Outcome(name, BROKEN, _since(start), _first_line(error))
    seconds = _since(start)
    begins(JUDGING)
    try:
        judged = asdict(judge(estimator, data.X, Model.load(output), seed))
    except Exception as error:  # a judge that fails has not said that the model is right
        judged = {"rows": 0, "mismatches": [f"the judge itself failed: {type(error).__name__}: {_first_line(error)}"]}
    return _accepted(name, report, seconds, seen.peak_bytes, judged)


def _accepted(name: str, report: dict[str, Any], seconds: float, peak_bytes: int, judged: dict[str, Any]) -> Outcome:
    parity, speed = report["parity"], report["speed"]
    return Outcome(
        name=name,
        verdict=ACCEPTED,
        seconds=seconds,
        candidate=parity["candidate"],
        evidence=parity["evidence"],
        max_abs=max(parity["max_abs"].values()),
        size_bytes=report["model"]["bytes"],
        peak_bytes=peak_bytes,
        onnx_us=speed["onnxruntime_us"],
        scikit_learn_us=speed["scikit_learn_us"],
        judged=judged,
    )


def _since(start: float) -> float:
    return round(time.monotonic() - start, 1)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def _reason(error: Refused) -> str:
    """The first line, and what each candidate said, in one line."""
    return "; ".join(line.strip() for line in str(error).splitlines())[:600]
