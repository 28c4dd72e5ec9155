"""What does one process of a run do? Numbers of parts come in, a line of JSON for each goes out.

It ends when nobody asks any more; what it writes then is as good as any.
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

import pyarrow as pa

from batch.errors import Hopeless, Retryable
from batch.manifest import settled
from batch.places import Place
from batch.shard import Shards
from serving.errors import ModelRefused
from serving.model import Model


def work(source: Place, out: Place, model_path: str, lines: Iterable[str] = sys.stdin, told: TextIO = sys.stdout) -> int:
    # As many processes as processors: each of them needs one thread.
    pa.set_cpu_count(1)

    def tell(**said: object) -> None:
        print(json.dumps(said), file=told, flush=True)

    try:
        shards = opened(source, out, model_path)
    except (Hopeless, Retryable) as error:
        tell(unit=None, **_failure(error))
        return 1 if isinstance(error, Hopeless) else 2
    tell(unit=None)
    for line in lines:
        unit = shards.manifest.units[int(line)]
        try:
            tell(unit=unit.index, digest=shards.encode(unit))
        except (Hopeless, Retryable) as error:
            tell(unit=unit.index, **_failure(error))
    return 0


def opened(source: Place, out: Place, model_path: str) -> Shards:
    """Raises Hopeless when the model is another than the manifest's, or does not answer here as it did at the vendor's."""
    manifest = settled(out)
    model = verified(model_path)
    if model.digest != manifest.model:
        raise Hopeless(f"{model_path}: is model {model.version}, {out.root} was begun with {manifest.model[:12]}")
    return Shards(manifest, model, source, out)


def verified(path: str) -> Model:
    """Raises Hopeless when it is no such model, Retryable when there is no such file."""
    try:
        model = Model.load(Path(path))
        model.verify()
    except ModelRefused as error:
        raise (Hopeless if Path(path).exists() else Retryable)(str(error)) from None
    return model


def _failure(error: Hopeless | Retryable) -> dict[str, object]:
    return {"error": str(error), "hopeless": isinstance(error, Hopeless)}
