"""Is model.onnx the translation of this very model.pkl? `python -m conversion.current model.pkl model.onnx`: 0 yes, 1 no."""

import hashlib
import sys
from pathlib import Path

from serving.errors import ModelRefused
from serving.model import Model


def is_current(source: Path, model: Path) -> bool:
    """Does the model's provenance name the pickle's digest? The pickle is hashed, never opened."""
    try:
        told = Model.load(model).provenance.get("source_sha256")
    except ModelRefused:
        return False
    return bool(told == hashlib.sha256(source.read_bytes()).hexdigest())


if __name__ == "__main__":
    sys.exit(0 if is_current(Path(sys.argv[1]), Path(sys.argv[2])) else 1)
