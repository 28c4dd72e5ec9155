"""What can be set, by which name, and is what was set acceptable?

Every setting is an environment variable UNJAR_<NAME>; docs/settings.md is the same table.
"""

import difflib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from serving.errors import CannotStart

PREFIX = "UNJAR_"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def _path(text: str) -> Path:
    if not text:
        raise ValueError("a file")
    return Path(text)


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise ValueError("1 to 128 letters, digits, '.', '_' or '-', the first a letter or digit")
    return text


def _host(text: str) -> str:
    if not text or any(character.isspace() or character in "/@" for character in text):
        raise ValueError("an address to listen on, such as 127.0.0.1, 0.0.0.0 or ::")
    return text


def _between(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= 15 and low <= int(text) <= high):
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)

    return parse


def _https(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme != "https" or not _has_host(parts) or parts.username or parts.fragment:
        raise ValueError("an address that begins with https:// and holds no password")
    return text


def _proxy(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not _has_host(parts):
        raise ValueError("http://host:port of a proxy")
    return text


def _has_host(parts: SplitResult) -> bool:
    """With a port that exists, if any: of one above 65535 the resolver would take the lowest 16 bits."""
    try:
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(" or ".join(words))
        return text

    return parse


def usable_processors(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """As many as this process may run on, or fewer where its container has a quota of their time."""
    allowed = len(os.sched_getaffinity(0))
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            quota, period = map(int, " ".join((cgroup / name).read_text() for name in names).split())
        except (OSError, ValueError):
            # Not there, or "max".
            continue
        if quota > 0 and period > 0:
            allowed = min(allowed, max(quota // period, 1))
    return allowed


def _processes(text: str) -> int:
    if text == "auto":
        return usable_processors()
    try:
        return _between(1, 256)(text)
    except ValueError:
        raise ValueError("auto or a whole number from 1 to 256") from None


def _about(meaning: str, parse: Callable[[str], Any]) -> dict[str, Any]:
    return {"meaning": meaning, "parse": parse}


@dataclass(frozen=True)
class Settings:
    model: Path = field(
        default=Path("model.onnx"), metadata=_about("the file that convert.py wrote, or the folder of a release", _path)
    )
    name: str = field(
        default="",
        metadata=_about("the model's name in addresses; the release's, or the file's without its suffix, when empty", _name),
    )
    host: str = field(default="127.0.0.1", metadata=_about("address to listen on; 0.0.0.0 for every interface", _host))
    port: int = field(default=8080, metadata=_about("port to listen on; 0 picks a free one", _between(0, 65535)))
    max_body_bytes: int = field(
        default=64 << 20, metadata=_about("largest request body, before and after inflating", _between(1, 1 << 40))
    )
    max_rows: int = field(default=100_000, metadata=_about("most rows in one request", _between(1, 1 << 40)))
    processes: int = field(
        default=1,
        metadata=_about("how many processes serve; auto is one for each whole processor this one may use", _processes),
    )
    max_queue: int = field(
        default=512, metadata=_about("most requests that wait for the model; others get 503 at once", _between(1, 1 << 20))
    )
    max_held_bytes: int = field(
        default=256 << 20, metadata=_about("most bytes that bodies of unanswered requests take together", _between(1, 1 << 40))
    )
    max_connections: int = field(default=2048, metadata=_about("most open connections", _between(1, 1 << 20)))
    request_timeout_s: int = field(
        default=60, metadata=_about("how long a request may take to arrive, and an answer to be read", _between(1, 86_400))
    )
    front: str = field(
        default="fast",
        metadata=_about("fast answers plain questions without ASGI; asgi does not", _one_of("fast", "asgi")),
    )
    access_log: str = field(
        default="off", metadata=_about("on logs a line for each question to the model", _one_of("on", "off"))
    )
    traces: str = field(
        default="off", metadata=_about("on gives OpenTelemetry a span for each question to the model", _one_of("on", "off"))
    )
    docs: str = field(default="on", metadata=_about("off takes /docs and /openapi.json away", _one_of("on", "off")))
    tokens: Path | None = field(
        default=None, metadata=_about("file of bearer tokens' hashes; without one, anybody may ask", _path)
    )
    tls_cert: Path | None = field(default=None, metadata=_about("certificate chain to serve HTTPS with, PEM", _path))
    tls_key: Path | None = field(default=None, metadata=_about("the certificate's key, PEM", _path))
    tls_client_ca: Path | None = field(
        default=None, metadata=_about("certificates that clients' certificates must be signed by, PEM", _path)
    )
    repository: Path | None = field(
        default=None,
        metadata=_about("folder of releases, each a folder named by its number; then UNJAR_MODEL is not looked at", _path),
    )
    trusted_keys: Path | None = field(
        default=None,
        metadata=_about("the vendor's public key, PEM, or two of them; only releases they signed are opened", _path),
    )
    require_keys: str = field(
        default="off", metadata=_about("on refuses to start without trusted keys: release mode", _one_of("on", "off"))
    )
    catalogue: str = field(
        default="",
        metadata=_about("a catalogue beyond a million parts, as python -m recommender index makes it: folder or address", str),
    )
    state: Path | None = field(
        default=None,
        metadata=_about("folder for counts, reports and cases; without one nothing is kept and no report is made", _path),
    )
    reports: str = field(
        default="review",
        metadata=_about(
            "review makes reports and waits for an operator; auto sends them; off makes none", _one_of("review", "auto", "off")
        ),
    )
    report_hours: int = field(default=24, metadata=_about("hours between two reports", _between(1, 8760)))
    report_url: str = field(default="", metadata=_about("the one address that reports are sent to, HTTPS", _https))
    report_proxy: str = field(default="", metadata=_about("proxy that reports are sent through", _proxy))
    report_ca: Path | None = field(
        default=None, metadata=_about("certificates that the receiver's must be signed by, PEM; else the host's own", _path)
    )
    report_token: Path | None = field(default=None, metadata=_about("file with the token that the receiver knows", _path))
    fewest_rows: int = field(default=5, metadata=_about("counts below this are not told in a report", _between(2, 1_000_000)))
    capture: str = field(
        default="off",
        metadata=_about(
            "failures keeps refused requests and their answers in the state folder, all keeps good ones too",
            _one_of("off", "failures", "all"),
        ),
    )
    capture_mb: int = field(default=64, metadata=_about("most megabytes of requests that are kept", _between(1, 1 << 20)))
    keep_days: int = field(
        default=90, metadata=_about("days for which counts, outcomes and reports are kept", _between(1, 3660))
    )
    keep_alive_s: int = field(default=75, metadata=_about("how long an idle connection is kept open", _between(1, 86_400)))
    grace_s: int = field(
        default=8, metadata=_about("how long requests in flight may take to finish after SIGTERM", _between(1, 86_400))
    )

    @property
    def scheme(self) -> str:
        return "http" if self.tls_cert is None else "https"

    @classmethod
    def read(cls, environ: Mapping[str, str], flags: Mapping[str, str | None]) -> "Settings":
        """Flags win over the environment. Raises CannotStart with every problem there is."""
        known = {setting.name: setting for setting in fields(cls)}
        problems = [_unknown(key, known) for key in environ if key.startswith(PREFIX) and _plain(key) not in known]
        values: dict[str, Any] = {}
        for key, text in [*environ.items(), *((f"--{flag}", text) for flag, text in flags.items())]:
            name = _plain(key)
            if text is None or name not in known:
                continue
            try:
                values[name] = known[name].metadata["parse"](text)
            except ValueError as error:
                problems.append(f"{key}={text!r}: expected {error}")
        if problems:
            raise CannotStart("; ".join(problems))
        return cls(**_named(values))


def _plain(key: str) -> str:
    """max_rows for UNJAR_MAX_ROWS; nothing for a variable of somebody else's."""
    if key.startswith("--"):
        return key[2:]
    return key.removeprefix(PREFIX).lower() if key.startswith(PREFIX) and key.isupper() else ""


def _unknown(key: str, known: Mapping[str, Any]) -> str:
    names = [PREFIX + name.upper() for name in known]
    close = difflib.get_close_matches(key.upper(), names, 1)
    return f"{key}: there is no such setting" + (f"; did you mean {close[0]}" if close else "; docs/settings.md has all")


def _named(values: dict[str, Any]) -> dict[str, Any]:
    if "name" not in values and "repository" not in values and values.get("model", Path("model.onnx")).suffix:
        stem = values.get("model", Path("model.onnx")).stem
        try:
            values["name"] = _name(stem)
        except ValueError as error:
            raise CannotStart(f"the model's name would be {stem!r}: expected {error}; give another with --name") from None
    return values
