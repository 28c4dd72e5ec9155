"""What happens to a pickle once nothing it does can reach anybody? Runs as `python -m conversion.child` in the sandbox.

Reads task.json and the pickle from its folder; leaves model.onnx, report.json and example.json there, or refusal.json.
"""

import dataclasses
import json
import traceback
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from conversion import account, data, regressions, write
from conversion.bins import reference_of
from conversion.confined import limit_of
from conversion.errors import Refused, Unreadable
from conversion.load import Loaded, load
from conversion.methods import methods_of
from conversion.parity import asked
from conversion.progress import Progress
from conversion.question import Question
from conversion.reference import Answers, Reference
from conversion.rows import RowSet, row_sets
from conversion.schema import Feeds, schema_of
from conversion.search import Accepted, search
from conversion.steps import describe
from serving.signature import DTYPES
from serving.verification import Tolerance, Verification

VERIFICATION_ROWS, EXAMPLE_ROWS, MOST_REGRESSIONS = 12, 4, 32


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
    precision: str
    regressions: str
    progress: bool


def main() -> None:
    task = Task(**json.loads(Path("task.json").read_text()))
    progress = Progress(task.progress)
    try:
        _convert(task, Path("model.pkl").read_bytes(), progress)
    except (Refused, Unreadable) as refusal:
        leave("refusal.json", {"kind": type(refusal).__name__, "message": str(refusal)})
    except RecursionError:
        leave("refusal.json", {"kind": "Unreadable", "message": "the pickle is nested too deeply"})
    except Exception as error:
        if limit_of(error):
            raise
        where = traceback.extract_tb(error.__traceback__)[-1]
        said = f"{type(error).__name__}: {error} ({Path(where.filename).name}, line {where.lineno})"
        leave("refusal.json", {"kind": "Refused", "message": f"this object cannot be converted: {said}"})
    finally:
        progress.end()


def _convert(task: Task, content: bytes, progress: Progress) -> None:
    progress.say(f"reading {len(content):,} bytes of pickle")
    loaded = load(content, frozenset(task.trusted))
    question = dataclasses.replace(_question(loaded, task, progress), precision=task.precision, progress=progress)
    accepted = search(question)
    rows = travelling(question)
    answers = question.ask(rows)
    verification = Verification(question.schema.cast(rows, accepted.candidate.real), _plain(answers), question.tolerance)
    known = Path(task.regressions).read_bytes() if task.regressions else b""
    provenance = account.provenance(loaded, task.trusted, content, accepted, known)
    model = write.embed(
        accepted.graph,
        {
            "signature": accepted.signature.to_json(),
            "verification": verification.to_json(),
            "parity": account.parity(accepted, question),
            "provenance": provenance,
            "reference": _reference(question, accepted),
        },
    )
    Path("model.onnx").write_bytes(model)
    shown = {name: array[:EXAMPLE_ROWS] for name, array in rows.items()}
    source = provenance["source_sha256"]
    cast = question.schema.cast(shown, accepted.candidate.real)
    signature, tolerance = accepted.signature, question.tolerance
    leave("example.json", write.example(task.name, model, source, signature, cast, question.ask(shown), tolerance))
    leave("report.json", account.report(loaded, accepted, question, model, provenance))


def _reference(question: Question, accepted: Accepted) -> dict[str, Any]:
    """How the model's columns are spread, for telling a site whose rows are others."""
    first = question.sets[0]
    cast = question.schema.cast(first.rows.feeds, accepted.candidate.real)
    return reference_of(cast, first.answers, first.rows.kind).to_json()


def _question(loaded: Loaded, task: Task, progress: Progress) -> Question:
    estimator = loaded.estimator
    if not isinstance(estimator, BaseEstimator):
        raise Refused(f"the pickle holds a {type(estimator).__name__}, wanted a fitted scikit-learn estimator")
    schema = schema_of(estimator)
    methods = methods_of(estimator, task.methods)
    ask = Reference(estimator, schema, methods)
    progress.say(f"asking scikit-learn: {describe(estimator)}")
    rows = [RowSet("data", data.read(Path(task.data), task.array, schema))] if task.data else []
    rows += row_sets(estimator, schema)
    known = regressions.read(Path(task.regressions), schema) if task.regressions else []
    if known:
        regressions.check_expected(ask, known)
        rows.append(regressions.row_set(known))
    return question_of(ask, rows, Tolerance(task.atol, task.rtol))


def question_of(ask: Reference, rows: list[RowSet], real: Tolerance) -> Question:
    """Raises Refused when scikit-learn answers none of the typical rows."""
    sets = [one for one in (asked(ask, one, real.atol) for one in rows) if one.rows.size]
    if not sets or sets[0].rows.kind != rows[0].kind:
        said = _refusal(ask, rows[0])
        raise Refused(f"scikit-learn itself refuses all {rows[0].kind!r} rows ({said}); bring rows that it answers with --data")
    tolerance = {name: real if answer.dtype.kind == "f" else Tolerance() for name, answer in sets[0].answers.items()}
    return Question(ask.estimator, ask.schema, list(sets[0].answers), ask, sets, tolerance, real.atol)


def _refusal(ask: Reference, rows: RowSet) -> str:
    """What scikit-learn says to the first row."""
    try:
        ask(rows.only([0]).feeds)
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:300]
    return "not the first one alone"


def chosen(question: Question, count: int) -> Feeds:
    """Rows that travel with the model: evenly from the first set, which is the user's own when there is one."""
    feeds = question.sets[0].rows.feeds
    # A row near another label, or between neighbours, may have another answer on another processor.
    settled = ~(question.sets[0].ties | question.sets[0].undecided)
    whole = [np.isfinite(array).all(axis=1) for array in feeds.values() if array.dtype.kind == "f"]
    # Nor can JSON write a gap.
    firm = np.flatnonzero(np.all([settled, *whole], axis=0))
    firm = firm if len(firm) else np.arange(question.sets[0].rows.size)
    picked = firm[np.unique(np.linspace(0, len(firm) - 1, min(count, len(firm))).astype(int))]
    return {name: array[picked] for name, array in feeds.items()}


def travelling(question: Question) -> Feeds:
    """The verification rows: chosen ones, and the first of those that went wrong once."""
    rows = chosen(question, VERIFICATION_ROWS)
    wrong = [one.rows.feeds for one in question.sets if one.rows.kind == regressions.KIND]
    return {name: np.concatenate([array, *(feeds[name][:MOST_REGRESSIONS] for feeds in wrong)]) for name, array in rows.items()}


def _plain(answers: Answers) -> Answers:
    """Answers in a datatype that has a name: scikit-learn may answer in any integer or real width."""
    return {name: array if array.dtype in DTYPES.values() else array.astype(np.float64) for name, array in answers.items()}


def leave(name: str, document: dict[str, Any]) -> None:
    Path(name).write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
