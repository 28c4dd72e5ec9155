"""Does the stack change images under load without a failed question, and go back by itself from a bad one?

Truly run on the engine, in a swarm of one node. The ingress mesh wants a kernel module that these machines lack, so the service
is asked inside its own network, by the addresses that its name has; everything else is deploy/stack.yaml as it is.
"""

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from tests.bundle import signing
from tests.image.engine import ROOT, docker, names, remove, remove_images, run
from tests.image.site import KEY
from tests.serving import graphs

STACK, SERVICE, USERS = "unjar-test", "unjar-test_unjar", "unjar-test-users"
# As a proxy does, an address that takes no connection is passed over; a question that was sent is not sent again.
ASK = """
import collections, http.client, json, signal, socket, sys, threading, time
body = b'{"inputs":[{"name":"X","datatype":"FP32","shape":[1,3],"data":[1,2,3]}]}'
heard, over = collections.Counter(), threading.Event()
signal.signal(signal.SIGTERM, lambda *_: over.set())
def ask():
    while not over.is_set():
        try:
            addresses = sorted({found[4][0] for found in socket.getaddrinfo("unjar", 8080, type=socket.SOCK_STREAM)})
        except OSError:
            heard["no address"] += 1
            continue
        for address in addresses:
            connection = http.client.HTTPConnection(address, 8080, timeout=5)
            try:
                connection.connect()
            except OSError:
                continue
            try:
                connection.request("POST", "/v2/models/test/infer", body)
                answer = connection.getresponse()
                said = answer.read()
                heard[answer.headers["x-model-digest"] if answer.status == 200 else said.decode()[:80]] += 1
            except OSError as error:
                heard[type(error).__name__] += 1
            connection.close()
            break
        else:
            heard["no connection"] += 1
        time.sleep(0.01)
threads = [threading.Thread(target=ask) for _ in range(2)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(json.dumps(heard))
"""


@dataclass
class Swarm:
    digest: str

    def update(self, image: str) -> str:
        """Its state in the end."""
        run(
            "docker",
            "service",
            "update",
            "--detach=false",
            "--quiet",
            "--no-resolve-image",
            "--image",
            image,
            SERVICE,
            check=False,
        )
        return self.state()

    def state(self) -> str:
        said = docker("service", "inspect", "--format", "{{json .UpdateStatus}}", SERVICE)
        return str((json.loads(said) or {}).get("State"))

    def tasks(self) -> list[str]:
        return docker("ps", "--quiet", "--filter", f"name={SERVICE}", "--filter", "health=healthy").splitlines()

    def wait_for(self, healthy: int, within_s: float = 60) -> None:
        deadline = time.monotonic() + within_s
        while len(self.tasks()) != healthy:
            assert time.monotonic() < deadline, docker("service", "ps", "--no-trunc", SERVICE)
            time.sleep(0.3)


@contextlib.contextmanager
def asked(image: str) -> Iterator[dict[str, int]]:
    heard: dict[str, int] = {}
    docker("run", "--detach", "--name", USERS, "--network", f"{STACK}_default", "--entrypoint", "python", image, "-c", ASK)
    try:
        time.sleep(1)
        yield heard
        time.sleep(1)
        docker("stop", "--time", "20", USERS)
        heard |= json.loads(docker("logs", USERS).splitlines()[-1])
    finally:
        remove(USERS)


@pytest.fixture(scope="module")
def images(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    made = {"first": image}
    for name, more in {
        "again": "LABEL again=yes",
        "ends": 'ENTRYPOINT ["python", "-c", "raise SystemExit(1)"]',
        "unready": 'ENTRYPOINT ["python", "-c", "import time; time.sleep(600)"]',
    }.items():
        folder = tmp_path_factory.mktemp(name)
        (folder / "Dockerfile").write_text(f"FROM {image}\n{more}\n")
        made[name] = f"unjar-test-swarm-{name}:latest"
        docker("build", "--network", "none", "--tag", made[name], str(folder))
    yield made
    for name in ("again", "ends", "unready"):
        remove_images(f"unjar-test-swarm-{name}")


@pytest.fixture(scope="module")
def swarm(images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swarm]:
    folder = tmp_path_factory.mktemp("swarm")
    content = graphs.linear()
    signing.release(folder / "releases" / "1", KEY, content, 1)
    (folder / "trust").mkdir()
    signing.public(folder / "trust" / "keys.pem", KEY)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    stack: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "stack.yaml").read_text())
    service = stack["services"]["unjar"]
    del service["ports"]
    service["deploy"]["endpoint_mode"] = "dnsrr"
    # What a real site waits for fifteen seconds is waited for five here.
    service["deploy"]["update_config"]["monitor"] = "5s"
    stack["networks"] = {"default": {"driver": "overlay", "attachable": True}}
    (folder / "stack.yaml").write_text(yaml.safe_dump(stack))
    docker("swarm", "init", "--advertise-addr", "127.0.0.1")
    try:
        given = {"IMAGE": images["first"], "RELEASES": str(folder / "releases"), "TRUST": str(folder / "trust")}
        run("docker", "stack", "deploy", "--resolve-image", "never", "-c", str(folder / "stack.yaml"), STACK, env=given)
        made = Swarm(__import__("hashlib").sha256(content).hexdigest())
        made.wait_for(2)
        yield made
        run("docker", "stack", "rm", STACK, check=False)
    finally:
        docker("swarm", "leave", "--force")
        # The tasks that ended are still there as containers.
        remove(*(name for name in names() if name.startswith(SERVICE)))


def test_a_good_image_takes_the_others_place_without_a_failed_question(swarm: Swarm, images: dict[str, str]) -> None:
    with asked(images["first"]) as heard:
        assert swarm.update(images["again"]) == "completed"
        assert swarm.update(images["first"]) == "completed"
    assert set(heard) == {swarm.digest}, heard
    assert heard[swarm.digest] > 500


@pytest.mark.parametrize("bad", ["ends", "unready"])
def test_a_bad_image_answers_nobody_and_goes_back_by_itself(swarm: Swarm, images: dict[str, str], bad: str) -> None:
    with asked(images["first"]) as heard:
        state = swarm.update(images[bad])
        deadline = time.monotonic() + 90
        while not state.startswith("rollback_completed"):
            assert time.monotonic() < deadline, state
            time.sleep(0.5)
            state = swarm.state()
    swarm.wait_for(2)
    assert set(heard) == {swarm.digest}, heard


def test_a_task_that_is_killed_comes_back_and_the_other_answers_meanwhile(swarm: Swarm, images: dict[str, str]) -> None:
    swarm.wait_for(2)
    with asked(images["first"]) as heard:
        killed = swarm.tasks()[0]
        docker("kill", killed)
        deadline = time.monotonic() + 60
        while len(now := swarm.tasks()) != 2 or killed in now:
            assert time.monotonic() < deadline
            time.sleep(0.3)
    # What the killed one was answering at that moment is lost; it is one question for each user at most.
    assert sum(count for said, count in heard.items() if said != swarm.digest) <= 2, heard


def test_an_operator_goes_back(swarm: Swarm, images: dict[str, str]) -> None:
    assert swarm.update(images["again"]) == "completed"
    with asked(images["first"]) as heard:
        docker("service", "rollback", "--detach=false", "--quiet", SERVICE)
    assert docker("service", "inspect", "--format", "{{.Spec.TaskTemplate.ContainerSpec.Image}}", SERVICE) == images["first"]
    assert set(heard) == {swarm.digest}, heard
