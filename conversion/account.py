"""What is told of an accepted conversion: briefly in the model, in full in the report?"""

import hashlib
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import numpy as np

from conversion import write
from conversion.load import Loaded
from conversion.parity import Finding
from conversion.question import Question
from conversion.search import Accepted
from conversion.steps import describe
from serving.verification import Tolerance

PACKAGES = ("scikit-learn", "skl2onnx", "onnx", "onnxruntime", "numpy", "joblib")
USUAL = Tolerance(1e-5, 1e-5)
# Elements drawn from each kind of rows for the plots.
POINTS = 80


def provenance(loaded: Loaded, trusted: list[str], content: bytes, accepted: Accepted, regressions: bytes) -> dict[str, Any]:
    """regressions: the file of rows that went wrong once, empty where there is none."""
    proved = {"regressions_sha256": hashlib.sha256(regressions).hexdigest()} if regressions else {}
    return {
        **proved,
        "source_sha256": hashlib.sha256(content).hexdigest(),
        "source_bytes": len(content),
        "estimator": describe(loaded.estimator),
        "repairs": list(accepted.repairs),
        "trusted": sorted(trusted),
        "versions": {name: version(name) for name in PACKAGES},
    }


def parity(accepted: Accepted, question: Question) -> dict[str, Any]:
    """The verdict as it travels in the model, with figures that do not depend on the processor's last digits."""
    return {
        "verdict": "passed",
        **accepted.evidence,
        "candidate": accepted.candidate.name,
        "rows": {finding.kind: finding.gap.rows for finding in accepted.findings},
        "notes": [*_wider(question), *accepted.notes],
        "ties": sum(finding.ties for finding in accepted.findings),
        "max_abs": {name: write.rounded_up(_worst(accepted.findings, name, _within)) for name in question.methods},
        "tolerance": {name: asdict(t) for name, t in question.tolerance.items()},
    }


def _wider(question: Question) -> list[str]:
    """A tolerance that the user asked for beyond the usual one is told wherever the verdict is."""
    most = max(question.tolerance.values(), key=lambda one: (one.rtol, one.atol))
    if most.atol <= USUAL.atol and most.rtol <= USUAL.rtol:
        return []
    return [f"accepted within {most.atol:g} + {most.rtol:g} of the value, wider than the usual {USUAL.atol:g} + {USUAL.rtol:g}"]


def _within(kind: str) -> bool:
    """Rows of the size that the object has learned from; larger ones have gaps in proportion."""
    return " x " not in kind


def _worst(findings: tuple[Finding, ...], output: str, counts: Any) -> float:
    return max(finding.gap.max_abs for finding in findings if finding.output == output and counts(finding.kind))


def report(loaded: Loaded, accepted: Accepted, question: Question, model: bytes, origin: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "verdict": "accepted",
        "model": {"sha256": hashlib.sha256(model).hexdigest(), "bytes": len(model)},
        "provenance": dict(origin) | {"python": sys.version.split()[0], "globals": loaded.globals},
        "signature": accepted.signature.to_json(),
        "parity": parity(accepted, question),
        "findings": [_shown(finding, question) for finding in accepted.findings],
        "points": points(accepted, question),
        "candidates": [
            {"name": t.name, "verdict": t.verdict, "bytes": t.size_bytes, "one_row_us": t.one_row_us} for t in accepted.tried
        ],
        "seconds": round(accepted.seconds, 2),
        "speed": _speed(accepted, question),
    }


def _shown(finding: Finding, question: Question) -> dict[str, Any]:
    """`used` is the part of the tolerance that the worst row took: one is the edge of failing."""
    gap, tolerance = finding.gap, question.tolerance[finding.output]
    used = 0.0
    if 0.0 < gap.max_abs < np.inf:
        wanted, found = float(gap.expected), float(gap.answered)
        used = abs(wanted - found) / (tolerance.atol + tolerance.rtol * abs(wanted) or 1.0)
    return {"kind": finding.kind, "output": finding.output, "ties": finding.ties, "used": used} | asdict(gap)


def points(accepted: Accepted, question: Question) -> dict[str, list[list[float]]]:
    """For each output of real numbers, scikit-learn's answers and the graph's, of some elements of every kind of rows."""
    rng = np.random.default_rng(0)
    drawn: dict[str, list[list[float]]] = {}
    for one in question.sets:
        answered = accepted.session.answer(one.rows.feeds, question.methods)
        for name, wanted in one.answers.items():
            if wanted.dtype.kind == "f":
                picked = rng.choice(wanted.size, min(POINTS, wanted.size), replace=False)
                pairs = np.stack([wanted.reshape(-1)[picked], answered[name].reshape(-1)[picked].astype(np.float64)], axis=1)
                drawn.setdefault(name, []).extend(pairs[np.isfinite(pairs).all(axis=1)].tolist())
    return drawn


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
