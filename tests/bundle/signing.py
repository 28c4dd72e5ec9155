"""How does OpenSSF Model Signing sign a folder? Written from its specification, so that tests can sign what no tool would."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from serving.trust import BUNDLE, PAYLOAD, PREDICATE, SIGNATURE, STATEMENT

SERIALIZATION = {"method": "files", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": [SIGNATURE]}
Private = ec.EllipticCurvePrivateKey


def new_key(curve: ec.EllipticCurve | None = None) -> Private:
    return ec.generate_private_key(curve or ec.SECP256R1())


def public(path: Path, *keys: Private) -> Path:
    kind = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    path.write_bytes(b"".join(key.public_key().public_bytes(*kind) for key in keys))
    return path


def private(path: Path, key: Private) -> Path:
    none = serialization.NoEncryption()
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, none))
    return path


def statement(folder: Path, signature: str = SIGNATURE) -> dict[str, Any]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / signature)
    resources = [
        {
            "name": str(path.relative_to(folder)),
            "algorithm": "sha256",
            "digest": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in files
    ]
    return {
        "_type": STATEMENT,
        "subject": [{"name": folder.name, "digest": {"sha256": over(resources)}}],
        "predicateType": PREDICATE,
        "predicate": {"resources": resources, "serialization": SERIALIZATION},
    }


def over(resources: list[dict[str, str]]) -> str:
    return hashlib.sha256(b"".join(bytes.fromhex(one["digest"]) for one in resources)).hexdigest()


def sign(
    folder: Path, key: Private, said: dict[str, Any] | None = None, kind: str = PAYLOAD, signature: str = SIGNATURE
) -> Path:
    """The folder's signature as it is; `said` and `kind`: what is signed instead."""
    payload = json.dumps(statement(folder, signature) if said is None else said, indent=2).encode()
    signed = b"DSSEv1 %d %b %d %b" % (len(kind), kind.encode(), len(payload), payload)
    raw = key.sign(signed, ec.ECDSA(hashes.SHA256()))
    envelope = {"payload": _text(payload), "payloadType": kind, "signatures": [{"sig": _text(raw), "keyid": ""}]}
    bundle = {"mediaType": BUNDLE, "verificationMaterial": {"publicKey": {"hint": ""}}, "dsseEnvelope": envelope}
    place = folder / signature
    place.write_text(json.dumps(bundle))
    return place


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def release(folder: Path, key: Private, content: bytes, number: int = 1, **more: Any) -> Path:
    """The folder of a release, signed."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(content)
    said = {
        "name": "test", "number": number, "created": "2026-11-01T00:00:00Z", "model": hashlib.sha256(content).hexdigest(),
    }  # fmt: skip
    (folder / "release.json").write_text(json.dumps(said | more))
    sign(folder, key)
    return folder
