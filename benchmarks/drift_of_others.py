"""python drift_of_others.py evidently|nannyml ROWS.npz: does this library see a shift, sample by sample? Prints a JSON list.

Each with its own defaults, and any column counts: Evidently's preset for drift of a dataset, NannyML's univariate calculator.
"""

import json
import sys
import warnings

import numpy as np
import pandas as pd

warnings.simplefilter("ignore")


def frame(rows: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=[f"x{i}" for i in range(rows.shape[1])])


def evidently(reference: pd.DataFrame, sample: pd.DataFrame) -> bool:
    from evidently import Report
    from evidently.presets import DataDriftPreset

    said = Report([DataDriftPreset()]).run(sample, reference).dict()
    counts = [one["value"]["count"] for one in said["metrics"] if "DriftedColumnsCount" in one["metric_name"]]
    return bool(counts[0] > 0)


def nannyml(reference: pd.DataFrame, sample: pd.DataFrame) -> bool:
    import nannyml as nml

    made = nml.UnivariateDriftCalculator(column_names=list(reference.columns), chunk_number=1)
    made.fit(reference)
    said = made.calculate(sample).filter(period="analysis").to_df()
    return bool(any(said[column].any() for column in said.columns if column[-1] == "alert"))


def main() -> None:
    name, path = sys.argv[1:]
    archive = np.load(path)
    reference = frame(archive["reference"])
    ask = {"evidently": evidently, "nannyml": nannyml}[name]
    found = [ask(reference, frame(archive[f"s{i}"])) for i in range(len(archive.files) - 1)]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
