"""python benchmarks/pickles.py [--only NAME ...]: is any honest pickle refused?

Fits every scikit-learn estimator and the pipelines, writes each in pickle protocols 2 to 5 and with joblib in each of its
compressors, and loads every one through the gate that convert.py uses. Exits 1 when one is refused.
"""

import io
import os
import pickle
import sys
import warnings
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import joblib

from benchmarks.models import cases
from conversion.errors import Refused, Unreadable
from conversion.load import load

COMPRESSORS = ("zlib", "gzip", "bz2", "lzma", "xz")


def main() -> int:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these models alone")
    names = parser.parse_args().only or list(cases())
    models = streams = refused = 0
    for name in names:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                estimator, _ = cases()[name].fitted()
            except Exception as error:  # what cannot be fitted has no pickle
                print(f"{name}: not fitted: {error}"[:160])
                continue
        models += 1
        for how, content in written(estimator):
            streams += 1
            said = refusal(content, type(estimator))
            if said:
                refused += 1
                print(f"{name}, {how}: {said}"[:300])
    print(f"{models} models, {streams} pickles, {refused} refused")
    return 1 if refused else 0


def written(estimator: Any) -> Iterator[tuple[str, bytes]]:
    """(how, bytes) of one object."""
    for protocol in range(2, 6):
        yield f"protocol {protocol}", pickle.dumps(estimator, protocol)
    for compress in (0, *((name, 3) for name in COMPRESSORS)):
        into = io.BytesIO()
        joblib.dump(estimator, into, compress=compress)
        yield f"joblib, {compress}", into.getvalue()


def refusal(content: bytes, kind: type) -> str:
    """What the gate said; empty when the object came out."""
    try:
        return "" if isinstance(load(content).estimator, kind) else "another object came out"
    except (Refused, Unreadable) as error:
        return str(error)


if __name__ == "__main__":
    sys.exit(main())
