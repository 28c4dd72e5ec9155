"""Does deploy.sh end with a container that answered PASS, or with everything as it was?"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from recommender.answers import dat
from recommender.catalogue import load
from tests.image.engine import ROOT, Done, docker, inspect, names, remove, remove_images, run

STATE = Path()


@pytest.fixture
def port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        return int(free.getsockname()[1])


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What deploy.sh remembers is forgotten after each test."""
    monkeypatch.setattr(sys.modules[__name__], "STATE", tmp_path / "state")


def deploy(image: str, name: str, port: int, *flags: str, folder: Path = ROOT, env: dict[str, str] | None = None) -> Done:
    where = ("--name", name, "--port", str(port), "--state", str(STATE))
    command = (str(folder / "deploy.sh"), "--image", image, *where, *flags)
    done = run(*command, check=False, env=env, timeout_s=180)
    assert "Traceback" not in done.stdout + done.stderr
    return done


def running(name: str, port: int) -> str:
    """The id of the container that answers, and nothing beside it."""
    assert [other for other in names() if other.startswith(name)] == [name]
    assert httpx.get(f"http://127.0.0.1:{port}/v2/health/ready", trust_env=False).status_code == 200
    return str(inspect(name)["Id"])


@pytest.fixture
def broken(image: str, tmp_path: Path) -> Iterator[str]:
    """An image that starts and ends at once."""
    yield variant(image, tmp_path, "unjar-test-broken", "raise SystemExit('the disk is on fire')")
    remove_images("unjar-test-broken")


@pytest.fixture
def silent(image: str, tmp_path: Path) -> Iterator[str]:
    """An image that starts and never listens."""
    yield variant(image, tmp_path, "unjar-test-silent", "import time; time.sleep(600)")
    remove_images("unjar-test-silent")


def variant(image: str, folder: Path, tag: str, code: str) -> str:
    (folder / "Dockerfile").write_text(f"FROM {image}\nENTRYPOINT {json.dumps(['python', '-c', code])}\n")
    docker("build", "--network", "none", "--tag", tag, str(folder))
    return tag


def test_it_ends_with_pass_and_an_address(image: str, name: str, port: int) -> None:
    done = deploy(image, name, port)
    assert done.returncode == 0, done.stderr
    assert "PASS" in done.stdout.splitlines()
    assert f"http://127.0.0.1:{port}" in done.stdout.splitlines()[-1]
    asked = run(
        "python3", "client.py", "--url", f"http://127.0.0.1:{port}", env={"PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}"}
    )
    assert asked.stdout.splitlines()[-1] == "PASS"


def test_a_proxy_in_the_environment_is_not_asked(image: str, name: str, port: int) -> None:
    nobody = "http://127.0.0.1:9"
    assert deploy(image, name, port, env={"HTTP_PROXY": nobody, "http_proxy": nobody}).returncode == 0


def test_the_container_is_hardened_and_survives_a_restart(image: str, name: str, port: int) -> None:
    deploy(image, name, port)
    host = inspect(name)["HostConfig"]
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["PidsLimit"] == 128
    assert host["Memory"] == 1 << 30
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    assert host["PortBindings"] == {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}


def test_a_second_run_replaces_the_first(image: str, name: str, port: int) -> None:
    deploy(image, name, port)
    first = running(name, port)
    assert deploy(image, name, port).returncode == 0
    assert running(name, port) != first


def test_one_that_cannot_start_leaves_the_old_one_running(image: str, name: str, port: int, broken: str) -> None:
    deploy(image, name, port)
    first = running(name, port)
    done = deploy(broken, name, port)
    assert done.returncode == 1
    assert "the disk is on fire" in done.stderr
    assert running(name, port) == first


def test_one_that_cannot_start_leaves_nothing_where_nothing_was(name: str, port: int, broken: str) -> None:
    assert deploy(broken, name, port).returncode == 1
    assert [other for other in names() if other.startswith(name)] == []


def test_an_interrupted_run_leaves_the_old_one_alone(image: str, name: str, port: int, silent: str) -> None:
    deploy(image, name, port)
    first = running(name, port)
    where = ["--name", name, "--port", str(port), "--state", str(STATE)]
    process = subprocess.Popen(
        [str(ROOT / "deploy.sh"), "--image", silent, *where], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    deadline = time.monotonic() + 30
    while f"{name}-candidate" not in docker("ps", "--format", "{{.Names}}").splitlines():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.terminate()
    said = process.communicate(timeout=60)[0].decode()
    assert process.returncode == 2, said
    assert running(name, port) == first


LIAR = """
import asyncio
async def lie(reader, writer):
    head = await reader.readuntil(b"\\r\\n\\r\\n")
    said = b'{"ready":true}' if head.startswith(b"GET") else b'{"outputs":[]}'
    writer.write(b"HTTP/1.0 200 OK\\r\\n\\r\\n" + said)
    await writer.drain()
    writer.close()
async def main():
    await (await asyncio.start_server(lie, "0.0.0.0", 8080)).serve_forever()
asyncio.run(main())
"""


def test_one_that_answers_wrongly_is_not_kept(image: str, name: str, port: int, tmp_path: Path) -> None:
    deploy(image, name, port)
    first = running(name, port)
    (tmp_path / "liar").mkdir()
    liar = variant(image, tmp_path / "liar", "unjar-test-liar", LIAR)
    try:
        done = deploy(liar, name, port)
    finally:
        remove_images("unjar-test-liar")
    assert done.returncode == 1
    assert "FAIL" in done.stdout.splitlines()
    assert running(name, port) == first


def test_a_run_that_was_killed_is_cleared_up_by_the_next(image: str, name: str, port: int) -> None:
    deploy(image, name, port)
    docker("rename", name, f"{name}-previous")
    docker("stop", f"{name}-previous")
    docker("create", "--name", name, "--label", "unjar.deployed=yes", image)
    done = deploy(image, name, port)
    assert done.returncode == 0, done.stderr
    assert "interrupted" in done.stdout
    running(name, port)


def test_a_container_it_did_not_start_is_left_alone(image: str, name: str, port: int) -> None:
    other = docker("run", "--detach", "--network", "none", "--name", name, image)
    done = deploy(image, name, port)
    assert done.returncode == 2
    assert "was not started by deploy.sh" in done.stderr
    assert inspect(name)["Id"] == other
    assert inspect(name)["State"]["Running"]


def test_a_port_taken_by_a_process_is_said(image: str, name: str) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as holder:
        port = int(holder.getsockname()[1])
        done = deploy(image, name, port)
    assert done.returncode == 2
    assert f"port {port} on 127.0.0.1: taken by " in done.stderr
    assert name not in names()


def test_a_port_taken_by_a_container_is_said_and_the_old_one_goes_on(image: str, name: str, port: int) -> None:
    holder = f"unjar-test-holder-{os.getpid()}"
    deploy(image, name, port)
    first = running(name, port)
    try:
        docker("run", "--detach", "--name", holder, "--publish", "127.0.0.1::8080", image)
        taken = int(docker("port", holder, "8080/tcp").rpartition(":")[2])
        done = deploy(image, name, taken)
    finally:
        remove(holder)
    assert done.returncode == 2
    assert f"taken by container {holder}" in done.stderr
    assert running(name, port) == first


def test_a_missing_image_is_said(name: str, port: int) -> None:
    done = deploy("unjar-test-nosuch", name, port)
    assert done.returncode == 2
    assert "image unjar-test-nosuch: not on this engine" in done.stderr


def test_a_missing_engine_is_said(name: str, port: int) -> None:
    done = deploy("unjar", name, port, env={"DOCKER_HOST": "unix:///nonexistent/docker.sock"})
    assert done.returncode == 2
    assert "no engine answers" in done.stderr


@pytest.mark.parametrize("flags", [("--port", "eighty"), ("--port", "123456"), ("--port",), ("--bogus", "1")])
def test_an_order_it_does_not_understand_is_refused(flags: tuple[str, ...]) -> None:
    assert run("./deploy.sh", *flags, check=False).returncode == 2


def test_parts_of_ones_own_are_searched_and_survive_a_new_container(image: str, name: str, port: int, tmp_path: Path) -> None:
    heights = load().contour[100].astype(float)
    for part, scale in (("bracket", 1.1), ("fairing", 0.9)):
        (tmp_path / f"{part}.dat").write_text(dat(f"Our {part}", heights * scale))
    assert deploy(image, name, port).returncode == 0
    parts = (str(ROOT / "deploy.sh"), "--name", name, "parts")
    added = run(*parts, "add", str(tmp_path / "bracket.dat"), str(tmp_path / "fairing.dat"))
    assert added.stdout.splitlines()[-1] == "/state/parts.npz: version 2, 2 parts"
    again = run(*parts, "add", str(tmp_path / "bracket.dat"), check=False)
    assert (again.returncode, "own/bracket is there already" in again.stderr) == (1, True)
    assert run(*parts, "add", str(tmp_path / "nowhere.dat"), check=False).returncode == 2
    assert deploy(image, name, port).returncode == 0
    assert run(*parts, "list").stdout.splitlines()[1:] == ["own/bracket  Our bracket  (own)", "own/fairing  Our fairing  (own)"]
    question = {"shape": {"heights": (heights * 1.1).tolist()}, "k": 1}
    answer = httpx.post(f"http://127.0.0.1:{port}/v1/similar", json=question, trust_env=False, timeout=30)
    assert [part["id"] for part in answer.json()["parts"]] == ["own/bracket"]
