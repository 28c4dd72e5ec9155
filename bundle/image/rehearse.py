"""What does a server load in its life? Started in the image that is to become small; closure.py keeps what was loaded.

Every way a server is used is walked once: both fronts, several processes, tokens, certificates, a signed release, bad requests,
documentation. Whatever else can be loaded is imported by name. Each process writes what it has loaded into the folder $LOADED.
"""

import contextlib
import datetime
import hashlib
import importlib
import json
import os
import pkgutil
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PORT = 18080
URL = f"127.0.0.1:{PORT}"
# These import on demand what no rehearsal can be sure to reach.
WHOLE = ("anyio", "httptools", "orjson", "recommender", "serving", "simdjson", "uvloop")
# Other event loops and test clients.
NEVER = ("anyio._backends._trio", "anyio.pytest_plugin", "uvloop._testbase")
# Codecs that a header or a file name may ask for.
NAMED = (
    "encodings.ascii", "encodings.latin_1", "encodings.utf_8", "encodings.utf_8_sig", "encodings.idna", "encodings.punycode",
    "stringprep", "unicodedata", "traceback", "linecache", "tokenize", "gzip", "zlib", "asyncio.subprocess", "json", "logging",
    "opentelemetry.context.contextvars_context",
)  # fmt: skip
HOOK = """
import atexit, os, sys
def write():
    with open(os.path.join(os.environ["LOADED"], str(os.getpid())), "w") as file:
        for module in list(sys.modules.values()):
            # Of a frozen module the specification names no file.
            origin = getattr(module, "__file__", None) or getattr(getattr(module, "__spec__", None), "origin", None)
            if origin and origin.startswith("/"):
                file.write(origin + chr(10))
atexit.register(write)
"""


def main() -> None:
    folder = Path(os.environ["LOADED"])
    (folder / "hook").mkdir(parents=True)
    (folder / "hook" / "sitecustomize.py").write_text(HOOK)
    sys.path.insert(0, os.getcwd())
    os.environ["PYTHONPATH"] = f"{folder / 'hook'}:{os.getcwd()}"
    run("-c", f"import importlib\nfor name in {sorted(every_module())!r}: importlib.import_module(name)")
    run("-m", "serving.tokens", "new", "rehearsal")
    key, release = certificate(folder / "tls"), signed(folder / "releases")
    tls = {"UNJAR_TLS_CERT": key, "UNJAR_TLS_KEY": key}
    ways: list[dict[str, str]] = [
        {}, {"UNJAR_FRONT": "asgi", "UNJAR_ACCESS_LOG": "on"}, {"UNJAR_PROCESSES": "2"},
        tls, tls | {"UNJAR_TLS_CLIENT_CA": key}, release, {"UNJAR_STATE": str(folder / "state"), "UNJAR_REPORTS": "auto"},
    ]  # fmt: skip
    for extra in ways:
        with serving(extra) as scheme:
            ask(scheme, key)
            beside = [sys.executable, "-m", "serving.check"], [sys.executable, "-m", "serving.control", "load", "2"]
            for command in beside[: 1 + ("UNJAR_REPOSITORY" in extra)]:
                subprocess.run(command, env=os.environ | {"UNJAR_PORT": str(PORT)} | extra, check=True, stdout=sys.stderr)
    report(os.environ | {"UNJAR_STATE": str(folder / "state")})
    if Path("batch").is_dir():
        run(str(Path(__file__).with_name("rehearse_batch.py")), str(folder / "tables"))


def report(environment: dict[str, str]) -> None:
    """The operator's commands; nothing was counted in an hour that is over, so that there is nothing to make one of."""
    for command in ("list", "key", "make", "send"):
        subprocess.run([sys.executable, "-m", "serving.report", command], env=environment, stdout=sys.stderr)


def every_module() -> Iterator[str]:
    for package in WHOLE:
        yield package
        path = getattr(importlib.import_module(package), "__path__", [])
        for module in pkgutil.walk_packages(path, package + ".", onerror=lambda name: None):
            if not module.name.startswith(NEVER) and importable(module.name):
                yield module.name
    yield from NAMED


def importable(name: str) -> bool:
    """Some need a package that nobody installed."""
    with contextlib.suppress(ImportError, RuntimeError):
        importlib.import_module(name)
        return True
    return False


def run(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)


@contextlib.contextmanager
def serving(extra: dict[str, str]) -> Iterator[str]:
    environment = os.environ | {"UNJAR_PORT": str(PORT)} | extra
    process = subprocess.Popen([sys.executable, "server.py"], env=environment)
    try:
        limit = time.monotonic() + 60
        while subprocess.run([sys.executable, "-m", "serving.health"], env=environment, stderr=subprocess.DEVNULL).returncode:
            if process.poll() is not None or time.monotonic() > limit:
                raise SystemExit(f"the rehearsal's server with {extra} does not become ready")
            time.sleep(0.1)
        yield "https" if "UNJAR_TLS_CERT" in extra else "http"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def ask(scheme: str, certificate: str) -> None:
    context = ssl._create_unverified_context()
    if scheme == "https":
        context.load_cert_chain(certificate)
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))

    def fetch(path: str, body: bytes | None = None, **headers: str) -> bytes:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(f"{scheme}://{URL}{path}", body, given)
        with contextlib.suppress(urllib.error.HTTPError), opener.open(request, timeout=30) as answer:
            return bytes(answer.read())
        return b""

    for path in ("/v2", "/docs", "/openapi.json", "/metrics", "/v2/models/stats", "/v2/health/live", "/nowhere"):
        fetch(path)
    paths = json.loads(fetch("/openapi.json"))["paths"]
    infer = paths["/v2/models/{name}/infer"]["post"]
    question = json.dumps(infer["requestBody"]["content"]["application/json"]["example"]).encode()
    name = next(one["example"] for one in infer["parameters"] if one["name"] == "name")
    fetch(f"/v2/models/{name}")
    for body in (question, b"{", b"\xff", b'{"inputs": [{}]}', question.replace(b'"data"', b'"date"')):
        fetch(f"/v2/models/{name}/infer", body)
    fetch(f"/v2/models/{name}/infer", question, Accept_Encoding="gzip", Expect="100-continue", Content_Type="text/plain")
    for path, methods in paths.items():
        example = methods.get("post", {}).get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
        if path.startswith("/v1/") and example is not None:
            fetch(path, json.dumps(example).encode())
            fetch(path, json.dumps(example).encode(), Accept="text/event-stream")
    for path in ("/", "/web/page.css", "/v1/catalogue", "/v1/catalogue/naca2412"):
        fetch(path)
    fetch("/v2", b"x")
    fetch("/v1/feedback", b'{"request_id": "rehearsal", "outcome": {"measured": 1.5}}')
    fetch("/status")


def certificate(folder: Path) -> str:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "rehearsal")])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1)).sign(
        key, hashes.SHA256()
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    folder.mkdir()
    (folder / "both.pem").write_bytes(private + made.public_bytes(pem))
    return str(folder / "both.pem")


def signed(folder: Path) -> dict[str, str]:
    """Two releases as the vendor's tool signs them; who trusts the key is told by the settings."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    for number in (1, 2):
        content = Path("model.onnx").read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        (folder / str(number)).mkdir(parents=True)
        (folder / str(number) / "model.onnx").write_bytes(content)
        times = {"created": "2026-01-01T00:00:00Z", "expires": "2026-01-02T00:00:00Z"}
        said = {"name": "model", "number": number, "model": digest, **times}
        (folder / str(number) / "release.json").write_text(json.dumps(said))
        sign(folder / str(number), key)
    (folder / "active").write_text("1")
    form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    (folder.parent / "vendor.pub").write_bytes(key.public_key().public_bytes(*form))
    return {
        "UNJAR_REPOSITORY": str(folder), "UNJAR_TRUSTED_KEYS": str(folder.parent / "vendor.pub"), "UNJAR_REQUIRE_KEYS": "on",
    }  # fmt: skip


def sign(folder: Path, key: Any) -> None:
    import base64

    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    from serving import trust

    resources = [
        {"name": name, "algorithm": "sha256", "digest": hashlib.sha256((folder / name).read_bytes()).hexdigest()}
        for name in ("model.onnx", "release.json")
    ]
    over = hashlib.sha256(b"".join(bytes.fromhex(one["digest"]) for one in resources)).hexdigest()
    statement: dict[str, Any] = {
        "_type": trust.STATEMENT, "subject": [{"name": "release", "digest": {"sha256": over}}],
        "predicateType": trust.PREDICATE, "predicate": {"resources": resources},
    }  # fmt: skip
    payload = json.dumps(statement).encode()
    envelope = b"DSSEv1 %d %b %d %b" % (len(trust.PAYLOAD), trust.PAYLOAD.encode(), len(payload), payload)
    signature = base64.b64encode(key.sign(envelope, ec.ECDSA(hashes.SHA256()))).decode()
    dsse = {"payload": base64.b64encode(payload).decode(), "payloadType": trust.PAYLOAD, "signatures": [{"sig": signature}]}
    (folder / trust.SIGNATURE).write_text(json.dumps({"mediaType": trust.BUNDLE, "dsseEnvelope": dsse}))


if __name__ == "__main__":
    main()
