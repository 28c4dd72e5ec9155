"""python benchmarks/conversion.py [--only NAME ...] [--sample]: is any model accepted that answers otherwise?

Converts every scikit-learn estimator and the pipelines, judges each accepted model on rows of another generator, and writes
docs/coverage.md and benchmarks/results/conversion.jsonl (with --only or --sample neither, unless --results names a file).
Exits 1 when there is a silent mismatch or a hang.
"""

import os
import sys
from argparse import ArgumentParser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# This file's own folder comes first otherwise, and `conversion` would be this file.
sys.path.insert(0, str(ROOT))
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

from benchmarks import outcomes as results  # noqa: E402
from benchmarks.case import ACCEPTED, HANG, Outcome  # noqa: E402
from benchmarks.large import large  # noqa: E402
from benchmarks.models import cases  # noqa: E402
from benchmarks.pipelines import pipelines  # noqa: E402
from benchmarks.sweep import swept  # noqa: E402
from benchmarks.table import table  # noqa: E402
from benchmarks.vendors import vendors  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "conversion.jsonl"
SEED = 20261123
# One of each kind of model: what runs on every submission.
SAMPLE = (
    "BaggingRegressor", "DecisionTreeRegressor", "ExtraTreesClassifier", "GradientBoostingClassifier",
    "HistGradientBoostingRegressor", "IsolationForest", "KNeighborsRegressor", "KernelPCA", "LinearDiscriminantAnalysis",
    "LogisticRegression", "MLPRegressor", "MultiOutputRegressor", "OneHotEncoder", "PCA", "PolynomialFeatures", "Ridge",
    "SelectKBest", "SimpleImputer", "StandardScaler", "TfidfVectorizer",
    "scaler, forest", "forest, missing values", "forest, 3 outputs", "scaler, pca, network, 3 outputs",
    "mixed columns, logistic", "tf-idf, logistic", "large offsets, pca, ridge", "text labels, forest",
    "grid search over a pipeline", "histogram boosting, missing values",
)  # fmt: skip


def main() -> int:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these models alone")
    parser.add_argument("--sample", action="store_true", help="one of each kind of model")
    parser.add_argument("--jobs", type=int, default=2, help="conversions at a time; default %(default)s")
    parser.add_argument("--seed", type=int, default=SEED, help="of the rows that are asked; default %(default)s")
    parser.add_argument("--results", type=Path, help="where outcomes are kept, one JSON object a line")
    parser.add_argument("--resume", action="store_true", help="leave out what the results hold already")
    parser.add_argument("--compare", type=Path, help="print what is otherwise than in these older results")
    given = parser.parse_args()
    names = given.only or (list(SAMPLE) if given.sample else list(cases()))
    for name in names:
        if name not in cases():
            parser.error(f"no model is called {name!r}")
    whole = not (given.only or given.sample)
    path = given.results or (RESULTS if whole else None)
    before = results.read(given.compare) if given.compare else {}
    outcomes = _outcomes(names, given.jobs, given.seed, path, resume=given.resume)
    if whole:
        (ROOT / "docs" / "coverage.md").write_text(table(_groups(outcomes)))
    for line in results.compared(before, outcomes) if given.compare else ():
        print(line)
    mismatches = sum(bool(one.mismatches) for one in outcomes)
    hangs = sum(one.verdict == HANG for one in outcomes)
    accepted = sum(one.verdict == ACCEPTED for one in outcomes)
    print(f"{len(outcomes)} models, {accepted} accepted, {mismatches} silent mismatches" + f", {hangs} hangs" * bool(hangs))
    return 1 if mismatches or hangs else 0


def _outcomes(names: list[str], jobs: int, seed: int, path: Path | None, *, resume: bool) -> list[Outcome]:
    """In the order of the names; each is kept as soon as it is there, beside what a resumed file holds of others."""
    known = results.read(path) if path and resume else {}
    if path:
        results.write(path, known.values())
    missing = [name for name in names if name not in known]
    for number, done in enumerate(swept(missing, jobs, seed), len(names) - len(missing) + 1):
        _told(f"[{number}/{len(names)}]", done)
        known[done.name] = done
        if path:
            results.append(path, done)
    outcomes = [known.pop(name) for name in names]
    if path:
        results.write(path, [*outcomes, *known.values()])
    return outcomes


def _told(number: str, done: Outcome) -> None:
    """A line of progress, and what is wrong."""
    print(f"{number} {done.name}: {done.verdict} {done.seconds} s {done.candidate} {done.said}")
    if done.judged.get("answered"):
        print(f"    ANSWERED rows that scikit-learn refuses: {done.judged['answered']}")
    for mismatch in done.mismatches:
        print(f"    MISMATCH {mismatch}")
    sys.stdout.flush()


def _groups(outcomes: list[Outcome]) -> dict[str, list[Outcome]]:
    named = {"Pipelines": pipelines(), "Vendors' pipelines": vendors(), "Large models": large()}
    known = {title: {case.name for case in group} for title, group in named.items()}
    everything = set().union(*known.values())
    first = {"Estimators": [one for one in outcomes if one.name not in everything]}
    return first | {title: [one for one in outcomes if one.name in group] for title, group in known.items()}


if __name__ == "__main__":
    sys.exit(main())
