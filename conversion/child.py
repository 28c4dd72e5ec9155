"""What happens to a pickle once nothing it does can reach anybody? Runs as `python -m conversion.child` in the sandbox.

Reads task.json and the pickle from its folder; leaves model.onnx, report.json and example.json there, or refusal.json.
"""

import dataclasses
import hashlib
import json
import sys
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from conversion import data, write
from conversion.errors import Refused, Unreadable
from conversion.load import Loaded, load
from conversion.methods import methods_of
from conversion.parity import Finding, asked
from conversion.question import Question
from conversion.reference import Answers, Reference
from conversion.rows import RowSet, row_sets
from conversion.schema import Feeds, schema_of
from conversion.search import Accepted, search
from conversion.steps import describe
from serving.signature import DTYPES
from serving.verification import Tolerance, Verification

PACKAGES = ("scikit-learn", "skl2onnx", "onnx", "onnxruntime", "numpy", "joblib")
VERIFICATION_ROWS, EXAMPLE_ROWS = 12, 4


@dataclasses.dataclass(frozen=True)
class Task:
    """What the parent asks for."""

    name: str
    methods: list[str]
    trusted: list[str]
    data: str
    array: str
    atol: float
    rtol: float


def main() -> None:
    task = Task(**json.loads(Path("task.json").read_text()))
    try:
        _convert(task, Path("model.pkl").read_bytes())
    except (Refused, Unreadable) as refusal:
        _leave("refusal.json", {"kind": type(refusal).__name__, "message": str(refusal)})
    except MemoryError:
        _leave("refusal.json", {"kind": "Refused", "message": "the conversion needs more memory than it is allowed"})


def _convert(task: Task, content: bytes) -> None:
    loaded = load(content, frozenset(task.trusted))
    question = _question(loaded, task)
    accepted = search(question)
    chosen = _chosen(question, VERIFICATION_ROWS)
    answers = question.ask(chosen)
    verification = Verification(question.schema.cast(chosen, accepted.candidate.real), _plain(answers), question.tolerance)
    provenance = _provenance(loaded, task, content, accepted)
    model = write.embed(
        accepted.graph,
        {
            "signature": accepted.signature.to_json(),
            "verification": verification.to_json(),
            "parity": _parity(accepted, question),
            "provenance": provenance,
        },
    )
    Path("model.onnx").write_bytes(model)
    shown = {name: rows[:EXAMPLE_ROWS] for name, rows in chosen.items()}
    source = provenance["source_sha256"]
    cast = question.schema.cast(shown, accepted.candidate.real)
    signature, tolerance = accepted.signature, question.tolerance
    _leave("example.json", write.example(task.name, model, source, signature, cast, question.ask(shown), tolerance))
    _leave("report.json", _report(loaded, accepted, question, model, provenance))


def _question(loaded: Loaded, task: Task) -> Question:
    estimator = loaded.estimator
    if not isinstance(estimator, BaseEstimator):
        raise Refused(f"the pickle holds a {type(estimator).__name__}, wanted a fitted scikit-learn estimator")
    schema = schema_of(estimator)
    methods = methods_of(estimator, task.methods)
    ask = Reference(estimator, schema, methods)
    rows = [RowSet("data", data.read(Path(task.data), task.array, schema))] if task.data else []
    return question_of(ask, [*rows, *row_sets(estimator, schema)], Tolerance(task.atol, task.rtol))


def question_of(ask: Reference, rows: list[RowSet], real: Tolerance) -> Question:
    """Raises Refused when scikit-learn answers none of the typical rows."""
    sets = [one for one in (asked(ask, one, real.atol) for one in rows) if one.rows.size]
    if not sets or sets[0].rows.kind != rows[0].kind:
        raise Refused(f"scikit-learn itself refuses all {rows[0].kind!r} rows; bring rows that it answers with --data")
    tolerance = {name: real if answer.dtype.kind == "f" else Tolerance() for name, answer in sets[0].answers.items()}
    return Question(ask.estimator, ask.schema, ask.methods, ask, sets, tolerance, real.atol)


def _chosen(question: Question, count: int) -> Feeds:
    """Rows that travel with the model: evenly from the first set, which is the user's own when there is one."""
    feeds = question.sets[0].rows.feeds
    # A row near another label may have either on another processor.
    firm = np.flatnonzero(~question.sets[0].ties)
    firm = firm if len(firm) else np.arange(question.sets[0].rows.size)
    picked = firm[np.unique(np.linspace(0, len(firm) - 1, min(count, len(firm))).astype(int))]
    return {name: array[picked] for name, array in feeds.items()}


def _plain(answers: Answers) -> Answers:
    """Answers in a datatype that has a name: scikit-learn may answer in any integer or real width."""
    return {name: array if array.dtype in DTYPES.values() else array.astype(np.float64) for name, array in answers.items()}


def _provenance(loaded: Loaded, task: Task, content: bytes, accepted: Accepted) -> dict[str, Any]:
    return {
        "source_sha256": hashlib.sha256(content).hexdigest(),
        "source_bytes": len(content),
        "estimator": describe(loaded.estimator),
        "repairs": list(accepted.repairs),
        "trusted": sorted(task.trusted),
        "versions": {name: version(name) for name in PACKAGES},
    }


def _parity(accepted: Accepted, question: Question) -> dict[str, Any]:
    """The verdict as it travels in the model, with figures that do not depend on the processor's last digits."""
    return {
        "verdict": "passed",
        **accepted.evidence,
        "candidate": accepted.candidate.name,
        "rows": {finding.kind: finding.gap.rows for finding in accepted.findings},
        "ties": sum(finding.ties for finding in accepted.findings),
        "max_abs": {name: write.rounded_up(_worst(accepted.findings, name, _within)) for name in question.methods},
        "tolerance": {name: dataclasses.asdict(t) for name, t in question.tolerance.items()},
    }


def _within(kind: str) -> bool:
    """Rows of the size that the object has learned from; larger ones have gaps in proportion."""
    return " x " not in kind


def _worst(findings: tuple[Finding, ...], output: str, counts: Any) -> float:
    return max(finding.gap.max_abs for finding in findings if finding.output == output and counts(finding.kind))


def _report(
    loaded: Loaded, accepted: Accepted, question: Question, model: bytes, provenance: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "verdict": "accepted",
        "model": {"sha256": hashlib.sha256(model).hexdigest(), "bytes": len(model)},
        "provenance": dict(provenance) | {"python": sys.version.split()[0], "globals": loaded.globals},
        "signature": accepted.signature.to_json(),
        "parity": _parity(accepted, question),
        "findings": [
            {"kind": f.kind, "output": f.output, "ties": f.ties} | dataclasses.asdict(f.gap) for f in accepted.findings
        ],
        "candidates": [{"name": t.name, "verdict": t.verdict, "bytes": t.size_bytes} for t in accepted.tried],
        "seconds": round(accepted.seconds, 2),
        "speed": _speed(accepted, question),
    }


def _shown(finding: Finding) -> dict[str, Any]:
    return {"kind": finding.kind, "output": finding.output, "ties": finding.ties} | dataclasses.asdict(finding.gap)


def _speed(accepted: Accepted, question: Question) -> dict[str, float]:
    """Microseconds a row alone, median of 30, side by side."""
    row = {name: array[:1] for name, array in question.sets[0].rows.feeds.items()}
    mine, theirs = [], []
    cast = question.schema.cast(row, accepted.candidate.real)
    for _ in range(30):
        theirs.append(_timed(lambda: question.ask(row)))
        mine.append(_timed(lambda: accepted.session.session.run(None, cast)))
    return {"scikit_learn_us": round(float(np.median(theirs)), 1), "onnxruntime_us": round(float(np.median(mine)), 1)}


def _timed(call: Any) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e6


def _leave(name: str, document: dict[str, Any]) -> None:
    Path(name).write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
