"""What leaves this site? `python -m serving.report COMMAND`, for the operator, beside the server.

list; show N: all of it, as it would leave; make: now, not when the next is due; approve N...; withhold N...: it stays here;
export N FILE: to carry it out by hand; send: what was approved, to the one address in the settings. key: what the vendor needs
to know this site's reports by. Exits 0 done, 1 not done and why, 2 could not look.
"""

import argparse
import sys
import time
from pathlib import Path

from serving.errors import CannotStart
from serving.settings import Settings
from serving.telemetry.command import Refused, ended
from serving.telemetry.document import NotAReport
from serving.telemetry.outbox import APPROVED, PUBLIC, SENT, WAITING, WITHHELD, Entry, NoSuchReport, Outbox
from serving.telemetry.outgoing import NotSent, send_approved
from serving.telemetry.store import Store


def run(given: argparse.Namespace, settings: Settings) -> None:
    """Raises Refused, NoSuchReport, NotSent, NotAReport, OSError, ValueError or sqlite3.Error."""
    if settings.state is None:
        raise CannotStart("UNJAR_STATE is not set, so this server keeps no counts and makes no reports")
    outbox = Outbox(settings.state)
    if given.command == "make":
        _make(outbox, settings)
    elif given.command == "list":
        _list(outbox)
    elif given.command == "key":
        outbox.key()
        sys.stdout.write((settings.state / PUBLIC).read_text())
    elif given.command == "send":
        _send(outbox, settings)
    elif given.command == "export":
        _export(outbox, given.numbers, given.file)
    else:
        for number in given.numbers:
            _decide(outbox, given.command, outbox.find(number))


def _make(outbox: Outbox, settings: Settings) -> None:
    if settings.reports == "off":
        raise Refused("UNJAR_REPORTS is off: this site makes no reports")
    store = Store(outbox.state)
    try:
        sequence = outbox.make(store, settings.fewest_rows, time.time())
    finally:
        store.close()
    if sequence is None:
        raise Refused("there is nothing to report: what was counted in this hour is reported once it is over")
    _say(f"report {sequence} waits in {outbox.find(sequence).path}")


def _list(outbox: Outbox) -> None:
    for entry in outbox.entries():
        report = entry.read()
        hours = sorted({hour["hour"] for model in report.said["models"] for hour in model["hours"]})
        _say(f"{entry.sequence:6}  {entry.state:9} {hours[0] if hours else '':15} {hours[-1] if hours else '':15} {entry.path}")


def _decide(outbox: Outbox, command: str, entry: Entry) -> None:
    if command == "show":
        sys.stdout.write(entry.path.read_text())
        return
    wanted = APPROVED if command == "approve" else WITHHELD
    if entry.state == SENT:
        raise Refused(f"report {entry.sequence} has left already")
    # Read before anything is decided: what cannot be read cannot have been approved.
    entry.read()
    outbox.move(entry, wanted)
    _say(f"report {entry.sequence} is {wanted}")


def _export(outbox: Outbox, number: int, file: Path) -> None:
    entry = outbox.find(number)
    if entry.state in (WAITING, WITHHELD):
        raise Refused(f"report {number} is {entry.state}: read it with `show {number}`, then `approve {number}`")
    content = entry.path.read_bytes()
    if str(file) == "-":
        sys.stdout.buffer.write(content)
    else:
        with open(file, "xb") as out:
            out.write(content)
    if entry.state != SENT:
        outbox.move(entry, SENT)


def _send(outbox: Outbox, settings: Settings) -> None:
    if settings.reports == "off":
        raise Refused("UNJAR_REPORTS is off: nothing leaves this site")
    with outbox.alone() as alone:
        if not alone:
            raise Refused("another process is sending reports at this moment")
        sent = send_approved(outbox, settings)
    for entry in sent:
        _say(f"report {entry.sequence} was sent to {settings.report_url}")
    if not sent:
        waiting = len(outbox.entries(WAITING))
        raise Refused(f"no report is approved; {waiting} wait for it" if waiting else "no report is approved, and none waits")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m serving.report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("list", "make", "send", "key"):
        commands.add_parser(name)
    for name in ("show", "approve", "withhold"):
        commands.add_parser(name).add_argument("numbers", type=int, nargs="+", metavar="NUMBER")
    export = commands.add_parser("export")
    export.add_argument("numbers", type=int, metavar="NUMBER")
    export.add_argument("file", type=Path, metavar="FILE", help="- for standard output")
    return parser


def main() -> int:
    given = _parser().parse_args()
    return ended("report", lambda settings: run(given, settings), NoSuchReport, NotSent, NotAReport)


if __name__ == "__main__":
    sys.exit(main())
