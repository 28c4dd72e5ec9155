"""What does a whole training run make, in which order, and are its bounds met?"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from recommender.contour import Array
from training import artifacts, evaluation, mixing, picture, polar, sources
from training.encoder import SHAPE, Encoder, fit
from training.labels import label
from training.retrieval import draw_queries, ranks

ROOT = Path(__file__).resolve().parent.parent
DEFINITIONS = Path(__file__).with_name("definitions.json")
SEED = 0
CONFIDENCE_MIN = 0.5
LEAST = {"in_tolerance": 0.60, "performance_r2": 0.88, "retrieval_top1": 0.95}
PARITY_MOST = 1e-4
PACKAGES = ("aerosandbox", "matplotlib", "neuralfoil", "numpy", "onnx", "onnxruntime", "scikit-learn", "scipy")


@dataclass(frozen=True)
class Made:
    """Every output's bytes by its path in the repository, and the bounds that were missed, in words."""

    files: dict[str, bytes]
    missed: list[str]

    def write(self, root: Path) -> list[str]:
        """Writes every output; returns those that did not arrive."""
        for path, content in self.files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)
        return self.differences(root)

    def differences(self, root: Path) -> list[str]:
        """The outputs whose committed bytes are others, or absent."""
        return [path for path, made in self.files.items() if not (root / path).is_file() or (root / path).read_bytes() != made]


def make(say: Callable[[str], None]) -> Made:
    shapes = sources.load()
    counts = {"whitelisted": len(sources.whitelist()), "distinct": len(shapes.sources)}
    labels, confidence = label(shapes.heights)
    kept = np.flatnonzero(confidence > CONFIDENCE_MIN)
    shapes, labels, counts["kept"] = shapes[kept], labels[kept], len(kept)
    say(f"shapes: {counts}")
    held = evaluation.held_out(shapes, labels, _train, say)
    say(f"training the encoder that ships on {len(shapes.sources)} shapes")
    encoder = _train(shapes, labels)
    say("building polar.onnx and comparing it with the package")
    graph = polar.build()
    gaps = polar.parity(graph, shapes.heights)
    say("drawing the reconstruction curve")
    curves = evaluation.reconstruction_by_dimension(shapes)
    pickled = artifacts.model(encoder)
    bounds, missed = judge(held, max(gaps.values()))
    values = {
        "definitions": json.loads(DEFINITIONS.read_text(encoding="utf-8")),
        "bounds": bounds,
        "shapes": counts,
        "held_out_families": held,
        "shipped_model": {
            "sha256": hashlib.sha256(pickled).hexdigest(),
            "reconstruction": evaluation.shape_score(encoder.decode(encoder.encode(shapes.heights)) - shapes.heights),
            "retrieval": evaluation.retrieval_score(ranks(encoder, shapes.heights, *draw_queries(shapes.heights))),
        },
        "polar_parity": {"cases": polar.CASES, "max_abs": gaps},
        "reconstruction_by_dimension": curves,
        "packages": {name: version(name) for name in PACKAGES},
    }
    files = {
        "model.pkl": pickled,
        "recommender/data/catalogue.npz": artifacts.catalogue(shapes, encoder, pickled),
        "recommender/data/polar.onnx": graph,
        "training/metrics.json": artifacts.document(values, digits=4),
        "docs/reconstruction.svg": picture.draw(curves, SHAPE, LEAST["in_tolerance"]),
        "tests/recommender/polar_samples.json": artifacts.document(polar.samples(shapes.heights)),
    }
    return Made(files, missed)


def _train(shapes: sources.Shapes, labels: Array) -> Encoder:
    mixed, mixed_labels = mixing.mix(shapes.heights, SEED)
    return fit(shapes.heights, np.vstack([shapes.heights, mixed]), np.vstack([labels, mixed_labels]), SEED)


def judge(held: evaluation.Report, gap: float) -> tuple[evaluation.Report, list[str]]:
    """What was found beside each bound, and the bounds that are missed, in words."""
    scores = (held["reconstruction"]["in_tolerance"], held["performance"]["r2"], held["retrieval"]["top1"])
    table: evaluation.Report = {
        name: {"found": found, "at_least": least} for found, (name, least) in zip(scores, LEAST.items(), strict=True)
    }
    missed = [f"{name} misses its bound: {row}" for name, row in table.items() if not row["found"] >= row["at_least"]]
    table["polar_parity"] = {"found": gap, "at_most": PARITY_MOST}
    return table, missed + [f"polar_parity misses its bound: {table['polar_parity']}"] * (not gap <= PARITY_MOST)
