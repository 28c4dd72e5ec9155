"""Which release of the model is this, and may it answer?

A release is a folder: model.onnx, release.json that names and numbers it, and the vendor's signature over both. Without
trusted keys a model is a bare file and the server says that it is in development mode.
"""

import hashlib
import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from serving.errors import CannotStart, ModelRefused
from serving.logs import event

MODEL, RELEASE = "model.onnx", "release.json"
WARN_BEFORE = timedelta(days=30)
MOST_RELEASES = 10**9


@dataclass(frozen=True)
class Release:
    """What release.json says. `number` only ever grows; `expires` warns and stops nothing."""

    name: str
    number: int
    created: datetime
    expires: datetime | None
    digest: str

    @classmethod
    def from_json(cls, text: bytes, origin: str) -> "Release":
        """Raises ModelRefused."""
        try:
            said: dict[str, Any] = json.loads(text)
            number, expires = said["number"], said.get("expires")
            if type(number) is not int or not 1 <= number <= MOST_RELEASES:
                raise ValueError(f"number {number!r}, expected a whole number from 1")
            ends = None if expires is None else _time(expires)
            return cls(str(said["name"]), number, _time(said["created"]), ends, str(said["model"]))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelRefused(f"{origin}: does not say which release this is: {error}") from None

    def warning(self, now: datetime) -> str | None:
        """What should be said about its age."""
        if self.expires is None or now < self.expires - WARN_BEFORE:
            return None
        verb = "expired" if now >= self.expires else "expires"
        return f"release {self.number} of {self.name!r} {verb} on {self.expires:%Y-%m-%d}; ask the vendor for the next one"


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"time {text!r} without a time zone")
    return found.astimezone(UTC)


@dataclass(frozen=True)
class Opened:
    """A model's bytes, and who vouches for them: `key` is None in development mode, `release` for a bare file."""

    content: bytes
    origin: str
    release: Release | None = None
    key: str | None = None

    @property
    def number(self) -> int:
        """0 for a bare file."""
        return 0 if self.release is None else self.release.number

    @property
    def name(self) -> str | None:
        """By which the release wants to be asked."""
        return None if self.release is None else self.release.name

    def describe(self) -> dict[str, Any]:
        """What the server says of itself at /v2."""
        said: dict[str, Any] = {"mode": "development", "verified": False}
        if self.key is not None:
            said = {"mode": "release", "verified": True, "key_sha256": self.key}
        if self.release is None:
            return said
        said["release"] = self.release.number
        expires = self.release.expires
        return said if expires is None else said | {"expires": f"{expires:%Y-%m-%dT%H:%M:%SZ}"}


def open_model(path: Path, trusted_keys: Path | None, require_keys: bool = False) -> Opened:
    """Raises CannotStart or ModelRefused. With keys nothing is opened that they do not vouch for."""
    if trusted_keys is None:
        if require_keys:
            raise CannotStart("trusted keys are required and none is given: UNJAR_TRUSTED_KEYS names the vendor's public key")
        return _unverified(path)
    # cryptography is 12 MB of memory that a server without keys does not need.
    from serving.trust import read_keys, verify

    keys = read_keys(trusted_keys)
    if not path.is_dir():
        raise ModelRefused(f"{path}: is no folder of a signed release, and {trusted_keys} says that nothing else may answer")
    signed = verify(path, keys)
    for name in (MODEL, RELEASE):
        if name not in signed.files:
            raise ModelRefused(f"{path}: {signed.key.name} signed it without a {name}")
    release = Release.from_json(signed.files[RELEASE], str(path / RELEASE))
    found = hashlib.sha256(signed.files[MODEL]).hexdigest()
    if found != release.digest:
        raise ModelRefused(f"{path / RELEASE}: is of a model whose SHA-256 is {release.digest}, {MODEL} beside it has {found}")
    return Opened(signed.files[MODEL], str(path / MODEL), release, signed.key.fingerprint)


def _unverified(path: Path) -> Opened:
    file = path / MODEL if path.is_dir() else path
    try:
        content = file.read_bytes()
        page = (path / RELEASE).read_bytes() if path.is_dir() else None
    except OSError as error:
        raise CannotStart(
            f"{error.filename}: cannot be read: {error.strerror}; convert.py writes it, --model names it"
        ) from None
    return Opened(content, str(file), None if page is None else Release.from_json(page, str(path / RELEASE)))


def announce(opened: Opened) -> None:
    """To the log."""
    if opened.key is None or opened.release is None:
        event("development_mode", level=logging.WARNING, reason="no trusted key was given; who made the model was not verified")
        return
    event("release_verified", model=opened.release.name, release=opened.release.number, key_sha256=opened.key)
    warn_of_age(opened)


def warn_of_age(opened: Opened) -> None:
    if opened.release is not None and (warning := opened.release.warning(datetime.now(UTC))) is not None:
        event("release_expires", level=logging.WARNING, reason=warning)
