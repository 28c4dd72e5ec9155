"""python -m monitoring COMMAND: what customers' reports say, for the vendor.

site NAME KEY.pub   a customer's site and its key, which came by another way than the reports
model MODEL.onnx    a model that sites have, so that its bins have a meaning here
ingest FILES...     adds reports; ones that are here already change nothing
report [-o FILE]    one page of all sites
serve               takes reports over HTTPS
replay CASE         runs a customer's case again, and says whose fault it is

Exits 0 done, 1 looked at and something was refused, 2 could not look.
"""

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path

from monitoring.figures import figures
from monitoring.ingest import add_model, add_site, ingest
from monitoring.page import render
from monitoring.warehouse import Warehouse, open_warehouse
from serving.errors import ModelRefused
from serving.model import Model
from serving.telemetry.store import HOUR_S

DEFAULT = "monitoring.duckdb"


def site(warehouse: Warehouse, given: argparse.Namespace) -> int:
    fingerprint = add_site(warehouse, given.name, given.key.read_bytes())
    print(f"monitoring: site {given.name} is {fingerprint}")
    return 0


def model(warehouse: Warehouse, given: argparse.Namespace) -> int:
    found = Model.load(given.model)
    bins = None if found.reference is None else found.reference.to_json()
    add_model(warehouse, given.name or given.model.stem, found.digest, bins)
    said = "with its bins" if found.reference is not None else "which carries no bins"
    print(f"monitoring: model {found.version}, {said}")
    return 0


def take(warehouse: Warehouse, given: argparse.Namespace) -> int:
    files = [path for one in given.files for path in (sorted(one.rglob("*.json")) if one.is_dir() else [one])]
    counts: Counter[str] = Counter()
    for taken in ingest(warehouse, files, given.processes):
        counts[taken.word] += 1
        if taken.word == "refused":
            print(f"refused  {taken.origin}: {taken.reason}", file=sys.stderr)
    print(f"monitoring: {counts['added']} added, {counts['known']} known already, {counts['refused']} refused")
    return 1 if counts["refused"] else 0


def report(warehouse: Warehouse, given: argparse.Namespace) -> int:
    found = figures(warehouse, int(time.time() // HOUR_S) if given.hour is None else given.hour)
    given.output.write_text(render(found))
    needy = sum(bool(one.reasons) for one in found.sites)
    print(f"monitoring: {given.output}: {len(found.sites)} sites, {needy} need attention")
    return 0


def serve(warehouse: Warehouse, given: argparse.Namespace) -> int:
    from monitoring import receiver

    names: dict[str, str] = dict(warehouse.ask("SELECT name, site FROM sites"))
    app = receiver.Receiver(warehouse, receiver.read_tokens(given.tokens, names), given.keep)
    receiver.serve(app, given.host, given.port, given.cert, given.key)
    return 0


def again(warehouse: Warehouse | None, given: argparse.Namespace) -> int:
    from monitoring import case_rows, replay

    expected = None if given.expected is None else json.loads(given.expected.read_bytes())["outputs"]
    models = replay.models_in([*given.models, *([] if given.believed is None else [given.believed])])
    evidence = replay.Evidence(models, given.believed, given.pickle, expected, given.python)
    verdict = replay.replay(given.case, evidence)
    print(f"verdict: {verdict.word}: {verdict.text}")
    for name, value in verdict.numbers.items():
        print(f"  {name.replace('_', ' ')}: {value}")
    for note in verdict.notes:
        print(f"  note: {note}")
    if given.adopt is not None:
        case = replay.read_case(given.case.read_bytes())
        count = case_rows.adopt(case, Model.load(models[case["model"]["digest"]]), given.adopt, expected)
        print(f"adopted: {given.adopt} has {count} cases; convert.py proves them from now on")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m monitoring", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    where = f"a DuckDB file, or postgresql://... (default: {DEFAULT})"
    parser.add_argument("--warehouse", default=DEFAULT, metavar="WHERE", help=where)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("site")
    one.set_defaults(run=site)
    one.add_argument("name")
    one.add_argument("key", type=Path)
    one = commands.add_parser("model")
    one.set_defaults(run=model)
    one.add_argument("model", type=Path)
    one.add_argument("--name", help="default: the file's, without its suffix")
    one = commands.add_parser("ingest")
    one.set_defaults(run=take)
    one.add_argument("files", type=Path, nargs="+", metavar="FILE", help="reports, or folders of them")
    one.add_argument("--processes", type=int, default=1, help="that read and verify (default: %(default)s)")
    one = commands.add_parser("report")
    one.set_defaults(run=report)
    one.add_argument("-o", "--output", type=Path, default=Path("report.html"), help="default: %(default)s")
    one.add_argument("--hour", type=int, help="hours since 1970 that it is made for (default: now)")
    one = commands.add_parser("serve")
    one.set_defaults(run=serve)
    one.add_argument("--host", default="127.0.0.1")
    one.add_argument("--port", type=int, default=8443)
    for name, text in (("cert", "certificate chain, PEM"), ("key", "its key, PEM"), ("tokens", "lines: SITE SHA256")):
        one.add_argument(f"--{name}", type=Path, required=True, help=text)
    one.add_argument("--keep", type=Path, help="folder for the files as they came")
    one = commands.add_parser("replay")
    one.set_defaults(run=again, no_warehouse=True)
    one.add_argument("case", type=Path)
    one.add_argument("--models", type=Path, nargs="+", default=[Path("model.onnx")], help="files, or folders of releases")
    for name, text in (
        ("believed", "the model that the site was believed to have"),
        ("pickle", "what the model was converted from; scikit-learn is asked, in a sandbox"),
        ("expected", "JSON with `outputs`: what the customer says should have been answered"),
        ("adopt", "file of regressions that the case's rows are added to"),
    ):
        one.add_argument(f"--{name}", type=Path, help=text)
    one.add_argument("--python", help="interpreter with the site's own onnxruntime")
    return parser


def main() -> int:
    given = _parser().parse_args()
    try:
        if getattr(given, "no_warehouse", False):
            return int(given.run(None, given))
        warehouse = open_warehouse(given.warehouse)
        try:
            return int(given.run(warehouse, given))
        finally:
            warehouse.close()
    except (OSError, ValueError, ModelRefused) as problem:
        print(f"monitoring: {problem}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
