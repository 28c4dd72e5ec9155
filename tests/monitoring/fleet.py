"""Sites that never were, whose reports are as true as real ones: made by the very code that makes them at a site."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from serving.model import Model
from serving.telemetry import tally
from serving.telemetry.document import Report
from serving.telemetry.drift import Reference
from serving.telemetry.histograms import Counts
from serving.telemetry.outbox import Outbox
from serving.telemetry.store import HOUR_S, Outcome, Store
from tests.serving.telemetry import sites as one_site
from tests.serving.telemetry.sites import HOUR

MODEL = Model.from_bytes(one_site.model_with_bins())
assert MODEL.reference is not None
REFERENCE: Reference = MODEL.reference


@dataclass
class Site:
    """A site with a store and an outbox of its own."""

    folder: Path
    hour: int = HOUR

    def __post_init__(self) -> None:
        self.store, self.outbox = Store(self.folder), Outbox(self.folder)
        self.store.met(MODEL.digest, {"release": 1, "columns": [(bins.name, bins.size) for bins in REFERENCE.histograms.all]})

    @property
    def key(self) -> bytes:
        self.outbox.key()
        return (self.folder / "site.pub").read_bytes()

    def count(self, answered: int = 200, shift: float = 0.0, latency: int = 4, **refused: int) -> None:
        """Into the present hour, whose clock then goes on."""
        counts = one_site.tallied(answered=answered, **refused)
        counts[tally.AT_LATENCY : tally.AT_BATCH] = 0
        counts[tally.AT_LATENCY + latency] = answered
        counts[tally.AT_LOOKED_AT] = answered
        feeds = {"X": one_site.rows(answered, self.hour, shift)}
        bins: Counts = REFERENCE.histograms.count(feeds, MODEL.run(feeds)) if answered else np.zeros(0, np.int64)
        with self.store.change():
            self.store.add({(self.hour, MODEL.digest): (counts, bins)})
        self.hour += 1

    def hear(self, accepted: int, rejected: int) -> None:
        said = [
            Outcome(bytes([i // 256, i % 256]), "verdict", int(i >= accepted), MODEL.digest) for i in range(accepted + rejected)
        ]
        with self.store.change():
            self.store.learn(said, self.hour - 1)

    def report(self) -> Path:
        """The file."""
        number = self.outbox.make(self.store, 5, self.hour * HOUR_S)
        assert number is not None
        return self.outbox.find(number).path

    def reports(self, count: int, **each: Any) -> list[Path]:
        made = []
        for _ in range(count):
            self.count(**each)
            made.append(self.report())
        return made


def read(path: Path) -> Report:
    from serving.telemetry import document

    return document.read(path.read_bytes())
