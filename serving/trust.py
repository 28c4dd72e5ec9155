"""Who vouches for a folder of files, and are these the very files?

Verifies signatures of OpenSSF Model Signing, version 1, made with plain keys on the curve P-256: a Sigstore bundle whose
DSSE envelope holds an in-toto statement with the SHA-256 of every file. Needs no network and no clock.
Source: the specification of github.com/sigstore/model-transparency and github.com/secure-systems-lab/dsse.
"""

import base64
import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from serving.errors import CannotStart, ModelRefused, shown

SIGNATURE = "model.sig"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://model_signing/signature/v1.0"
MAX_SIGNATURE_BYTES = 1 << 20
# Names that mean the same on every system and need no quotes in any shell.
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")
PEM = re.compile(rb"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)


@dataclass(frozen=True)
class Key:
    """A vendor's public key; `fingerprint` is the SHA-256 of its DER form, which openssl prints as well."""

    public: ec.EllipticCurvePublicKey
    fingerprint: str

    @property
    def name(self) -> str:
        return f"key {self.fingerprint[:16]}"


def read_keys(path: Path) -> tuple[Key, ...]:
    """The keys of a PEM file: one, or two while the vendor changes from one to the next. Raises CannotStart."""
    try:
        blocks = PEM.findall(path.read_bytes())
    except OSError as error:
        raise CannotStart(f"{path}: cannot be read: {error.strerror}; it should hold the vendor's public key") from None
    keys = tuple(_key(path, block) for block in blocks)
    if not 1 <= len(keys) <= 2:
        raise CannotStart(f"{path}: holds {len(keys)} public keys in PEM, expected one, or two while keys change")
    return keys


def _key(path: Path, pem: bytes) -> Key:
    try:
        public = serialization.load_pem_public_key(pem)
    except ValueError:
        raise CannotStart(f"{path}: holds a public key that cannot be read") from None
    if not (isinstance(public, ec.EllipticCurvePublicKey) and isinstance(public.curve, ec.SECP256R1)):
        raise CannotStart(f"{path}: holds a key of another kind, expected an elliptic curve key on P-256")
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return Key(public, hashlib.sha256(der).hexdigest())


@dataclass(frozen=True)
class Signed:
    """A folder whose every file is as it was signed. `files` are the very bytes that were hashed."""

    folder: Path
    files: Mapping[str, bytes]
    key: Key


def verify(folder: Path, keys: tuple[Key, ...]) -> Signed:
    """Raises ModelRefused: which file, which digest, which key."""
    place = folder / SIGNATURE
    payload, key = _opened(place, keys)
    digests = _digests(place, payload)
    files = {name: _read(folder / name) for name in _present(folder)}
    for name in files.keys() - digests.keys():
        raise ModelRefused(f"{folder / name}: was not signed by {key.name}; nothing may be added to what was signed")
    for name, wanted in digests.items():
        if name not in files:
            raise ModelRefused(f"{folder / name}: is missing, and {place} says it was signed by {key.name}")
        found = hashlib.sha256(files[name]).hexdigest()
        if found != wanted:
            raise ModelRefused(f"{folder / name}: its SHA-256 is {found}, {key.name} signed {wanted}; it was changed since")
    return Signed(folder, files, key)


def _opened(place: Path, keys: tuple[Key, ...]) -> tuple[Any, Key]:
    """What was signed, and by which of the keys."""
    bundle = _json(place, _read(place, MAX_SIGNATURE_BYTES))
    if _at(place, bundle, "mediaType", str) != BUNDLE:
        raise ModelRefused(f"{place}: is {shown(bundle['mediaType'])}, expected {BUNDLE!r}")
    envelope = _at(place, bundle, "dsseEnvelope", dict)
    kind = _at(place, envelope, "payloadType", str)
    if kind != PAYLOAD:
        raise ModelRefused(f"{place}: signs {shown(kind)}, expected {PAYLOAD!r}")
    payload = _decoded(place, _at(place, envelope, "payload", str))
    signatures = _at(place, envelope, "signatures", list)
    if len(signatures) != 1:
        raise ModelRefused(f"{place}: holds {len(signatures)} signatures, expected one")
    signature = _decoded(place, _at(place, signatures[0], "sig", str))
    signed = b"DSSEv1 %d %b %d %b" % (len(PAYLOAD), PAYLOAD.encode(), len(payload), payload)
    for key in keys:
        try:
            key.public.verify(signature, signed, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            continue
        return _json(place, payload), key
    trusted = " and ".join(key.name for key in keys)
    raise ModelRefused(f"{place}: is not a signature of {trusted}; it was changed since, or another key made it")


def _digests(place: Path, statement: Any) -> dict[str, str]:
    """Each file's SHA-256, as the statement says."""
    for field, wanted in (("_type", STATEMENT), ("predicateType", PREDICATE)):
        found = _at(place, statement, field, str)
        if found != wanted:
            raise ModelRefused(f"{place}: {field} is {shown(found)}, expected {wanted!r}")
    digests: dict[str, str] = {}
    for resource in _at(place, _at(place, statement, "predicate", dict), "resources", list):
        name, digest = _at(place, resource, "name", str), _at(place, resource, "digest", str)
        if _at(place, resource, "algorithm", str) != "sha256" or not re.fullmatch("[0-9a-f]{64}", digest):
            raise ModelRefused(f"{place}: the digest of {shown(name)} is not a SHA-256")
        if not NAME.fullmatch(name) or name in digests:
            raise ModelRefused(f"{place}: signs {shown(name)}, expected each file once, by a name without special characters")
        digests[name] = digest
    together = hashlib.sha256(b"".join(map(bytes.fromhex, digests.values()))).hexdigest()
    subjects = _at(place, statement, "subject", list)
    if len(subjects) != 1 or _at(place, _at(place, subjects[0], "digest", dict), "sha256", str) != together:
        raise ModelRefused(f"{place}: the digest over all files is not {together}, which the files' own digests make")
    return digests


def _present(folder: Path, within: str = "") -> Iterator[str]:
    """Every file but the signature. Links and devices are refused: what they lead to was not signed."""
    try:
        with os.scandir(folder / within) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise ModelRefused(f"{folder / within}: cannot be read: {error.strerror}") from None
    for entry in found:
        name = within + entry.name
        mode = entry.stat(follow_symlinks=False).st_mode
        if stat.S_ISDIR(mode):
            yield from _present(folder, name + "/")
        elif not stat.S_ISREG(mode):
            raise ModelRefused(f"{folder / name}: is a link or a device, expected a file")
        elif name != SIGNATURE:
            yield name


def _read(path: Path, most: int | None = None) -> bytes:
    try:
        # Not through a link, not even one that was put there a moment ago.
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            content = file.read(-1 if most is None else most + 1)
    except OSError as error:
        raise ModelRefused(f"{path}: cannot be read: {error.strerror}") from None
    if most is not None and len(content) > most:
        raise ModelRefused(f"{path}: has more than {most} bytes, which no signature has")
    return content


def _json(place: Path, text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ModelRefused(f"{place}: is not a signature of OpenSSF Model Signing: not JSON") from None


def _at(place: Path, holder: Any, key: str, kind: type) -> Any:
    if type(holder) is not dict or type(holder.get(key)) is not kind:
        raise ModelRefused(f"{place}: is not a signature of OpenSSF Model Signing: {key!r} is missing or of another kind")
    return holder[key]


def _decoded(place: Path, text: str) -> bytes:
    try:
        decoded = base64.b64decode(text, validate=True)
    except ValueError:
        decoded = b""
    # Unused bits of the last letter would give one signature several spellings.
    if not decoded or base64.b64encode(decoded).decode() != text:
        raise ModelRefused(f"{place}: is not a signature of OpenSSF Model Signing: not base64")
    return decoded
