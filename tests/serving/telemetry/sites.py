"""Which model and which site do the telemetry tests share?"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from conversion.bins import reference_of
from serving.model import Model
from serving.settings import Settings
from serving.signature import Array
from serving.telemetry import tally
from serving.telemetry.histograms import Counts
from tests.serving import graphs

DIGEST = "ab" * 32
HOUR = 500_000


def rows(count: int = 400, seed: int = 0, shift: float = 0.0) -> Array:
    return (np.random.default_rng(seed).standard_normal((count, 3)) + shift).astype(np.float32)


def model_with_bins(scale: float = 1.0) -> bytes:
    """graphs.linear, and what 400 rows of the vendor's look like."""
    content = graphs.linear(scale=scale)
    feeds = {"X": rows()}
    answers = Model.from_bytes(content).run(feeds)
    document = onnx.load_from_string(content)
    entry = document.metadata_props.add()
    entry.key, entry.value = "unjar.reference", json.dumps(reference_of(feeds, answers, "data").to_json())
    return bytes(document.SerializeToString())


def settings(state: Path, **more: Any) -> Settings:
    return Settings(state=state, **more)


def tallied(**outcomes: int) -> Counts:
    """Requests by outcome, each answered one in 2 ms and alone."""
    counts = np.zeros(tally.SIZE, np.int64)
    for outcome, number in outcomes.items():
        counts[tally.PLACES[outcome]] = number
    answered = outcomes.get("answered", 0)
    counts[tally.AT_ROWS] = counts[tally.AT_LATENCY + 4] = counts[tally.AT_BATCH] = answered
    return counts


NO_BINS: Counts = np.zeros(0, np.int64)
