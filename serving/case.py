"""How does an operator show the vendor one problem? `python -m serving.case COMMAND`, beside the server.

list; export REQUEST_ID FILE: what came in and what went out, versions, processor and masked settings, to read first;
--redact keeps shapes and counts only. wipe: no request is kept any longer. Exits 0 done, 1 not done and why, 2 could not look.
"""

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from serving.errors import CannotStart, ModelRefused
from serving.model import Model
from serving.settings import Settings
from serving.telemetry import capture
from serving.telemetry.case import case_of, redacted
from serving.telemetry.command import Refused, ended
from serving.telemetry.outbox import write


def run(given: argparse.Namespace, settings: Settings) -> None:
    """Raises Refused, CannotStart, OSError or sqlite3.Error."""
    if settings.state is None:
        raise CannotStart("UNJAR_STATE is not set, so this server keeps no requests")
    if given.command == "list":
        for request_id, at, status, flagged in capture.listed(settings.state):
            when = f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}"
            sys.stdout.write(f"{when}  {status}  {'flagged' if flagged else '':7}  {request_id}\n")
    elif given.command == "wipe":
        sys.stdout.write(f"case: {capture.wipe(settings.state)} requests are no longer kept\n")
    else:
        _export(given, settings)


def _export(given: argparse.Namespace, settings: Settings) -> None:
    assert settings.state is not None
    kept = capture.find(settings.state, given.request_id)
    if kept is None:
        how = (
            "UNJAR_CAPTURE is off: set it to failures or all, and ask again" if settings.capture == "off" else "it was not kept"
        )
        raise Refused(f"no request {given.request_id} is here; {how}")
    said = (
        redacted(kept, settings, _model(settings, kept.digest), settings.max_rows) if given.redact else case_of(kept, settings)
    )
    text = json.dumps(said, indent=1, ensure_ascii=True).encode() + b"\n"
    if str(given.file) == "-":
        sys.stdout.buffer.write(text)
        return
    if given.file.exists():
        raise Refused(f"{given.file}: is there already; name another file")
    write(given.file, text, 0o600)
    sys.stdout.write(f"case: {given.file}: read it; all that is in it would be the vendor's to read\n")


def _model(settings: Settings, digest: str) -> Model | None:
    """The one that was asked, where it is still here."""
    places = [settings.model] if settings.repository is None else sorted(settings.repository.glob("*/model.onnx"))
    for place in places:
        try:
            found = Model.load(place / "model.onnx" if place.is_dir() else place)
        except ModelRefused:
            continue
        if found.digest == digest:
            return found
    return None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m serving.case", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands: Any = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list")
    commands.add_parser("wipe")
    export = commands.add_parser("export")
    export.add_argument("request_id")
    export.add_argument("file", type=Path, help="- for standard output")
    export.add_argument("--redact", action="store_true", help="shapes and counts only; it cannot be run again")
    return parser


def main() -> int:
    given = _parser().parse_args()
    return ended("case", lambda settings: run(given, settings))


if __name__ == "__main__":
    sys.exit(main())
