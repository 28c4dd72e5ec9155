"""Is model.onnx the translation of this very model.pkl? `python -m conversion.current model.pkl model.onnx`: 0 yes, 1 no.

And did it prove the rows in the regressions.json beside the pickle, if there is one?
"""

import hashlib
import sys
from pathlib import Path

from serving.errors import ModelRefused
from serving.model import Model


def is_current(source: Path, model: Path) -> bool:
    """Does the model's provenance name the digests of both? The pickle is hashed, never opened."""
    try:
        told = Model.load(model).provenance
    except ModelRefused:
        return False
    wanted = {"source_sha256": source, "regressions_sha256": source.with_name("regressions.json")}
    return all(told.get(key) == _digest(path) for key, path in wanted.items() if path == source or path.is_file())


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(0 if is_current(Path(sys.argv[1]), Path(sys.argv[2])) else 1)
