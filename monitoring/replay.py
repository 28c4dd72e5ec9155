"""Whose fault is it? A customer's case is run again, on the very model that it names, and compared with what the site answered.

The verdict is one of six words and the numbers that it stands on. It says what to do next, not who is to blame.
"""

import gzip
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from monitoring.asked import Answer, ask, ask_elsewhere
from monitoring.case_rows import scikit_learn
from serving.model import Model
from serving.signature import DTYPES, Array
from serving.telemetry.case import FORMAT, NotACase, content_of, versions
from serving.verification import Gap, Tolerance, compare

SAME, OTHER, STALE, INPUT, CLIENT, PRECISION = VERDICTS = (
    "model or expectation", "environment", "stale", "bad input", "client error", "precision",
)  # fmt: skip
WRONG_INPUT = frozenset(("invalid_input", "too_many_rows"))
BUSY = frozenset(("overloaded", "not_ready", "deadline_exceeded", "request_timeout"))
# Numbers this near, relative to their size, are the same in single precision.
SINGLE = 4e-7


@dataclass(frozen=True)
class Verdict:
    """`numbers`: what was measured; `notes`: what is other here than there."""

    word: str
    text: str
    numbers: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """What is at hand beside the case: models by their digest, the one that was believed to answer, what scikit-learn says, and
    what the customer says should have been answered, as outputs in the protocol's form."""

    models: Mapping[str, Path]
    believed: Path | None = None
    pickle: Path | None = None
    expected: list[dict[str, Any]] | None = None
    python: str | None = None


def read_case(content: bytes) -> dict[str, Any]:
    """Raises NotACase."""
    try:
        case: dict[str, Any] = json.loads(content)
        if case["format"] != FORMAT:
            raise NotACase(f"format is {str(case['format'])[:40]!r}, this release reads {FORMAT!r}")
        for name in ("request", "answer", "model", "server", "settings"):
            if type(case[name]) is not dict:
                raise NotACase(f"{name} is no object")
        return case
    except NotACase:
        raise
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise NotACase(f"is no case: {error}") from None


def models_in(places: Iterable[Path]) -> dict[str, Path]:
    """Of these files and folders, every model, by its digest."""
    import hashlib

    files = [path for place in places for path in (sorted(place.rglob("*.onnx")) if place.is_dir() else [place])]
    return {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in files}


def replay(path: Path, evidence: Evidence) -> Verdict:
    """path: of the case. Raises NotACase, ModelRefused, OSError, or ValueError where another interpreter fails."""
    case = read_case(path.read_bytes())
    if case.get("redacted"):
        raise NotACase("is redacted: it tells what kind of request it was, and cannot be run again")
    digest = case["model"]["digest"]
    notes = _differences(case)
    if digest not in evidence.models:
        return _without_model(digest, evidence, notes)
    place = evidence.models[digest]
    here = ask(case, place.read_bytes()) if evidence.python is None else ask_elsewhere(evidence.python, path, place)
    there = Answer(case["answer"]["status"], case["answer"]["headers"], content_of(case["answer"]))
    if there.status != 200 or here.status != 200:
        return _refused(there, here, notes)
    return _answered(case, there, here, Model.load(place), evidence, notes)


def _without_model(digest: str, evidence: Evidence, notes: tuple[str, ...]) -> Verdict:
    if evidence.believed is not None:
        believed = Model.load(evidence.believed)
        text = f"the site was answered by model {digest[:12]}, which is not here; it was believed to have {believed.version}"
        return Verdict(STALE, text, {"digest": digest, "believed": believed.digest}, notes)
    raise NotACase(
        f"names model {digest[:12]}, which is none of {len(evidence.models)} models here; --models says where more are"
    )


def _refused(there: Answer, here: Answer, notes: tuple[str, ...]) -> Verdict:
    code, own = _code(there), _code(here)
    numbers = {"status": there.status, "code": code, "status_here": here.status, "code_here": own}
    if code in BUSY:
        return Verdict(
            OTHER, f"the site's server was too busy or not ready ({code}); the request is not at fault", numbers, notes
        )
    if (there.status, code) != (here.status, own):
        return Verdict(OTHER, f"answered {there.status} {code or ''} there and {here.status} {own or ''} here", numbers, notes)
    said = json.loads(there.body).get("error", "")
    if there.status >= 500:
        return Verdict(SAME, f"the model fails on these rows, here as there: {said}", numbers, notes)
    if code in WRONG_INPUT:
        return Verdict(INPUT, f"the rows are none that the model takes: {said}", numbers, notes)
    return Verdict(CLIENT, f"the request is not as the protocol has it: {said}", numbers, notes)


def _answered(
    case: dict[str, Any], there: Answer, here: Answer, model: Model, evidence: Evidence, notes: tuple[str, ...]
) -> Verdict:
    said, own = arrays_of(there), arrays_of(here)
    tolerance = model.verification.tolerance
    gaps = _gaps(said, own, tolerance)
    numbers: dict[str, Any] = {"same_bytes": there.body == here.body, "max_difference": _largest(gaps)}
    if not all(gap.passed for gap in gaps.values()):
        worst = next(gap for gap in gaps.values() if not gap.passed)
        text = f"the same model answers otherwise here: {worst.expected} there, {worst.answered} here, row {worst.worst_row}"
        return Verdict(OTHER, text, numbers, notes)
    if evidence.believed is not None and (stale := _stale(case, said, model, evidence.believed, numbers, notes)) is not None:
        return stale
    if evidence.pickle is not None:
        learned = scikit_learn(case, model, evidence.pickle)
        gap = _gaps(learned, own, tolerance)
        numbers["scikit_learn_difference"] = _largest(gap)
        if not all(one.passed for one in gap.values()):
            worst = next(one for one in gap.values() if not one.passed)
            text = f"the translation is wrong on these rows: scikit-learn answers {worst.expected}, the model {worst.answered}"
            return Verdict(SAME, text, numbers, notes)
    if evidence.expected is not None:
        return _against(evidence.expected, own, tolerance, evidence.pickle is not None, numbers, notes)
    if not numbers["same_bytes"]:
        text = f"the answers differ by at most {numbers['max_difference']:.1e}, within what was promised; nothing is wrong"
        return Verdict(PRECISION, text, numbers, notes)
    too = ", and scikit-learn answers the same" if evidence.pickle is not None else ""
    return Verdict(
        SAME, f"the same answer here, to the last bit{too}: what was expected, or what was learned, is other", numbers, notes
    )


def _stale(
    case: dict[str, Any], said: dict[str, Array], model: Model, place: Path, numbers: dict[str, Any], notes: tuple[str, ...]
) -> Verdict | None:
    believed = Model.load(place)
    if believed.digest == model.digest:
        return None
    other = ask(case, place.read_bytes())
    numbers |= {"digest": model.digest, "believed": believed.digest}
    if other.status == 200:
        numbers["believed_difference"] = _largest(_gaps(said, arrays_of(other), believed.verification.tolerance))
    text = f"the site was answered by model {model.version}; it was believed to have {believed.version}"
    return Verdict(STALE, text, numbers, notes)


def _against(
    expected: list[dict[str, Any]], own: dict[str, Array], tolerance: Mapping[str, Tolerance], learned: bool,
    numbers: dict[str, Any], notes: tuple[str, ...],
) -> Verdict:  # fmt: skip
    wanted = {one["name"]: np.array(one["data"], DTYPES[one.get("datatype", "FP64")]).reshape(one["shape"]) for one in expected}
    unknown = wanted.keys() - own.keys()
    if unknown:
        raise NotACase(f"is expected to answer {min(unknown)!r}, the model answers {', '.join(own)}")
    answered = {name: own[name] for name in wanted}
    close = {name: Tolerance(tolerance[name].atol, max(tolerance[name].rtol, SINGLE)) for name in wanted}
    gaps = _gaps(wanted, answered, close)
    numbers["expected_difference"] = _largest(gaps)
    if all(gap.passed for gap in gaps.values()):
        most = numbers["expected_difference"]
        text = f"expected and answered differ by at most {most:.1e}, as two ways to write the same number do"
        return Verdict(PRECISION, text, numbers, notes)
    worst = next(gap for gap in gaps.values() if not gap.passed)
    too = " and scikit-learn" if learned else ""
    text = f"the model{too} answers {worst.answered} where {worst.expected} is expected: adopt the case and train again"
    return Verdict(SAME, text, numbers, notes)


def _gaps(wanted: Mapping[str, Array], found: Mapping[str, Array], tolerance: Mapping[str, Tolerance]) -> dict[str, Gap]:
    return {name: compare(wanted[name], found[name], tolerance.get(name, Tolerance())) for name in wanted if name in found}


def _largest(gaps: Mapping[str, Gap]) -> float:
    return max((gap.max_abs for gap in gaps.values()), default=0.0)


def _code(answer: Answer) -> str | None:
    try:
        return str(json.loads(answer.body)["code"]) if answer.status != 200 else None
    except (ValueError, KeyError, TypeError):
        return None


def _differences(case: dict[str, Any]) -> tuple[str, ...]:
    """What is other here than at the site."""
    own = versions()
    there = case["server"]
    return tuple(
        f"{name} is {there.get(name)!r} there and {own[name]!r} here"
        for name in ("unjar", "onnxruntime", "numpy", "python", "machine")
        if there.get(name) != own[name]
    )


def arrays_of(answer: Answer) -> dict[str, Array]:
    """The outputs of an answer, JSON or binary. Raises NotACase."""
    body = gzip.decompress(answer.body) if answer.headers.get("content-encoding") == "gzip" else answer.body
    size = int(answer.headers.get("inference-header-content-length", len(body)))
    found: dict[str, Array] = {}
    at = size
    try:
        for one in json.loads(body[:size])["outputs"]:
            dtype, shape = DTYPES[one["datatype"]], tuple(one["shape"])
            raw = one.get("parameters", {}).get("binary_data_size")
            if raw is None:
                found[one["name"]] = np.array(one["data"], dtype).reshape(shape)
            elif dtype.hasobject:
                raise NotACase("holds texts as raw bytes, which are not compared")
            else:
                found[one["name"]] = (
                    np.frombuffer(body[at : at + int(raw)], dtype.newbyteorder("<")).astype(dtype).reshape(shape)
                )
            at += raw or 0
    except (ValueError, KeyError, TypeError) as error:
        raise NotACase(f"holds an answer that cannot be read: {error}") from None
    return found
