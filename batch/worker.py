"""What does one process of a run do? Questions come in, one line of JSON each, and a line for each goes out.

Before the first of them the model is verified here, and nothing is written when it does not hold. It ends when nobody asks any
more; what it writes then is as good as any.
"""

import json
import os
import sys
from argparse import Namespace
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa

from batch import success
from batch.errors import Hopeless, Retryable
from batch.manifest import settle, settled
from batch.places import Place
from batch.shard import Shards
from batch.sources import Asked, plan
from serving.errors import ModelRefused
from serving.model import Model


class WithoutPandas:
    """Arrow loads pandas wherever it lies, to see whether what it is given is of it. That takes longer than to load Arrow."""

    def find_spec(self, name: str, path: object, target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("a worker does without pandas", name=name)


def work(given: Namespace, lines: Iterable[str] = sys.stdin, told: TextIO = sys.stdout) -> int:
    sys.meta_path.insert(0, WithoutPandas())
    # As many processes as processors: each of them needs one thread.
    pa.set_cpu_count(1)

    def tell(**said: object) -> None:
        try:
            print(json.dumps(said), file=told, flush=True)
        except BrokenPipeError:
            # Its driver is gone. What it has in hand it ends, and tells nobody.
            os.dup2(os.open(os.devnull, os.O_WRONLY), told.fileno())
            raise SystemExit(2) from None

    try:
        worker = Worker(given)
    except (Hopeless, Retryable) as error:
        tell(unit=None, **_failure(error))
        return 1 if isinstance(error, Hopeless) else 2
    tell()
    with worker.showing:
        for line in lines:
            question, *about = json.loads(line)
            try:
                tell(**getattr(worker, question)(*about))
            except (Hopeless, Retryable) as error:
                tell(unit=about[0] if question == "encode" else None, **_failure(error))
    return 0


class Worker:
    """What may be asked."""

    def __init__(self, given: Namespace) -> None:
        """Raises Hopeless when the model does not answer here as it did at the vendor's, or IN and OUT cannot be."""
        asked_for, self.out = Place.of(given.input), Place.of(given.output)
        if asked_for.holds(self.out) or self.out.holds(asked_for):
            raise Hopeless(f"{self.out.root}: IN and OUT lie in each other; give another folder")
        self.source, self.names = asked_for.inputs()
        self.model, self.given = verified(given.model), given
        # Until it is left, what is being written is still shown.
        self.showing = ThreadPoolExecutor(1)
        self._last: Future[dict[str, str]] = self.showing.submit(dict)

    def plan(self) -> dict[str, object]:
        given = self.given
        asked = Asked(given.id, tuple(given.columns.split(",")) if given.columns else (), given.shard_rows)
        manifest = plan(self.source, self.names, self.model.signature, asked, self.model.digest)
        settle(manifest, self.out)
        self.out.sweep()
        return {"manifest": manifest.content.decode()}

    def encode(self, index: int) -> dict[str, object]:
        """Makes a part's file, which is shown while rows of the next are answered. Returns the digest of the one before."""
        before = self._last
        show = self._shards.make(self._shards.manifest.units[index], before.result)
        self._last = self.showing.submit(lambda: {str(index): show()})
        return {"digests": before.result()}

    def rest(self) -> dict[str, object]:
        return {"digests": self._last.result()}

    def finish(self, digests: Mapping[str, str]) -> dict[str, Any]:
        """digests: those known, by the number of the part."""
        known = {int(index): digest for index, digest in digests.items()}
        with self.out.asked(""):
            return {"done": success.finish(self._shards.manifest, self.out, known)}

    @cached_property
    def _shards(self) -> Shards:
        return opened(self.source, self.out, self.model, self.given.model)


def opened(source: Place, out: Place, model: Model, path: str) -> Shards:
    """Raises Hopeless when the model, which was read from `path`, is another than the manifest's."""
    manifest = settled(out)
    if model.digest != manifest.model:
        raise Hopeless(f"{path}: is model {model.version}, {out.root} was begun with {manifest.model[:12]}")
    return Shards(manifest, model, source, out)


def verified(path: str) -> Model:
    """Raises Hopeless when it is no such model, Retryable when there is no such file."""
    try:
        model = Model.load(Path(path))
        model.verify()
    except ModelRefused as error:
        raise (Hopeless if Path(path).exists() else Retryable)(str(error)) from None
    return model


def _failure(error: Hopeless | Retryable) -> dict[str, Any]:
    return {"error": str(error), "hopeless": isinstance(error, Hopeless)}
