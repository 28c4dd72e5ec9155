"""Does an accepted model answer a stranger's rows as scikit-learn does? The converter's own checks are not used.

A label may differ only where scikit-learn's own scores leave it open within the tolerance that the model states; any answer
may differ where scikit-learn itself gives both, for rows that are equal but for the last digits of a double.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import reference
from benchmarks.reference import asked, take
from benchmarks.rows_of_a_stranger import strangers_rows
from serving.model import Model

ALONE, IN_SEVENS = 12, 140
"""Rows of each kind that are asked one by one, and in sevens."""


@dataclass
class Verdict:
    """What came of the stranger's rows."""

    rows: int = 0
    ties: int = 0
    edges: int = 0
    refused_by_scikit_learn: int = 0
    answered_all_the_same: int = 0
    mismatches: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Asked:
    """Rows of one kind with scikit-learn's answers."""

    kind: str
    native: Any
    wanted: dict[str, Any]
    tied: Any


def judge(estimator: Any, X: Any, model: Model, seed: int = 20261123) -> Verdict:
    """Compares on every kind of row, alone, in sevens and all at once."""
    verdict = Verdict()
    numeric = [tensor for tensor in model.signature.inputs if tensor.datatype != "BYTES"]
    kinds = strangers_rows(
        X,
        single=any(tensor.datatype == "FP32" for tensor in numeric),
        nan=bool(numeric) and all(tensor.allow_nan for tensor in numeric),
        infinity=bool(numeric) and all(tensor.allow_infinity for tensor in numeric),
        seed=seed,
    )
    for kind, native in kinds:
        rows = _asked(estimator, native, model, kind, verdict)
        if len(rows.native):
            verdict.mismatches += list(_mismatches(estimator, rows, model, verdict))[:1]
    return verdict


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
    verdict.answered_all_the_same += sum(_answers(model, take(refused, [i])) for i in range(min(len(refused), ALONE)))
    native = take(native, np.flatnonzero(accepted))
    verdict.rows += len(native)
    if not len(native):
        return Asked(kind, native, {}, None)
    atol = max([1e-5, *(float(said["atol"]) for said in model.parity["tolerance"].values())])
    wanted = {name: asked(estimator, name, native) for name in names}
    return Asked(kind, native, wanted, reference.ties(estimator, native, atol))


def _answers(model: Model, row: Any) -> bool:
    try:
        model.run(model.signature.accept(feeds(row, model)))
    except Exception:  # a refusal of any kind is as it should be
        return False
    return True


def _mismatches(estimator: Any, rows: Asked, model: Model, verdict: Verdict) -> Iterator[str]:
    count = len(rows.native)
    for batch, most in ((1, ALONE), (7, IN_SEVENS), (count, count)):
        for start in range(0, min(count, most), batch):
            part = slice(start, start + batch)
            try:
                given = {name: array[part] for name, array in feeds(rows.native, model).items()}
                found = model.run(model.signature.accept(given))
            except Exception as error:  # whatever keeps a row that scikit-learn answers from being answered
                yield f"{rows.kind}, batch of {batch}: not answered: {str(error).splitlines()[0][:160]}"
                return
            for name, wanted in rows.wanted.items():
                said = _difference(estimator, rows, part, name, wanted[part], found[name], model, verdict)
                if said:
                    yield f"{rows.kind}, batch of {batch}, {name}: {said}"


def _difference(
    estimator: Any, rows: Asked, part: slice, name: str, wanted: Any, found: Any, model: Model, verdict: Verdict
) -> str:
    """What differs first, or nothing."""
    if wanted.shape != found.shape:
        return f"shape {list(wanted.shape)}, answered {list(found.shape)}"
    tolerance = model.parity["tolerance"][name]
    wrong = _apart(wanted, found, tolerance)
    if wanted.dtype.kind != "f":
        tied = wrong & rows.tied[part]
        verdict.ties += int(tied.sum())
        wrong &= ~tied
    for i in np.flatnonzero(wrong):
        row, answer = take(rows.native, [part.start + i]), found[i : i + 1]
        if not reference.decided_by_rounding(estimator, name, row, partial(_equal, answer, tolerance)):
            break
        verdict.edges += 1
        wrong[i] = False
    if not wrong.any():
        return ""
    at = int(np.flatnonzero(wrong)[0])
    return f"{int(wrong.sum())} of {len(wanted)} rows; row {part.start + at}: scikit-learn {wanted[at]}, answered {found[at]}"


def _equal(found: Any, tolerance: dict[str, float], wanted: Any) -> bool:
    return not _apart(wanted[None], found, tolerance)[0]


def _apart(wanted: Any, found: Any, tolerance: dict[str, float]) -> Any:
    """Which rows differ by more than the tolerance, in any column."""
    if wanted.dtype.kind == "f":
        gap = np.abs(wanted - found)
        equal = (wanted == found) | (np.isnan(wanted) & np.isnan(found))
        differ = ~equal & ~(gap <= tolerance["atol"] + tolerance["rtol"] * np.abs(wanted))
    else:
        differ = np.asarray(wanted != found)
    return differ.reshape(len(differ), -1).any(axis=1)
