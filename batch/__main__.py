"""python -m batch encode IN OUT: answers every row of IN, exactly once; verify IN OUT: proves it from the files alone.

IN: a .parquet, .csv, .npy or .dat file or a folder of one kind. OUT: a folder. Each a path, or an address that pyarrow.fs knows
(s3://, gs://, abfs://). The same command again goes on where it was cut off.

Exits 0 done, 1 looked at and refused (trying again is of no use), 2 could not look (trying again may be).
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from batch import cluster, driver, process
from batch.errors import Hopeless, Retryable
from serving.guard import refuse_unpickling


def start(given: argparse.Namespace) -> int:
    """encode: here, or as the share of a cluster that it says, or elsewhere."""
    if given.on:
        return elsewhere(given)
    try:
        given.shard = given.shard or cluster.own_share(os.environ)
        workers = given.workers or len(os.sched_getaffinity(0))
        return encode(given, lambda run: driver.drive(run, process.command(given), workers))
    except Hopeless as error:
        if cluster.SLOT not in os.environ:
            raise
        from batch import swarm
        from batch.places import Place

        # A Swarm starts again whatever fails.
        print(f"batch: {error}", file=sys.stderr)
        swarm.refused(Place.of(given.output), os.environ[cluster.SLOT], str(error))
        return 0


def elsewhere(given: argparse.Namespace) -> int:
    if given.on.startswith("dask:"):
        from batch import on_dask

        given.shard = given.shard or (0, 1)
        return encode(given, lambda run: on_dask.drive(run, given))
    if given.on not in ("k8s", "swarm"):
        raise Hopeless(f"--on {given.on}: expected k8s, swarm or dask:tls://HOST:PORT")
    if given.shards is None:
        raise Hopeless(f"--on {given.on}: needs --shards N, into how many shares the work is cut")
    if given.on == "k8s":
        print(cluster.as_yaml(cluster.job(given)).lstrip())
    else:
        from batch import swarm

        print(f"batch: {total(swarm.run(given, driver.Terminal()))}: {given.output}")
    return 0


def total(done: dict[str, Any]) -> str:
    return f"{done['rows']} rows in, {done['answered']} answered, {done['quarantined']} in quarantine"


def encode(given: argparse.Namespace, drive: Callable[[driver.Run], None]) -> int:
    run = driver.Run(given.output, given.shard, driver.Terminal())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: run.stop())
    drive(run)
    if errors := [*dict.fromkeys([*run.hopeless, *run.retryable])]:
        raise (Retryable if run.retryable else Hopeless)("\nbatch: ".join(errors))
    if run.done is None:
        print(f"batch: this share is done, others of {given.output} are not")
    else:
        print(f"batch: {total(run.done)}: {given.output}")
    return 0


def prove(given: argparse.Namespace) -> int:
    from batch import verify
    from batch.manifest import settled
    from batch.places import Place

    out = Place.of(given.output)
    settled(out)
    source, names = Place.of(given.input).inputs()
    found = verify.verify(source, names, out, given.sweep)
    for fault in found.faults:
        print(f"batch: {fault}", file=sys.stderr)
    for name in found.swept:
        print(f"batch: {name}: removed, nobody writes it any more")
    for name in found.leftover:
        print(f"batch: {name}: not finished; --sweep removes it if nobody writes it any more")
    word = f"{len(found.faults)} faults" if found.faults else "each row exactly once"
    print(f"batch: {found.rows} rows in, {found.answered} answered, {found.quarantined} in quarantine: {word}")
    return 1 if found.faults else 0


def share(text: str) -> tuple[int, int] | None:
    """None: to be found out."""
    if text == "auto":
        return None
    index, _, total = text.partition("/")
    if not (index.isdigit() and total.isdigit() and int(index) < int(total)):
        raise argparse.ArgumentTypeError(f"{text!r} is no share; expected I/N with I from 0 to N - 1, or auto")
    return int(index), int(total)


def above_zero(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def arguments() -> argparse.ArgumentParser:
    shown: Any = {"description": __doc__, "formatter_class": argparse.RawDescriptionHelpFormatter}
    parser = argparse.ArgumentParser(prog="python -m batch", **shown)
    commands = parser.add_subparsers(required=True, metavar="encode | verify")
    for name, run in (("encode", start), ("verify", prove)):
        command = commands.add_parser(name, **shown)
        command.set_defaults(run=run)
        command.add_argument("input", metavar="IN", help="file or folder")
        command.add_argument("output", metavar="OUT", help="folder, which is made")
        if name == "verify":
            command.add_argument("--sweep", action="store_true", help="remove hidden files of writers that are gone")
            continue
        model = os.environ.get("UNJAR_MODEL", "model.onnx")
        command.add_argument("--model", default=model, help="the file that convert.py wrote (UNJAR_MODEL, else model.onnx)")
        command.add_argument("--id", metavar="COLUMN", help="column with ids; without it rows are numbered from 0")
        command.add_argument("--columns", metavar="A,B,...", help="columns in the order in which the model takes them")
        command.add_argument("--workers", type=above_zero, help="processes (as many as processors; 1 with --on)")
        parts = "do only every Nth part, from I on; auto: as Kubernetes, Swarm or Slurm say"
        command.add_argument("--shard", type=share, default=(0, 1), metavar="I/N", help=parts)
        command.add_argument("--shard-rows", type=above_zero, help="rows of a part, at least (262144; 2048 outlines)")
        on_a_cluster(command)
    return parser


def on_a_cluster(command: argparse.ArgumentParser) -> None:
    on = "print a Job of Kubernetes, or run one of a Docker Swarm, or let a Dask cluster do it"
    command.add_argument("--on", metavar="k8s|swarm|dask:ADDRESS", help=on)
    for part, what in (("ca", "who signs the cluster's certificates"), ("cert", "of this command"), ("key", "its key")):
        command.add_argument(f"--tls-{part}", metavar="FILE", help=f"dask:tls: {what}")
    command.add_argument("--shards", type=above_zero, metavar="N", help="k8s, swarm: how many share the work")
    command.add_argument("--image", default="unjar:batch", help="k8s, swarm: what ./build.sh --batch made (unjar:batch)")
    claim = "k8s: a PersistentVolumeClaim for IN, OUT or the model, and where they see it; may be repeated"
    command.add_argument("--claim", action="append", default=[], metavar="NAME:/FOLDER", help=claim)
    credentials = "of a store, NAME=VALUE: k8s: a Secret that holds them; swarm: a file of such lines"
    command.add_argument("--credentials", metavar="WHERE", help=credentials)
    command.add_argument("--network", metavar="NAME", help="swarm: the network that leads to the store (none, without stores)")


def main() -> int:
    given = arguments().parse_args()
    # Dask tells this process in pickles what has become of a part.
    if not (getattr(given, "on", None) or "").startswith("dask:"):
        refuse_unpickling()
    try:
        code: int = given.run(given)
    except Hopeless as error:
        print(f"batch: {error}", file=sys.stderr)
        return 1
    except Retryable as error:
        print(f"batch: {error}", file=sys.stderr)
        return 2
    return code


if __name__ == "__main__":
    sys.exit(main())
