"""What does a report look like, and is this one whole and from the site that it names?

Whole numbers, names that the model or this page knows, and nothing else: `check` is the list of what may be in a report, for
who writes one and for who reads it (docs/report-format.md). Signed with the site's own key; each names the digest of the one
before.
"""

import base64
import binascii
import hashlib
import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from serving.metrics import BATCH, REQUEST_S
from serving.telemetry import feedback, tally

if TYPE_CHECKING:
    # 9 MB of memory that a server needs once a day, when it makes a report.
    from cryptography.hazmat.primitives.asymmetric import ec

FORMAT = "unjar-report/1"
MOST_BYTES = 64 << 20
HEX = {"site": 64, "chain": 16, "previous": 64, "digest": 64}
HOUR = re.compile(r"\d{4}-\d\d-\d\dT\d\dZ")
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
COLUMN = re.compile(r"[^\x00-\x1f\x7f]{1,200}\[\d{1,6}\]")
MOST_BINS = 128
COUNTS = re.compile(r"\[\s+(?:(?:null|\d+),?\s+)+\]")


class NotAReport(ValueError):
    """The text says what was found and where."""


@dataclass(frozen=True)
class Report:
    """One that is whole: `said` is what is signed."""

    said: dict[str, Any]
    signature: bytes

    @property
    def site(self) -> str:
        """SHA-256 of its public key."""
        return str(self.said["site"])

    @property
    def sequence(self) -> int:
        return int(self.said["sequence"])

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(canonical(self.said)).hexdigest()

    def signed_by(self, key: "ec.EllipticCurvePublicKey") -> bool:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec

        try:
            key.verify(self.signature, canonical(self.said), ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True


def canonical(said: Any) -> bytes:
    """The bytes that are hashed and signed: sorted keys, no spaces, ASCII."""
    return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def fingerprint(key: "ec.EllipticCurvePublicKey") -> str:
    from cryptography.hazmat.primitives import serialization

    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def sign(said: dict[str, Any], key: "ec.EllipticCurvePrivateKey") -> bytes:
    """The file. Raises NotAReport for what no report may hold."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    check(said)
    signature = key.sign(canonical(said), ec.ECDSA(hashes.SHA256()))
    page = {"report": said, "signature": base64.b64encode(signature).decode()}
    # Lists of counts on one line each: a person should be able to read all of it.
    text = COUNTS.sub(lambda found: re.sub(r"\s+", " ", found[0]), json.dumps(page, indent=1, ensure_ascii=True))
    return text.encode() + b"\n"


def read(content: bytes) -> Report:
    """Raises NotAReport."""
    if len(content) > MOST_BYTES:
        raise NotAReport(f"has {len(content)} bytes, at most {MOST_BYTES} are read")
    try:
        page = json.loads(content, parse_float=_no_fraction, parse_constant=_no_fraction, object_pairs_hook=_once)
        said, signature = page["report"], base64.b64decode(page["signature"], validate=True)
    except RecursionError:
        raise NotAReport("is nested too deeply") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise NotAReport(f"is no JSON: {error}") from None
    except (KeyError, TypeError, binascii.Error, AttributeError):
        raise NotAReport("is no object with 'report' and 'signature'") from None
    if set(page) != {"report", "signature"}:
        raise NotAReport(f"holds {sorted(set(page) - {'report', 'signature'})[0]!r} beside 'report' and 'signature'")
    check(said)
    return Report(said, signature)


def _no_fraction(text: str) -> Any:
    raise NotAReport(f"holds {text}; all its numbers are whole")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotAReport("has a key twice in one object")
    return found


# --- what may be in it


def check(said: Any) -> None:
    """Raises NotAReport for the first thing that is not on the list, and for where it is."""
    keys = {"format", "site", "chain", "sequence", "previous", "made", "fewest", "server", "models"}
    _object(said, keys, "the report")
    if said["format"] != FORMAT:
        raise NotAReport(f"format is {str(said['format'])[:40]!r}, this release reads {FORMAT!r}")
    for name in ("site", "chain"):
        _hex(said[name], name, name)
    if said["previous"] is not None:
        _hex(said["previous"], "previous", "previous")
    _whole(said["sequence"], "sequence", 1)
    _whole(said["fewest"], "fewest", 1)
    _matches(said["made"], HOUR, "made")
    _object(said["server"], {"unjar", "onnxruntime", "python", "machine"}, "server")
    for name, value in said["server"].items():
        _matches(value, WORD, f"server.{name}")
    for i, model in enumerate(_list(said["models"], "models")):
        _model(model, f"models[{i}]")


def _model(said: Any, here: str) -> None:
    _object(said, {"digest", "release", "hours", "looked_at", "columns", "outcomes"}, here)
    _hex(said["digest"], "digest", f"{here}.digest")
    _whole(said["release"], f"{here}.release", 0)
    for i, hour in enumerate(_list(said["hours"], f"{here}.hours")):
        _hour(hour, f"{here}.hours[{i}]")
    _told(said["looked_at"], f"{here}.looked_at")
    for name, counts in _mapping(said["columns"], f"{here}.columns").items():
        _matches(name, COLUMN, f"{here}.columns")
        _cells(counts, f"{here}.columns[{name!r}]", None)
    for kind, counts in _mapping(said["outcomes"], f"{here}.outcomes").items():
        if kind not in feedback.BINS:
            raise NotAReport(f"{here}.outcomes holds {kind[:40]!r}, which is none of {', '.join(feedback.BINS)}")
        _cells(counts, f"{here}.outcomes.{kind}", feedback.BINS[kind])


def _hour(said: Any, here: str) -> None:
    _object(said, {"hour", "requests", "rows", "missed", "latency", "batches"}, here)
    _matches(said["hour"], HOUR, f"{here}.hour")
    for name in ("rows", "missed"):
        _told(said[name], f"{here}.{name}")
    if said["requests"] is not None:
        for outcome, count in _mapping(said["requests"], f"{here}.requests").items():
            if outcome not in tally.PLACES and outcome != "pooled":
                raise NotAReport(f"{here}.requests holds {outcome[:40]!r}, which is no outcome of a request")
            _told(count, f"{here}.requests.{outcome}")
    _cells(said["latency"], f"{here}.latency", len(REQUEST_S) + 1)
    _cells(said["batches"], f"{here}.batches", len(BATCH) + 1)


def _cells(said: Any, here: str, size: int | None) -> None:
    if said is None:
        return
    if type(said) is dict:
        _object(said, {"counts", "pooled"}, here)
        _whole(said["pooled"], f"{here}.pooled", 1)
    for count in (counts := _list(said["counts"] if type(said) is dict else said, here)):
        if count is not None or type(said) is list:
            _whole(count, here, 0)
    if (size is not None and len(counts) != size) or not 1 <= len(counts) <= MOST_BINS:
        raise NotAReport(f"{here} has {len(counts)} counts, expected {size or f'1 to {MOST_BINS}'}")


def _told(said: Any, here: str) -> None:
    if said is not None:
        _whole(said, here, 0)


def _whole(said: Any, here: str, least: int) -> None:
    if type(said) is not int or not least <= said < 1 << 62:
        raise NotAReport(f"{here} is {str(said)[:40]!r}, expected a whole number from {least}")


def _hex(said: Any, name: str, here: str) -> None:
    if type(said) is not str or len(said) != HEX[name] or said.strip("0123456789abcdef"):
        raise NotAReport(f"{here} is {str(said)[:80]!r}, expected {HEX[name]} hexadecimal digits")


def _matches(said: Any, pattern: "re.Pattern[str]", here: str) -> None:
    if type(said) is not str or not pattern.fullmatch(said):
        raise NotAReport(f"{here} holds {str(said)[:40]!r}, which is not of the form {pattern.pattern}")


def _list(said: Any, here: str) -> list[Any]:
    if type(said) is not list:
        raise NotAReport(f"{here} is {type(said).__name__}, expected a list")
    return said


def _mapping(said: Any, here: str) -> dict[str, Any]:
    if type(said) is not dict:
        raise NotAReport(f"{here} is {type(said).__name__}, expected an object")
    return said


def _object(said: Any, keys: set[str], here: str) -> None:
    strange = _mapping(said, here).keys() ^ keys
    if strange:
        name = min(strange)
        raise NotAReport(f"{here} {'lacks' if name in keys else 'holds'} {name[:40]!r}; it has {', '.join(sorted(keys))}")
