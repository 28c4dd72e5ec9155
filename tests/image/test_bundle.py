"""Does a site come from a bundle to a verified server, from one release to the next and back, and never to a bad one?"""

import gzip
import hashlib
import json
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from socket import create_server
from typing import Any

import numpy as np
import pytest

from tests.bundle import signing
from tests.image.engine import ROOT, docker, inspect, names, remove, remove_images, run
from tests.image.isolated import Isolated
from tests.image.site import KEY, Site, asked, begun, bundle
from tests.serving import graphs

FIRST, SECOND = graphs.linear(), graphs.linear(scale=1.5)
ALWAYS_SEVEN = {"predict": np.full((3, 2), 7, np.float32)}


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def site(tmp_path: Path, name: str) -> Iterator[Site]:
    with closing(create_server(("127.0.0.1", 0))) as free:
        port = int(free.getsockname()[1])
    made = Site(tmp_path, name, port)
    signing.public(made.key, KEY)
    yield made
    remove(f"{name}-candidate")


@pytest.fixture(scope="module")
def other_image(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The same server, built again: another image ID."""
    folder = tmp_path_factory.mktemp("other")
    (folder / "Dockerfile").write_text(f"FROM {image}\nLABEL again=yes\n")
    docker("build", "--network", "none", "--tag", "unjar-test-other", str(folder))
    yield "unjar-test-other"
    remove_images("unjar-test-other")


@pytest.fixture
def first(site: Site, image: str) -> Path:
    """Release 1, installed."""
    made = bundle(site.folder, image, 1, FIRST)
    done = site.deploy(made)
    assert done.returncode == 0, done.stderr
    return made


def test_a_bundle_becomes_a_server_that_says_whose_release_it_is(site: Site, first: Path) -> None:
    assert site.digest() == digest_of(FIRST)
    container = inspect(site.name)
    assert container["HostConfig"]["ReadonlyRootfs"]
    assert container["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
    said = json.loads(run("curl", "-s", "--noproxy", "*", f"{site.url}/v2").stdout)["trust"]
    assert (said["mode"], said["release"]) == ("release", 1)
    assert "healthy" in site.order(first, "status").stdout or "starting" in site.order(first, "status").stdout


def test_the_same_bundle_again_changes_nothing(site: Site, first: Path) -> None:
    before = site.running()
    assert site.deploy(first, key=False).returncode == 0
    assert site.running() == before


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _link(path: Path) -> None:
    shutil.move(path, path.parent.parent / "away")
    path.symlink_to(path.parent.parent / "away")


TAMPERED: dict[str, tuple[Callable[[Path], object], str]] = {
    "the model": (lambda made: _flip(made / "model" / "model.onnx"), "model/model.onnx: its SHA-256 is"),
    "the signature": (lambda made: _flip(made / "bundle.sig"), "bundle.sig: "),
    "the model's signature": (lambda made: _flip(made / "model" / "model.sig"), "model/model.sig: its SHA-256 is"),
    "the manifest": (lambda made: _flip(made / "bundle.json"), "bundle.json: its SHA-256 is"),
    "the image": (lambda made: _flip(made / "image.tar.gz"), "image.tar.gz: its SHA-256 is"),
    "an extra file": (lambda made: (made / "extra").write_text("x"), "extra: was not signed"),
    "a link": (lambda made: _link(made / "model" / "model.onnx"), "model/model.onnx: is a link"),
    "another key": (
        lambda made: signing.sign(made, signing.new_key(), signature="bundle.sig"),
        "bundle.sig: is not a signature of",
    ),
    "no signature": (lambda made: (made / "bundle.sig").unlink(), "REFUSED"),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_a_bundle_that_was_tampered_with_is_refused_by_name(site: Site, first: Path, image: str, what: str) -> None:
    before = site.running()
    made = bundle(site.folder, image, 2, SECOND)
    change, expected = TAMPERED[what]
    change(made)
    done = site.deploy(made)
    assert done.returncode == 1, done.stdout + done.stderr
    assert expected in done.stderr
    assert site.running() == before
    assert site.digest() == digest_of(FIRST)
    assert not (site.folder / "state" / site.name / "releases" / "2").exists()


def test_an_older_release_is_refused_unless_told(site: Site, image: str) -> None:
    assert site.deploy(bundle(site.folder, image, 2, SECOND)).returncode == 0
    older = bundle(site.folder, image, 1, FIRST)
    done = site.deploy(older)
    assert (done.returncode, "release 1 is older than 2" in done.stderr) == (1, True)
    assert site.digest() == digest_of(SECOND)
    assert site.deploy(older, "--allow-downgrade").returncode == 0, "told"
    assert site.digest() == digest_of(FIRST)


def test_a_key_is_remembered_and_only_changed_beside_the_old_one(site: Site, first: Path, image: str) -> None:
    following = signing.new_key()
    made = bundle(site.folder, image, 2, SECOND, following)
    refused = site.deploy(made, "--key", str(signing.public(site.folder / "next.pub", following)), key=False)
    assert refused.returncode == 1
    assert "another key than the one" in refused.stderr
    both = ("--key", str(site.key), "--key", str(site.folder / "next.pub"))
    done = site.deploy(made, *both, key=False)
    assert done.returncode == 0, done.stderr
    assert site.digest() == digest_of(SECOND)


def test_without_a_key_nothing_is_installed(site: Site, image: str) -> None:
    done = site.deploy(bundle(site.folder, image, 1, FIRST), key=False)
    assert (done.returncode, "--key VENDOR.pub is needed once" in done.stderr) == (2, True)
    assert site.name not in names()


def test_settings_and_tokens_are_the_sites_own(site: Site, image: str) -> None:
    trust = site.folder / "state" / site.name / "trust"
    trust.mkdir(parents=True)
    (trust / "tokens").write_text(f"operator admin {hashlib.sha256(b'secret').hexdigest()}\n")
    (trust / "tokens").chmod(0o644)
    (site.folder / "settings").write_text("UNJAR_TOKENS=/trust/tokens\nUNJAR_PROCESSES=2\n")
    (site.folder / "token").write_text("secret\n")
    first = bundle(site.folder, image, 1, FIRST)
    given = ("--settings", str(site.folder / "settings"))
    refused = site.deploy(first, *given)
    assert (refused.returncode, "it answered 401" in refused.stdout) == (1, True), "the check has no token"
    asking = ("--token", str(site.folder / "token"))
    done = site.deploy(first, *given, *asking)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "secret" not in docker("inspect", site.name)
    with pytest.raises(AssertionError, match="unauthorized"):
        site.digest()
    # Remembered: the next one needs no more than the token.
    second = bundle(site.folder, image, 2, SECOND)
    done = site.order(first, "model", str(second / "model"), *asking)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "release: 2" in site.order(first, "status").stdout
    (site.folder / "wrong").write_text("UNJAR_PORTS=1\n")
    before = site.running()
    assert site.deploy(second, "--settings", str(site.folder / "wrong"), *asking).returncode == 1
    assert site.running() == before
    assert (site.folder / "state" / site.name / "settings").read_text() == "UNJAR_TOKENS=/trust/tokens\nUNJAR_PROCESSES=2\n"


def test_a_new_model_for_the_same_image_loses_no_request(site: Site, first: Path, image: str) -> None:
    before = site.running()
    made = bundle(site.folder, image, 2, SECOND)
    with asked(site) as heard:
        done = site.order(first, "model", str(made / "model"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert heard.failed == []
    assert heard.digests[-1] == digest_of(SECOND)
    assert site.running() == before
    with asked(site) as heard:
        assert site.order(first, "rollback").returncode == 0
    assert heard.failed == []
    assert heard.digests[-1] == digest_of(FIRST)


def test_the_release_that_answers_is_the_one_after_a_restart_too(site: Site, first: Path, image: str) -> None:
    assert site.order(first, "model", str(bundle(site.folder, image, 2, SECOND) / "model")).returncode == 0
    docker("restart", "--time", "10", site.name)
    deadline = time.monotonic() + 30
    while run("docker", "exec", site.name, "python", "-m", "serving.health", check=False).returncode:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert site.digest() == digest_of(SECOND)


def test_another_image_takes_a_moment_and_answers_nothing_wrong(site: Site, first: Path, other_image: str) -> None:
    made = bundle(site.folder, other_image, 2, SECOND)
    with asked(site) as heard:
        done = site.deploy(made)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(heard.digests) == {digest_of(FIRST), digest_of(SECOND)}
    assert heard.digests[-1] == digest_of(SECOND)
    # Whoever asks while nobody has the port is told so by the network; docs/bundle-format.md has the measured time.
    assert all(word in ("ConnectError", "ReadError", "RemoteProtocolError", "WriteError") for word in heard.failed), (
        heard.failed
    )
    assert site.order(made, "rollback").returncode == 0
    assert site.digest() == digest_of(FIRST)


def nan_for_users() -> bytes:
    """Answers as it did at the vendor's, and NaN to what users ask."""
    from tests.serving.test_promotion import nan_above

    return nan_above()


def slow() -> bytes:
    from tests.serving.test_promotion import slow as made

    return made()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (lambda: graphs.linear(answers=ALWAYS_SEVEN), "verification row"), (lambda: graphs.echo("FP32"), "clients would break"),
        (nan_for_users, "fails on rows that the active release answers"), (slow, "one row takes it"),
    ],
    ids=["weights changed and signed again", "wrong shape", "NaN answers", "ten times slower"],
)  # fmt: skip
def test_no_answer_of_a_bad_model_reaches_a_user(site: Site, first: Path, image: str, content: Any, expected: str) -> None:
    made = bundle(site.folder, image, 2, content())
    with asked(site) as heard:
        done = site.order(first, "model", str(made / "model"))
    assert done.returncode == 1, done.stdout
    assert expected in done.stdout + done.stderr
    assert set(heard.digests) == {digest_of(FIRST)}
    assert heard.failed == []
    assert len(heard.digests) > 20


BROKEN = ("raise SystemExit('the disk is on fire')", "import time; time.sleep(600)")


@pytest.mark.parametrize("code", BROKEN, ids=["ends at once", "answers nothing"])
def test_no_answer_of_a_bad_image_reaches_a_user(site: Site, first: Path, image: str, tmp_path: Path, code: str) -> None:
    (tmp_path / "variant").mkdir()
    (tmp_path / "variant" / "Dockerfile").write_text(f"FROM {image}\nENTRYPOINT {json.dumps(['python', '-c', code])}\n")
    docker("build", "--network", "none", "--tag", "unjar-test-bad", str(tmp_path / "variant"))
    try:
        made = bundle(site.folder, "unjar-test-bad", 2, SECOND)
        # What waits a minute for an answer is cut short here.
        script = (made / "deploy.sh").read_text().replace("ready_within_s=60", "ready_within_s=3")
        (made / "deploy.sh").write_text(script)
        signing.sign(made, KEY, signature="bundle.sig")
        before = site.running()
        with asked(site) as heard:
            done = site.deploy(made)
    finally:
        remove(f"{site.name}-candidate")
        remove_images("unjar-test-bad")
    assert done.returncode == 1
    assert set(heard.digests) == {digest_of(FIRST)}
    assert heard.failed == []
    assert site.running() == before


def test_killed_at_any_moment_it_leaves_one_that_answers_and_the_next_run_ends_the_work(
    site: Site, first: Path, image: str, other_image: str
) -> None:
    """Twenty times; every upgrade changes the image, which is the longest way."""
    chosen = random.Random(20)
    bundles = [bundle(site.folder / "b", other_image, 2, SECOND), bundle(site.folder / "a", image, 1, FIRST)]
    digests = [digest_of(SECOND), digest_of(FIRST)]
    began = time.monotonic()
    assert site.deploy(bundles[0], "--allow-downgrade").returncode == 0
    whole_s = time.monotonic() - began
    for number in range(1, 21):
        made = bundles[number % 2]
        command = site.command(made / "deploy.sh", "--key", str(site.key), "--port", str(site.port), "--allow-downgrade")
        process = begun(command)
        time.sleep(chosen.uniform(0, whole_s))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]
        assert eventually_answers(site) in digests, number
        done = site.deploy(made, "--allow-downgrade")
        for _ in range(50):
            # The change that was begun goes on without the script that was killed.
            if "another deploy.sh is at work" not in done.stderr:
                break
            time.sleep(0.2)
            done = site.deploy(made, "--allow-downgrade")
        assert done.returncode == 0, (number, done.stdout, done.stderr)
        assert site.digest() == digests[number % 2]
        site.running()


def eventually_answers(site: Site) -> str:
    limit = time.monotonic() + 30
    while True:
        try:
            return site.digest()
        except Exception:
            if time.monotonic() > limit:
                raise
            time.sleep(0.1)


def test_two_operators_at_once_do_not_meet(site: Site, first: Path, image: str, other_image: str) -> None:
    made = bundle(site.folder, other_image, 2, SECOND)
    command = site.command(made / "deploy.sh", "--key", str(site.key), "--port", str(site.port))
    both = [begun(command), begun(command)]
    said = [process.communicate(timeout=120)[0] for process in both]
    codes = sorted(process.returncode for process in both)
    assert codes == [0, 2], said
    assert any("another deploy.sh is at work" in text for text in said)
    assert site.digest() == digest_of(SECOND)


def test_stop_start_and_uninstall(site: Site, first: Path) -> None:
    assert site.order(first, "stop").returncode == 0
    assert site.name not in names()
    assert site.order(first, "status").returncode == 1
    assert site.order(first, "stop").returncode == 0, "twice is once"
    assert site.deploy(first, key=False).returncode == 0
    assert site.digest() == digest_of(FIRST)
    assert site.order(first, "uninstall").returncode == 2, "nobody said yes"
    assert site.digest() == digest_of(FIRST)
    assert site.order(first, "uninstall", "--yes").returncode == 0
    assert site.name not in names()
    assert not (site.folder / "state" / site.name).exists()


def test_there_is_nothing_to_go_back_to_after_the_first(site: Site, first: Path) -> None:
    done = site.order(first, "rollback")
    assert (done.returncode, "nothing to go back to" in done.stderr) == (1, True)


def test_a_look_at_the_host_changes_nothing(site: Site, image: str) -> None:
    made = bundle(site.folder, image, 1, FIRST)
    done = site.order(made, "--check", "--port", str(site.port), "--key", str(site.key))
    assert done.returncode == 0, done.stdout
    assert "this host can run it" in done.stdout
    assert {line.split()[0] for line in done.stdout.splitlines()} <= {"pass", "warn", "deploy:"}
    _flip(made / "model" / "model.onnx")
    with closing(create_server(("127.0.0.1", site.port))):
        done = site.order(made, "--check", "--port", str(site.port), "--key", str(site.key))
    faults = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
    assert done.returncode == 1
    assert len(faults) == 2
    assert any(f"port: {site.port} on 127.0.0.1 is taken" in line for line in faults)
    assert any("model.onnx" in line for line in faults)
    assert not (site.folder / "state").exists()


def test_a_site_without_a_network_verifies_loads_deploys_and_passes(
    image: str, isolated: Isolated, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "image.tar.gz"
    docker("save", "--output", str(tmp_path / "image.tar"), image)
    with (tmp_path / "image.tar").open("rb") as source, gzip.open(archive, "wb", 1) as target:
        shutil.copyfileobj(source, target)
    made = bundle(tmp_path, image, 1, FIRST, archive=archive)
    site = Site(tmp_path, "unjar-isolated", 8080)
    signing.public(site.key, KEY)
    began = time.monotonic()
    done = isolated.run(*site.command(made / "deploy.sh", "--key", str(site.key), "--port", "8080"))
    took_s = time.monotonic() - began
    with capsys.disabled():
        sys.stdout.write(f"\na site without a network: verified, loaded, deployed and passed in {took_s:.1f} s\n")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS" in done.stdout.splitlines()
    assert "loading the image" in done.stdout
    routes = "print([line.split()[1] for line in open('/proc/net/route').readlines()[1:]])"
    away = "import socket; socket.create_connection(('192.0.2.1', 443), 2)"
    assert isolated.run("docker", "exec", site.name, "python", "-c", routes).returncode == 0
    assert isolated.run("docker", "exec", site.name, "python", "-c", away).returncode != 0
    isolated.run("docker", "rm", "--force", site.name)


def test_what_build_sh_makes_is_what_a_site_installs(site: Site, image: str, tmp_path: Path) -> None:
    """The vendor's whole way, with the official signing tool; the site's by the archive it gets."""
    project = tmp_path / "project"
    run("git", "clone", "--quiet", str(ROOT), str(project))
    key = signing.private(tmp_path / "vendor.pem", KEY)
    shutil.copytree(ROOT / "build" / "wheels" / "serving", project / "build" / "wheels" / "serving")
    run(str(ROOT / "scripts" / "tool"), "signing")
    for venv in (".venv", ".venv-signing"):
        (project / venv).symlink_to(ROOT / venv)
    flags = ("--name", "unjar-test-vendor", "--number", "1", "--key", str(key))
    try:
        said = run("./build.sh", "--bundle", *flags, cwd=project, timeout_s=900).stdout
        assert "signed by key" in said
        run("tar", "-xf", str(project / "build" / "model-1.tar"), cwd=tmp_path)
        done = site.deploy(tmp_path / "model-1")
        assert done.returncode == 0, done.stdout + done.stderr
        official = [str(ROOT / ".venv-signing/bin/model_signing"), "verify", "key", "--public_key", str(site.key)]
        run(*official, "--signature", str(tmp_path / "model-1" / "bundle.sig"), str(tmp_path / "model-1"))
        run("./build.sh", "--model-only", *flags[2:3], "2", *flags[4:], "--expires", "2030-01-01", cwd=project)
        run("tar", "-xf", str(project / "build" / "model-2-model.tar"), cwd=tmp_path)
        assert (project / "build" / "model-2-model.tar").stat().st_size < 1_000_000
        assert site.order(tmp_path / "model-1", "model", str(tmp_path / "model-2")).returncode == 0
        assert "release: 2" in site.order(tmp_path / "model-1", "status").stdout
    finally:
        remove(site.name)
        remove_images("unjar-test-vendor")


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        (("--bundle",), "--bundle needs --number N"),
        (("--bundle", "--number", "one"), "--bundle needs --number N"),
        (("--bundle", "--number", "1"), "needs --key"),
        (("--bundle", "--number", "1", "--key", "README.md"), "holds no private key"),
        (("--model-only", "--number", "1", "--key", "nowhere.pem"), "'nowhere.pem' is no file"),
    ],
)
def test_a_vendors_order_that_makes_no_sense_is_refused(flags: tuple[str, ...], found: str) -> None:
    done = run("./build.sh", *flags, check=False)
    assert (done.returncode, found in done.stderr) == (2, True), done.stderr
