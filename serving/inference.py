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
from serving.release import Opened
from serving.rollout import Rollout
from serving.telemetry.ledger import Ledger
from serving.verification import Gap

SAFE = b"x-content-type-options: nosniff\r\ncache-control: no-store\r\n"


@dataclass(frozen=True)
class Served:
    """A model that is ready, with what reads its requests, runs them and writes its answers.

    `lines`: the headers that all its answers have, up to the request's id. `opened`: where it came from; a bare model's number
    is 0.
    """

    model: Model
    gaps: dict[str, Gap]
    decoder: Decoder
    encoder: Encoder
    batcher: Batcher
    ledger: Ledger
    lines: bytes
    opened: Opened

    @property
    def number(self) -> int:
        return self.opened.number


class Inference:
    """The one model of this server, and at times the one that may follow it. It answers once `load` has returned."""

    def __init__(self, name: str, metrics: Metrics, max_rows: int, max_waiting: int) -> None:
        self.name = name
        self.metrics = metrics
        self.max_rows = max_rows
        self.max_waiting = max_waiting
        self.served: Served | None = None
        self.rollout: Rollout | None = None
        # The release that answers as soon as all processes have it.
        self.spare: Served | None = None
        # Of all that was ever loaded: who reads them must not miss what the last of an old release did.
        self.ledgers: list[Ledger] = []
        # Whether somebody reads them.
        self.watched = False
        self.shared = False
        self.reason = "the model is being loaded and verified"
        self.worker = ThreadPoolExecutor(1, thread_name_prefix="model")

    def load(self, opened: Opened) -> Model:
        """Ready afterwards. Raises ModelRefused when the file is not one of ours or does not answer here as it did."""
        served = self.prepare(opened)
        self.activate(served)
        return served.model

    def prepare(self, opened: Opened) -> Served:
        """Ready to answer, and not yet asked. Raises ModelRefused."""
        model = Model.from_bytes(opened.content, opened.origin)
        gaps, pace = model.verify(), Pace.measure(model)
        return self.make(model, gaps, pace, same_alone(model, pace), opened)

    def make(self, model: Model, gaps: dict[str, Gap], pace: Pace, mixes: bool, opened: Opened) -> Served:
        decoder, encoder = Decoder(model.signature, self.max_rows), Encoder(model.signature, self.name, model.version)
        ledger = Ledger(model, opened.number)
        self.ledgers.append(ledger)
        if self.watched:
            ledger.watch()
        batcher = Batcher(
            model, decoder.finish, encoder.encode_all, pace, mixes, self.worker, self.metrics, self.max_waiting, ledger
        )
        lines = b"%bx-model-digest: %b\r\nx-request-id: " % (SAFE, model.digest.encode())
        return Served(model, gaps, decoder, encoder, batcher, ledger, lines, opened)

    def activate(self, served: Served) -> None:
        """From the next question on. Those in flight keep to the model they began with."""
        self.served = served
        self.spare = None
        self.metrics.ready(self.name, served.model.version, served.model.digest)

    def catch_up(self) -> None:
        """The release that is ready here answers from the moment on in which it answers in every process."""
        if self.spare is not None and self.spare.number == self.metrics.active:
            self.activate(self.spare)

    def find(self, name: str, version: str | None) -> Served:
        """Raises UnknownModel or NotReady."""
        if name != self.name:
            raise UnknownModel(f"model {shown(name)} is not here; this server has {self.name!r}")
        served = self.served
        if served is None:
            raise NotReady(f"model {name!r} is not ready: {self.reason}")
        if self.spare is not None:
            self.catch_up()
            served = self.served or served
        if self.rollout is not None and version is None:
            # Who names a version means the one that answers.
            served = self.rollout.pick()
        if version not in (None, served.model.version):
            raise UnknownModel(f"model {name!r} has no version {shown(version)}; it has {served.model.version!r}")
        return served
