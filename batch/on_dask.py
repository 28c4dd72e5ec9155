"""Who does which part, on the processors of a Dask cluster? It is told numbers of parts and names of files, never a row.

What is done is counted from OUT. Dask's processes, this one among them, send each other cloudpickle, and whoever reaches the
scheduler runs code on all of them; so it is never the default, lives in another environment, and is asked over mutual TLS.
"""

import ipaddress
import os
import time
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa

from batch.driver import LOOK_S, Progress, Run
from batch.errors import Hopeless, Retryable
from batch.manifest import Manifest, Unit
from batch.places import Place
from batch.shard import Shards
from batch.worker import Worker, opened, verified

# Dask itself gives a part to others first, when its worker has died.
ROUNDS = 3
STEP_S = 0.1
DONE = "done, says its worker, but not in the OUT that is seen here"


class Unfit(Hopeless):
    """A worker can do no part at all."""


def encode(index: int, source: str, out: str, model: str, digest: str) -> None:
    """In one of Dask's workers. digest: the manifest's. Raises Unfit, Hopeless or Retryable."""
    try:
        shards = _shards(source, out, model, digest)
    except Hopeless as error:
        raise Unfit(str(error)) from None
    shards.encode(shards.manifest.units[index])


@lru_cache(maxsize=1)
def _shards(source: str, out: str, model: str, digest: str) -> Shards:
    """The model is loaded and proves itself once in a process, not once for each part."""
    pa.set_cpu_count(1)
    shards = opened(Place.of(source).inputs()[0], Place.of(out), verified(model), model)
    if shards.manifest.digest != digest:
        raise Hopeless(f"{out}: holds another manifest here than where the command was given; expected the same folder")
    return shards


@dataclass(frozen=True)
class Cluster:
    """`certificates`: as Dask's Security calls them; what is None comes from Dask's own configuration."""

    address: str
    certificates: Mapping[str, str | None]

    def __post_init__(self) -> None:
        """Raises Hopeless for an address on whose way others could run code."""
        if not self.encrypted and not _is_loopback(self._host("tcp")):
            raise Hopeless(
                f"--on dask:{self.address}: is not encrypted, and whoever reaches a Dask scheduler runs code on its workers;"
                " expected tls://HOST:PORT, or tcp:// on 127.0.0.1"
            )

    @property
    def encrypted(self) -> bool:
        return self.address.startswith("tls:") and bool(self._host("tls"))

    def _host(self, scheme: str) -> str:
        try:
            parts = urlsplit(self.address)
            if parts.scheme == scheme and parts.hostname and parts.port:
                return parts.hostname
        except ValueError:
            pass
        raise Hopeless(f"--on dask:{self.address}: is no address of a scheduler; expected dask:tls://HOST:PORT")

    def drive(self, run: Run, manifest: Manifest, given: Namespace) -> None:
        """IN, OUT and the model are seen by all workers under the same names. Raises Hopeless or Retryable."""
        paths = [path if "://" in path else os.path.abspath(path) for path in (given.input, given.output, given.model)]
        units = [unit for unit in manifest.units if unit.index % run.share[1] == run.share[0]]
        with self._connected() as client:
            lost: dict[Unit, str] = dict.fromkeys(units, "")
            for _ in range(ROUNDS):
                while client.status == "connecting" and not run.stopped.wait(STEP_S):
                    pass
                if client.status != "running":
                    raise Retryable(f"{self.address}: the scheduler is gone; the same command goes on")
                lost = _round(run, client, manifest, list(lost), [*paths, manifest.digest])
                if not lost or run.stopped.is_set():
                    return
        unit, why = lost.popitem()
        name = manifest.files[unit.file].path
        raise Retryable(f"{name}: shard {unit.index} was given out {ROUNDS} times, as were {len(lost)} others: {why}")

    def _connected(self) -> Any:
        try:
            from distributed import Client, Security
        except ImportError as error:
            raise Retryable(f"--on dask needs requirements/dask.txt, in an environment of its own: {error}") from None
        given = {key: path for key, path in self.certificates.items() if path is not None}
        try:
            security = Security(require_encryption=True, **given) if self.encrypted else None
            if security and not (security.tls_ca_file and security.tls_client_cert):
                raise Hopeless(f"{self.address}: needs --tls-ca, --tls-cert and --tls-key, or Dask's configuration of them")
            return Client(self.address, security=security, set_as_default=False)
        except (OSError, RuntimeError, ValueError) as error:
            raise Retryable(f"{self.address}: no connection to the scheduler: {error.__cause__ or error}") from None


def drive(run: Run, given: Namespace) -> None:
    """As driver.drive: this process plans and ends the run, Dask's workers answer. Raises Hopeless or Retryable."""
    files = {"tls_ca_file": given.tls_ca, "tls_client_cert": given.tls_cert, "tls_client_key": given.tls_key}
    cluster = Cluster(given.on.partition(":")[2], files)
    here = Worker(given)
    manifest = Manifest.from_bytes(str(here.plan()["manifest"]).encode(), given.output)
    run.progress = Progress(manifest, here.out.names)
    cluster.drive(run, manifest, given)
    if not (run.hopeless or run.retryable):
        run.done = here.finish({})["done"]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _round(run: Run, client: Any, manifest: Manifest, units: list[Unit], given: list[str]) -> dict[Unit, str]:
    """Gives each part out once. Returns those that are not there afterwards, and why."""
    from distributed import as_completed

    assert run.progress is not None
    words = dict(zip(("source", "out", "model", "digest"), given, strict=True))
    futures = client.map(encode, [unit.index for unit in units], **words, pure=False)
    unit_of = {future.key: unit for future, unit in zip(futures, units, strict=True)}
    left = dict.fromkeys(units, "the connection to the scheduler was lost")
    ended, looked = as_completed(futures, loop=client.loop), 0.0
    while not ended.is_empty() and client.status != "closed" and not run.stopped.wait(STEP_S):
        for future in ended.next_batch(block=False):
            unit, status = unit_of[future.key], future.status
            error = future.exception() if status == "error" else None
            left[unit] = DONE if status == "finished" else repr(error or status)
            if isinstance(error, Hopeless | Retryable):
                number = None if isinstance(error, Unfit) else unit.index
                run.failed(str(error), isinstance(error, Hopeless), number)
                del left[unit]
        if time.monotonic() - looked >= LOOK_S:
            run.say(run.progress.line())
            looked = time.monotonic()
    run.say(run.progress.line())
    there = set(Place.of(run.out).names())
    return {unit: why for unit, why in left.items() if why != DONE or manifest.name(unit) not in there}
