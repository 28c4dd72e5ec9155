"""Which model answers, and since when?

Everything that belongs to one loaded model stands together, so that a request keeps to the model it began with.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from serving.batching import Batcher, Pace, same_alone
from serving.errors import NotReady, UnknownModel, shown
from serving.metrics import Metrics
from serving.model import Model
from serving.protocol import Decoder, Encoder
from serving.verification import Gap

SAFE = b"x-content-type-options: nosniff\r\ncache-control: no-store\r\n"


@dataclass(frozen=True)
class Served:
    """A model that is ready, with what reads its requests, runs them and writes its answers.

    `lines`: the headers that all its answers have, up to the request's id.
    """

    model: Model
    gaps: dict[str, Gap]
    decoder: Decoder
    encoder: Encoder
    batcher: Batcher
    lines: bytes


class Inference:
    """The one model of this server. It answers once `load` has returned."""

    def __init__(self, name: str, metrics: Metrics, max_rows: int, max_waiting: int) -> None:
        self.name = name
        self.metrics = metrics
        self.max_rows = max_rows
        self.max_waiting = max_waiting
        self.served: Served | None = None
        self.reason = "the model is being loaded and verified"
        self.worker = ThreadPoolExecutor(1, thread_name_prefix="model")

    def load(self, content: bytes, origin: str) -> Model:
        """Ready afterwards. Raises ModelRefused when the file is not one of ours or does not answer here as it did."""
        model = Model.from_bytes(content, origin)
        gaps, pace = model.verify(), Pace.measure(model)
        self.serve(model, gaps, pace, same_alone(model, pace))
        self.metrics.ready(self.name, model.version, model.digest)
        return model

    def serve(self, model: Model, gaps: dict[str, Gap], pace: Pace, mixes: bool) -> None:
        decoder, encoder = Decoder(model.signature, self.max_rows), Encoder(model.signature, self.name, model.version)
        batcher = Batcher(model, pace, mixes, self.worker, self.metrics, self.max_waiting)
        lines = b"%bx-model-digest: %b\r\nx-request-id: " % (SAFE, model.digest.encode())
        self.served = Served(model, gaps, decoder, encoder, batcher, lines)

    def find(self, name: str, version: str | None) -> Served:
        """Raises UnknownModel or NotReady."""
        if name != self.name:
            raise UnknownModel(f"model {shown(name)} is not here; this server has {self.name!r}")
        if self.served is None:
            raise NotReady(f"model {name!r} is not ready: {self.reason}")
        if version not in (None, self.served.model.version):
            raise UnknownModel(f"model {name!r} has no version {shown(version)}; it has {self.served.model.version!r}")
        return self.served
