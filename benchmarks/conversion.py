"""python benchmarks/conversion.py [--only NAME ...] [--sample]: is any model accepted that answers otherwise?

Converts every scikit-learn estimator and the pipelines, judges each accepted model on rows of another generator, and writes
docs/coverage.md (with --only or --sample nothing is written). Exits 1 when there is a silent mismatch.
"""

import os
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# This file's own folder comes first otherwise, and `conversion` would be this file.
sys.path.insert(0, str(ROOT))
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

from benchmarks.case import ACCEPTED, Outcome, outcome  # noqa: E402
from benchmarks.models import cases  # noqa: E402
from benchmarks.pipelines import pipelines  # noqa: E402
from benchmarks.table import table  # noqa: E402

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
    given = parser.parse_args()
    names = given.only or (list(SAMPLE) if given.sample else list(cases()))
    for name in names:
        if name not in cases():
            parser.error(f"no model is called {name!r}")
    outcomes = list(swept(names, given.jobs))
    if not (given.only or given.sample):
        known = {case.name for case in pipelines()}
        page = table([one for one in outcomes if one.name not in known], [one for one in outcomes if one.name in known])
        (ROOT / "docs" / "coverage.md").write_text(page)
    mismatches = [one for one in outcomes if one.mismatches]
    accepted = sum(one.verdict == ACCEPTED for one in outcomes)
    print(f"{len(outcomes)} models, {accepted} accepted, {len(mismatches)} silent mismatches")
    return 1 if mismatches else 0


def _silenced() -> None:
    """onnxruntime prints every row that it refuses; the judge counts them."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def swept(names: list[str], jobs: int) -> Iterator[Outcome]:
    """One outcome per case, in order, with a line of progress each."""
    with ProcessPoolExecutor(jobs, get_context("fork"), _silenced) as pool:
        for number, done in enumerate(pool.map(outcome, names), 1):
            print(f"[{number}/{len(names)}] {done.name}: {done.verdict} {done.seconds} s {done.candidate} {done.said}")
            if done.judged.get("answered_all_the_same"):
                print(f"    ANSWERED {done.judged['answered_all_the_same']} rows that scikit-learn refuses")
            for mismatch in done.mismatches:
                print(f"    MISMATCH {mismatch}")
            sys.stdout.flush()
            yield done


if __name__ == "__main__":
    sys.exit(main())
