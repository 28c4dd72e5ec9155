"""Does an accepted model answer a stranger's rows as scikit-learn does? The converter's own checks are not used.

A label may differ only where scikit-learn's own scores leave it open within the tolerance that the model states; any answer
may differ where scikit-learn itself gives both, for rows that are equal but for the last digits of a double.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import reference
from benchmarks.margins import ties
from benchmarks.reference import asked, take
from benchmarks.rounding import decided_by_rounding
from benchmarks.rows_of_a_stranger import MISSING, strangers_rows
from serving.model import Model

BATCHES = {1: 16, 2: 24, 3: 36, 7: 140, 64: 192, 1000: 1000}
"""How many rows of each kind are asked in batches of that size, in an order of their own."""
REFUSED, DEFAULT_TIE = 40, 1e-5
FAR = ("magnitude", "codes unknown", "far outside", "walks between far rows", "small whole numbers")
"""Kinds of which a signature may refuse some, where it states how far it goes."""


@dataclass
class Verdict:
    """What came of the stranger's rows. `answered` names the kinds of rows that scikit-learn refuses and the model answers."""

    rows: int = 0
    ties: int = 0
    edges: int = 0
    refused_by_scikit_learn: int = 0
    refused_by_the_model: int = 0
    answered_all_the_same: int = 0
    answered: dict[str, int] = field(default_factory=dict)
    mismatches: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Asked:
    """Rows of one kind with scikit-learn's answers, and which labels it leaves open."""

    kind: str
    native: Any
    wanted: dict[str, Any]
    tied: Any
    excused: dict[tuple[str, int, bytes], bool] = field(default_factory=dict)
    """Answers that were compared with those to rows of other last digits: asking is dear and rows come again."""


def judge(estimator: Any, X: Any, model: Model, seed: int = 20261123) -> Verdict:
    """Compares on every kind of row, in batches of every size and all at once."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return _judged(estimator, X, model, seed)


def _judged(estimator: Any, X: Any, model: Model, seed: int) -> Verdict:
    verdict = Verdict()
    numeric = [tensor for tensor in model.signature.inputs if tensor.datatype != "BYTES"]
    kinds = strangers_rows(
        X,
        single=any(tensor.datatype == "FP32" for tensor in numeric),
        nan=bool(numeric) and all(tensor.allow_nan for tensor in numeric),
        infinity=bool(numeric) and all(tensor.allow_infinity for tensor in numeric),
        seed=seed,
        label=partial(_first_answer, estimator, model),
    )
    rng = np.random.default_rng(seed)
    for kind, native in kinds:
        rows = _asked(estimator, native, model, kind, verdict)
        if len(rows.native):
            verdict.mismatches += list(islice(_mismatches(estimator, rows, model, verdict, rng), 1))
    return verdict


def _first_answer(estimator: Any, model: Model, native: Any) -> Any:
    return asked(estimator, model.signature.outputs[0].name, native)


def feeds(native: Any, model: Model) -> dict[str, Any]:
    """The rows as a client would send them. Raises ValueError where the signature wants a number and there is a word."""
    inputs = model.signature.inputs
    if len(inputs) == 1 and inputs[0].name == "X":
        if isinstance(native, list):
            return {"X": np.array(native, object).reshape(-1, 1)}
        return {"X": np.asarray(native, np.float64).astype(inputs[0].dtype)}
    columns = native if isinstance(native, pd.DataFrame) else pd.DataFrame(native).add_prefix("x")
    return {tensor.name: columns[tensor.name].to_numpy().astype(tensor.dtype).reshape(-1, 1) for tensor in inputs}


def _asked(estimator: Any, native: Any, model: Model, kind: str, verdict: Verdict) -> Asked:
    """The rows that scikit-learn answers; what the model does with the others is counted."""
    names = [tensor.name for tensor in model.signature.outputs]
    accepted = reference.accepted(estimator, native, names)
    refused = take(native, np.flatnonzero(~accepted))
    verdict.refused_by_scikit_learn += len(refused)
    answered = sum(_answers(model, take(refused, [i])) for i in range(min(len(refused), REFUSED)))
    if answered:
        verdict.answered_all_the_same += answered
        verdict.answered[kind] = answered
    native = take(native, np.flatnonzero(accepted))
    if kind.startswith(FAR):
        outside = _outside(native, model)
        verdict.refused_by_the_model += int(outside.sum())
        native = take(native, np.flatnonzero(~outside))
    verdict.rows += len(native)
    if not len(native):
        return Asked(kind, native, {}, None)
    wanted = {name: asked(estimator, name, native) for name in names}
    return Asked(kind, native, wanted, _ties(estimator, native, model))


def _outside(native: Any, model: Model) -> Any:
    """Rows beyond what the signature says it takes. Nearer rows must be taken, so those are not left out."""
    found, given = np.zeros(len(native), bool), feeds(native, model)
    for tensor in model.signature.inputs:
        if tensor.low is not None and tensor.high is not None:
            found |= ((given[tensor.name] < tensor.low) | (given[tensor.name] > tensor.high)).any(axis=1)
    return found


def _ties(estimator: Any, native: Any, model: Model) -> Any:
    """Within the tolerance that the model states; where it states none, for it answers labels alone, within the usual one."""
    stated = max(float(said["atol"]) for said in model.parity["tolerance"].values())
    return ties(estimator, native, stated or DEFAULT_TIE)


def _answers(model: Model, row: Any) -> bool:
    try:
        model.run(model.signature.accept(feeds(row, model)))
    except Exception:  # a refusal of any kind is as it should be
        return False
    return True


def _mismatches(estimator: Any, rows: Asked, model: Model, verdict: Verdict, rng: Any) -> Iterator[str]:
    count = len(rows.native)
    given = feeds(rows.native, model)
    whole = {count: count} if count > 1000 else {}
    for batch, most in (BATCHES | whole).items():
        order = np.resize(rng.permutation(count), most if batch > count else min(count, most))
        for start in range(0, len(order), batch):
            part = order[start : start + batch]
            try:
                found = model.run(model.signature.accept({name: array[part] for name, array in given.items()}))
            except Exception as error:  # whatever keeps a row that scikit-learn answers from being answered
                if rows.kind == MISSING:  # a client has no word for it, so being refused is no surprise
                    verdict.refused_by_the_model += len(part)
                    return
                yield f"{rows.kind}, batch of {len(part)}: not answered: {str(error).splitlines()[0][:160]}"
                return
            for name in rows.wanted:
                said = _difference(estimator, rows, part, name, found[name], model, verdict)
                if said:
                    yield f"{rows.kind}, batch of {len(part)}, {name}: {said}"


def _difference(estimator: Any, rows: Asked, part: Any, name: str, found: Any, model: Model, verdict: Verdict) -> str:
    """What differs first, or nothing."""
    wanted = rows.wanted[name][part]
    if wanted.shape != found.shape:
        return f"shape {list(wanted.shape)}, answered {list(found.shape)}"
    tolerance = model.parity["tolerance"][name]
    wrong = _apart(wanted, found, tolerance)
    if name == "predict" and wanted.dtype.kind != "f" and rows.tied[part].shape == wrong.shape:
        tied = wrong & rows.tied[part] & np.isin(found, _labels(estimator, rows))
        verdict.ties += int(tied.any(axis=tuple(range(1, tied.ndim))).sum())
        wrong &= ~tied
    wrong = wrong.reshape(len(wrong), -1).any(axis=1)
    for i in np.flatnonzero(wrong):
        if not _excused(estimator, rows, int(part[i]), name, found[i : i + 1], tolerance):
            break
        verdict.edges += 1
        wrong[i] = False
    if not wrong.any():
        return ""
    at = int(np.flatnonzero(wrong)[0])
    shown = _shown(take(rows.native, [part[at]]))
    return f"{int(wrong.sum())} of {len(wanted)} rows; row {shown}: scikit-learn {wanted[at]}, answered {found[at]}"


def _labels(estimator: Any, rows: Asked) -> Any:
    """Those that scikit-learn gives: another one is wrong on a tie, too."""
    known = getattr(estimator, "classes_", [])
    classes = [one for some in known for one in some] if isinstance(known, list) else np.asarray(known).tolist()
    return np.array([*classes, *np.unique(rows.wanted["predict"]).tolist()])


def _excused(estimator: Any, rows: Asked, row: int, name: str, answer: Any, tolerance: dict[str, float]) -> bool:
    key = (name, row, answer.tobytes())
    if key not in rows.excused:
        equal = partial(_equal, answer, tolerance)
        rows.excused[key] = decided_by_rounding(estimator, name, take(rows.native, [row]), equal, answer[0])
    return rows.excused[key]


def _shown(row: Any) -> str:
    """Short, and exact enough to ask again."""
    values = row if isinstance(row, list) else (row.to_numpy() if isinstance(row, pd.DataFrame) else row)[0].tolist()
    return repr(values if len(repr(values)) < 300 else repr(values)[:300])


def _equal(found: Any, tolerance: dict[str, float], wanted: Any) -> bool:
    return not _apart(np.asarray([wanted]) if isinstance(wanted, str) else wanted[None], found, tolerance).any()


def _apart(wanted: Any, found: Any, tolerance: dict[str, float]) -> Any:
    """Which elements differ by more than the tolerance."""
    if wanted.dtype.kind == "f":
        with np.errstate(invalid="ignore", over="ignore"):
            gap = np.abs(wanted - found)
            equal = (wanted == found) | (np.isnan(wanted) & np.isnan(found))
            return ~equal & ~(gap <= tolerance["atol"] + tolerance["rtol"] * np.abs(wanted))
    return np.asarray(wanted != found)
