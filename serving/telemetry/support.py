"""What may the vendor's support see of a server in trouble? Facts on a list, and nothing that is not on it.

An allow-list and no redactor: what is to be masked must first be recognised, and one day it is not. A fact that would not fit
its form stops the whole bundle, which then is not written.
"""

import hashlib
import io
import json
import os
import re
import tarfile
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from serving.errors import REFUSALS
from serving.telemetry import tally
from serving.telemetry.outbox import STATES

EVENTS = frozenset((
    "listening", "ready", "all_ready", "stopped", "refused", "request_failed", "load_failed", "front_is_asgi", "rollout",
    "process_started", "process_died", "process_not_started", "release_verified", "release_expires", "development_mode",
    "telemetry_not_kept", "requests_not_kept", "telemetry_kept_again", "telemetry_set_aside",
    "report_made", "report_sent", "report_not_sent",
    "unpickling_refused", "process_refused", "code_refused", "tokens_read", "tokens_kept",
))  # fmt: skip
WORD = re.compile(r"[A-Za-z0-9 ()@._:+-]{0,80}")
CODES = frozenset(refusal.code for refusal in REFUSALS)
MOST_EVENTS = 500
Check = Callable[[Any], bool]


class Unknown(Exception):
    """Something would have entered that is not on the list; the text says where. Nothing was written."""


def _whole(value: Any) -> bool:
    return type(value) is int


def _word(value: Any) -> bool:
    return type(value) is str and WORD.fullmatch(value) is not None


def _truth(value: Any) -> bool:
    return type(value) is bool


def _any_of(words: Iterable[str]) -> Check:
    known = frozenset(words)
    return lambda value: value in known


def _counts(names: Iterable[str]) -> Check:
    known = frozenset(names)
    return lambda value: type(value) is dict and value.keys() <= known and all(map(_whole, value.values()))


def _words(value: Any) -> bool:
    return type(value) is list and all(map(_word, value))


# Where -> the form of what may stand there. `settings` is what case.masked made: numbers, words of our own, and whether.
ALLOWED: dict[str, Check] = {
    **{f"versions.{name}": _word for name in ("unjar", "onnxruntime", "numpy", "python", "machine")},
    "versions.processor.name": _word,
    "versions.processor.flags": _words,
    "versions.processors": _whole,
    "model.digest": lambda value: value is None or (type(value) is str and re.fullmatch("[0-9a-f]{64}", value) is not None),
    "health.ready": _truth,
    "health.live": _truth,
    "disk.free_mb": _whole,
    "disk.state_mb": _whole,
    "memory.available_mb": _whole,
    "requests": _counts((*tally.OUTCOMES, *tally.TOTALS)),
    "reports": _counts(STATES),
    "captures": _whole,
    "store.readable": _truth,
}
IN_SETTINGS = re.compile(r"settings\.[a-z_]+")
IN_EVENTS: dict[str, Check] = {
    "time": lambda value: type(value) is str and re.fullmatch(r"[0-9TZ:.-]{10,30}", value) is not None,
    "level": _any_of(("debug", "info", "warning", "error")),
    "event": _any_of(EVENTS),
    "code": _any_of(CODES),
    "attempts": _whole, "processes": _whole, "process": _whole, "exit_code": _whole, "release": _whole, "sequence": _whole,
    "verified_rows": _whole, "error": lambda value: type(value) is str and re.fullmatch(r"[A-Za-z_]{1,60}", value) is not None,
    "counts": _counts(CODES),
}  # fmt: skip


def check(facts: Mapping[str, Any], at: str = "") -> None:
    """Raises Unknown for the first fact that is not on the list, or has another form than it says."""
    for name, value in facts.items():
        here = f"{at}{name}"
        if here == "events":
            for event in value:
                _check_event(event)
        elif IN_SETTINGS.fullmatch(here):
            if not (_whole(value) or _truth(value) or _word(value)):
                raise Unknown(f"{here} is no number, no word and no yes or no")
        elif here in ALLOWED:
            if not ALLOWED[here](value):
                raise Unknown(f"{here} has another form than the list says")
        elif type(value) is dict:
            check(value, f"{here}.")
        else:
            raise Unknown(f"{here} is not on the list of what may be in a support bundle")


def _check_event(event: Mapping[str, Any]) -> None:
    for name, value in event.items():
        if name not in IN_EVENTS or not IN_EVENTS[name](value):
            raise Unknown(f"events: {name} is not on the list, or has another form")


def events_of(log: Iterable[str]) -> list[dict[str, Any]]:
    """Of a server's log, the latest lines, of each what is on the list; a line of anybody else's is passed over."""
    found = []
    for line in log:
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if type(said) is dict and said.get("event") in EVENTS:
            found.append({name: value for name, value in said.items() if name in IN_EVENTS and IN_EVENTS[name](value)})
    return found[-MOST_EVENTS:]


def pack(facts: Mapping[str, Any]) -> bytes:
    """A tar of facts.json and manifest.json, the digest of the first. Raises Unknown, and then there is none."""
    check(facts)
    content = json.dumps(facts, indent=1, sort_keys=True).encode() + b"\n"
    manifest = {"facts.json": {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, part in (("facts.json", content), ("manifest.json", json.dumps(manifest, indent=1).encode() + b"\n")):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(part), 0o644
            archive.addfile(entry, io.BytesIO(part))
    return out.getvalue()


def disk(state: Any) -> dict[str, int]:
    room = os.statvfs(state)
    used = sum(path.stat().st_size for path in state.rglob("*") if path.is_file())
    return {"free_mb": room.f_bavail * room.f_frsize >> 20, "state_mb": used >> 20}
