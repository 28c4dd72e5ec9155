"""python -m batch encode IN OUT: answers every row of IN, exactly once; verify IN OUT: proves it from the files alone.

IN: a .parquet, .csv or .npy file or a folder of one kind. OUT: a folder. Each a path, or an address that pyarrow.fs knows (s3://,
gs://, abfs://). The same command again goes on where it was cut off.

Exits 0 done, 1 looked at and refused (trying again is of no use), 2 could not look (trying again may be).
"""

import argparse
import gc
import os
import signal
import sys
from typing import Any

from batch import driver
from batch.errors import Hopeless, Retryable
from serving.guard import refuse_unpickling


def encode(given: argparse.Namespace) -> int:
    run = driver.Run(given.output, given.shard, driver.Terminal())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: run.stop())
    # Workers plan as they would alone, so they are told all that was asked.
    driver.drive(run, [sys.executable, "-m", "batch", "worker", *sys.argv[2:]], given.workers)
    for error in dict.fromkeys([*run.hopeless, *run.retryable]):
        print(f"batch: {error}", file=sys.stderr)
    if run.retryable or run.hopeless:
        return 2 if run.retryable else 1
    if run.done is None:
        print(f"batch: this share is done, others of {given.output} are not")
    else:
        counts = "{rows} rows in, {answered} answered, {quarantined} in quarantine".format(**run.done)
        print(f"batch: {counts}: {given.output}")
    return 0


# The two below load Arrow and the model's session, `encode` does not: it would wait for them twice.
def work(given: argparse.Namespace) -> int:
    # It ends with its driver's pipe; a signal for the whole group is the driver's to handle.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What is loaded now stays until the end, so it need not be looked through for what may go.
    gc.disable()
    from batch import worker

    gc.freeze()
    gc.enable()
    return worker.work(given)


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


def share(text: str) -> tuple[int, int]:
    index, _, total = text.partition("/")
    if not (index.isdigit() and total.isdigit() and int(index) < int(total)):
        raise argparse.ArgumentTypeError(f"{text!r} is no share; expected I/N with I from 0 to N - 1")
    return int(index), int(total)


def above_zero(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def arguments() -> argparse.ArgumentParser:
    shown: Any = {"description": __doc__, "formatter_class": argparse.RawDescriptionHelpFormatter}
    parser = argparse.ArgumentParser(prog="python -m batch", **shown)
    commands = parser.add_subparsers(required=True, metavar="encode | verify")
    for name, run in (("encode", encode), ("verify", prove), ("worker", work)):
        command = commands.add_parser(name, **shown)
        command.set_defaults(run=run)
        command.add_argument("input", metavar="IN", help="file or folder")
        command.add_argument("output", metavar="OUT", help="folder, which is made")
        if name == "verify":
            command.add_argument("--sweep", action="store_true", help="remove hidden files of writers that are gone")
            continue
        model = os.environ.get("UNJAR_MODEL", "model.onnx")
        command.add_argument("--model", default=model, help="the file that convert.py wrote (UNJAR_MODEL, else model.onnx)")
        if name != "verify":
            command.add_argument("--id", metavar="COLUMN", help="column with ids; without it rows are numbered from 0")
            command.add_argument("--columns", metavar="A,B,...", help="columns in the order in which the model takes them")
            cores = len(os.sched_getaffinity(0))
            command.add_argument("--workers", type=above_zero, default=cores, help="processes (as many as processors)")
            command.add_argument("--shard", type=share, default=(0, 1), metavar="I/N", help="do only every Nth part, from I on")
            command.add_argument("--shard-rows", type=above_zero, default=262_144, help="rows of a part, at least (262144)")
    return parser


def main() -> int:
    refuse_unpickling()
    given = arguments().parse_args()
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
