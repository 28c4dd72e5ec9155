"""python drift_of_others.py evidently|nannyml: does this library see a shift? benchmarks/drift.py asks.

Each with its own defaults. Evidently: `DriftedColumnsCount`, the metric from which its preset for drift takes its verdict,
without the preset's plots: up to 1,000 rows of reference a Kolmogorov-Smirnov test at 0.05 for each column, above that a
Wasserstein distance of at least 0.1 spreads; the dataset has drifted when half of the columns have. NannyML: its limits are
three spreads above what the reference's own chunks show, so it is fitted with chunks as large as the sample, and not asked
where the reference has fewer than six, below which it warns itself. Its univariate calculator alerts column by column; for the
dataset there is its reconstruction error. Neither calls "any column" a verdict; it is what somebody with alerts by column gets.
Nothing is sent to their makers. Answers one JSON line for each sample, null for what was not asked.
"""

import json
import os
import sys
import warnings
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np

os.environ |= {"DO_NOT_TRACK": "1", "NML_DISABLE_USAGE_LOGGING": "1"}
warnings.simplefilter("ignore")
import pandas as pd  # noqa: E402

FEWEST_CHUNKS = 6
Said = dict[str, bool | None]


def evidently(reference: Any) -> Callable[[Any], Said]:
    from evidently import Report
    from evidently.metrics import DriftedColumnsCount

    def ask(sample: Any) -> Said:
        value = Report([DriftedColumnsCount()]).run(sample, reference).dict()["metrics"][0]["value"]
        return {
            "evidently, any column": bool(value["count"] > 0),
            "evidently, half of the columns": bool(value["share"] >= 0.5),
        }

    return ask


def nannyml(reference: Any) -> Callable[[Any], Said]:
    import nannyml as nml

    kinds = {"any column": nml.UnivariateDriftCalculator, "reconstruction": nml.DataReconstructionDriftCalculator}
    fitted: dict[tuple[str, int], Any] = {}

    def alert(name: str, sample: Any) -> bool | None:
        size = len(sample)
        if len(reference) // size < FEWEST_CHUNKS:
            return None
        if (name, size) not in fitted:
            fitted[name, size] = kinds[name](column_names=list(reference.columns), chunk_size=size).fit(reference)
        said = fitted[name, size].calculate(sample).filter(period="analysis").to_df()
        alerts = said[[column for column in said.columns if column[-1] == "alert"]]
        if len(said) != 1 or alerts.isna().any(axis=None):
            raise RuntimeError(f"nannyml, {name}: expected one chunk with alerts, found {said}")
        return bool(alerts.astype(bool).any(axis=None))

    return lambda sample: {f"nannyml, {name}": alert(name, sample) for name in kinds}


def main() -> None:
    """Reads a line, REFERENCE or SAMPLE with rows and columns, then as many doubles."""
    answers, sys.stdout = sys.stdout, sys.stderr
    name = sys.argv[1]
    judge_by = {"evidently": evidently, "nannyml": nannyml}[name]
    ask: Callable[[Any], Said] | None = None
    print(json.dumps({name: version(name), f"pandas beside {name}": version("pandas")}), file=answers, flush=True)
    while line := sys.stdin.buffer.readline():
        what, *shape = line.split()
        size, width = map(int, shape)
        read = np.frombuffer(sys.stdin.buffer.read(size * width * 8)).reshape(size, width)
        frame = pd.DataFrame(read, columns=[f"x{i}" for i in range(width)])
        if what == b"reference":
            ask = judge_by(frame)
        elif ask:
            print(json.dumps(ask(frame)), file=answers, flush=True)


if __name__ == "__main__":
    main()
