"""Is every kind of tampering refused, by the server's verifier and by verify.sh, with an error that names what it is?"""

import base64
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from serving.errors import CannotStart, ModelRefused
from serving.trust import SIGNATURE, read_keys, verify
from tests.bundle import signing
from tests.serving import graphs

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "bundle" / "verify.sh"
MINE, NEXT, STRANGER = signing.new_key(), signing.new_key(), signing.new_key()
Change = Callable[[Path], object]
Verifier = Callable[[Path, Path], str]


def by_server(folder: Path, keys: Path) -> str:
    """What it refuses with; nothing when it holds."""
    try:
        verify(folder, read_keys(keys))
    except ModelRefused as refused:
        return str(refused)
    return ""


def by_script(folder: Path, keys: Path) -> str:
    blocks = re.findall(r"-----BEGIN.*?-----END PUBLIC KEY-----\n", keys.read_text(), re.DOTALL)
    flags: list[str] = []
    for number, block in enumerate(blocks):
        one = keys.with_suffix(f".{number}")
        one.write_text(block)
        flags += ["--key", str(one)]
    done = subprocess.run(["sh", SCRIPT, *flags, folder], capture_output=True, text=True, timeout=30)
    assert (done.returncode, bool(done.stderr)) in ((0, False), (1, True)), done
    assert done.returncode == 0 or done.stderr.startswith("verify: REFUSED: ")
    return done.stderr


@pytest.fixture(params=[by_server, by_script])
def refusal(request: pytest.FixtureRequest) -> Verifier:
    verifier: Verifier = request.param
    return verifier


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = signing.release(tmp_path / "release", MINE, graphs.linear())
    (made / "more").mkdir()
    (made / "more" / "notes.txt").write_text("read me")
    signing.sign(made, MINE)
    return made


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return signing.public(tmp_path / "vendor.pub", MINE)


def test_what_was_signed_holds(refusal: Verifier, folder: Path, keys: Path) -> None:
    assert refusal(folder, keys) == ""


def test_either_of_two_keys_will_do(refusal: Verifier, folder: Path, tmp_path: Path) -> None:
    assert refusal(folder, signing.public(tmp_path / "both.pub", NEXT, MINE)) == ""
    assert "not a signature of" in refusal(folder, signing.public(tmp_path / "others.pub", NEXT, STRANGER))


def _flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def _payload(folder: Path, old: str, new: str) -> None:
    """Changes what is signed, and leaves the signature as it is."""
    bundle = json.loads((folder / SIGNATURE).read_text())
    text = base64.b64decode(bundle["dsseEnvelope"]["payload"]).decode()
    assert old in text
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(text.replace(old, new).encode()).decode()
    (folder / SIGNATURE).write_text(json.dumps(bundle))


def _link(folder: Path, name: str) -> None:
    """The same bytes, but somewhere else."""
    away = folder.parent / "away"
    shutil.move(folder / name, away)
    (folder / name).symlink_to(away)


TAMPERED: dict[str, tuple[Change, str]] = {
    "a byte of the model": (
        lambda folder: _flip(folder / "model.onnx", 40), r"model\.onnx: its SHA-256 is \w{64}, .* signed \w{64};",
    ),
    "the model's last byte": (lambda folder: _flip(folder / "model.onnx", -1), r"model\.onnx: its SHA-256 is"),
    "a byte of the manifest": (lambda folder: _flip(folder / "release.json", 12), r"release\.json: its SHA-256 is"),
    "a byte in a folder below": (lambda folder: _flip(folder / "more" / "notes.txt", 0), r"more/notes\.txt: its SHA-256 is"),
    "a model cut short": (lambda folder: os.truncate(folder / "model.onnx", 100), r"model\.onnx: its SHA-256 is"),
    "a digest that was signed": (lambda folder: _payload(folder, '"digest": "', '"digest": "0'), "not a signature of key"),
    "a name that was signed": (lambda folder: _payload(folder, "notes.txt", "other.txt"), "not a signature of key"),
    "no signature": (lambda folder: (folder / SIGNATURE).unlink(), r"model\.sig"),
    "an empty signature": (lambda folder: os.truncate(folder / SIGNATURE, 0), r"model\.sig: "),
    "another key's signature": (lambda folder: signing.sign(folder, STRANGER), "not a signature of key"),
    "an added file": (lambda folder: (folder / "extra.txt").write_text("x") , r"extra\.txt: was not signed by"),
    "an added file below": (lambda folder: (folder / "more" / "x").write_text("x"), "more/x: was not signed by"),
    "an added hidden file": (lambda folder: (folder / ".hidden").write_text("x") , r"\.hidden: was not signed by"),
    "a missing file": (lambda folder: (folder / "release.json").unlink(), r"release\.json: is missing"),
    "a link to the same bytes": (lambda folder: _link(folder, "model.onnx"), r"model\.onnx: is a link"),
    "a linked folder": (lambda folder: _link(folder, "more"), "more.*: is a link"),
    "a linked signature": (lambda folder: _link(folder, SIGNATURE), r"model\.sig|nobody has signed"),
    "a pipe": (lambda folder: os.mkfifo(folder / "pipe"), "pipe: is (no file|a link or a device)"),
    "another kind of payload": (lambda folder: signing.sign(folder, MINE, kind="text/plain"), "signs 'text/plain'"),
    "something that is no statement": (
        lambda folder: signing.sign(folder, MINE, {"_type": "x", "predicateType": "y"}),
        "_type is 'x'|something else than files",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", TAMPERED)
def test_tampering_is_refused_by_name(refusal: Verifier, folder: Path, keys: Path, what: str) -> None:
    change, expected = TAMPERED[what]
    change(folder)
    said = refusal(folder, keys)
    assert re.search(expected, said), said
    assert "Traceback" not in said


@pytest.mark.parametrize("name", ["../model.onnx", "/etc/passwd", "a//b", "-rf", "a b", "more/../release.json", ".hidden", ""])
def test_names_that_lead_elsewhere_are_refused_even_when_signed(refusal: Verifier, folder: Path, keys: Path, name: str) -> None:
    said = signing.statement(folder)
    resources = said["predicate"]["resources"]
    resources[0]["name"] = name
    said["subject"][0]["digest"]["sha256"] = signing.over(resources)
    signing.sign(folder, MINE, said)
    assert "signs" in refusal(folder, keys)


def test_every_single_byte_of_a_signature_matters_or_changes_nothing(folder: Path, keys: Path) -> None:
    """A flipped bit is refused unless it is in what the format does not sign: hints at the key, and names of other members."""
    place = folder / SIGNATURE
    content = place.read_bytes()
    signed = content.index(b'"dsseEnvelope"'), content.index(b'"keyid"')
    accepted = []
    for at in range(len(content)):
        place.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        if by_server(folder, keys) == "":
            accepted.append(at)
    assert [at for at in accepted if signed[0] <= at < signed[1]] == []
    assert len(accepted) < 60


def test_a_digest_over_all_files_that_is_not_theirs_is_refused(folder: Path, keys: Path) -> None:
    said = signing.statement(folder)
    said["subject"][0]["digest"]["sha256"] = "0" * 64
    signing.sign(folder, MINE, said)
    assert "the digest over all files is not" in by_server(folder, keys)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "holds 0 public keys"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "cannot be read"),
    ],
)
def test_a_file_without_a_key_stops_the_start(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "keys.pem"
    path.write_bytes(content)
    with pytest.raises(CannotStart, match=expected):
        read_keys(path)


def test_other_kinds_of_keys_and_too_many_are_refused(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1

    with pytest.raises(CannotStart, match="expected an elliptic curve key on P-256"):
        read_keys(signing.public(tmp_path / "a", signing.new_key(SECP384R1())))
    with pytest.raises(CannotStart, match="holds 3 public keys"):
        read_keys(signing.public(tmp_path / "b", MINE, NEXT, STRANGER))
    with pytest.raises(CannotStart, match="cannot be read: No such file"):
        read_keys(tmp_path / "none")


def test_the_fingerprint_is_the_one_that_openssl_prints(tmp_path: Path) -> None:
    path = signing.public(tmp_path / "a", MINE)
    der = subprocess.run(["openssl", "pkey", "-pubin", "-in", path, "-outform", "DER"], capture_output=True, check=True).stdout
    printed = subprocess.run(["openssl", "dgst", "-sha256"], input=der, capture_output=True, check=True).stdout.decode()
    assert printed.split()[-1] == read_keys(path)[0].fingerprint


@pytest.fixture(scope="session")
def official() -> str:
    subprocess.run([ROOT / "scripts" / "tool", "signing"], check=True)
    return str(ROOT / ".venv-signing" / "bin" / "model_signing")


def test_the_official_tool_signs_what_we_accept(official: str, refusal: Verifier, folder: Path, keys: Path) -> None:
    (folder / SIGNATURE).unlink()
    key = signing.private(folder.parent / "vendor.key", MINE)
    command = [official, "sign", "key", "--private_key", str(key), "--signature", str(folder / SIGNATURE), str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    assert refusal(folder, keys) == ""
    _flip(folder / "model.onnx", 9)
    assert "model.onnx: its SHA-256 is" in refusal(folder, keys)


def test_the_official_tool_accepts_our_form_of_the_signature(official: str, folder: Path, keys: Path) -> None:
    command = [official, "verify", "key", "--public_key", str(keys), "--signature", str(folder / SIGNATURE), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    _flip(folder / "model.onnx", 9)
    assert subprocess.run(command, capture_output=True).returncode != 0


@pytest.mark.parametrize("key", ["nothing here", "not a key"])
def test_the_script_says_what_it_cannot_look_at(tmp_path: Path, folder: Path, key: str) -> None:
    path = tmp_path / "key.pub"
    if key == "not a key":
        path.write_text(key)
    done = subprocess.run(["sh", SCRIPT, "--key", path, folder], capture_output=True, text=True)
    assert done.returncode == 2
    assert "holds no public key that openssl can read" in done.stderr
