"""Does the image run with nothing it does not need, stop when told, and open no pickle?"""

import time

import pytest

from tests.image.engine import HARDENED, Start, docker, inspect, python_in, run, wait_until_healthy

REFUSED = """
import io, pickle, numpy as np
stream = bytes.fromhex("8004950d000000000000007d948c0173948c026f6b94732e")
attempts = {
    "loads": lambda: pickle.loads(stream),
    "load": lambda: pickle.load(io.BytesIO(stream)),
    "Unpickler": lambda: pickle.Unpickler(io.BytesIO(stream)).load(),
    "subclass": lambda: type("Own", (pickle.Unpickler,), {})(io.BytesIO(stream)),
    "dumps": lambda: pickle.dumps({}),
    "numpy": lambda: np.load(io.BytesIO(stream), allow_pickle=True),
}
for name, attempt in attempts.items():
    try:
        attempt()
        print(name, "opened it")
    except (pickle.PickleError, ValueError) as error:
        print(name, "refused")
"""
IMPORTED = """
import importlib.util as util
unpicklers = ["_pickle", "_compat_pickle", "pickletools", "shelve", "joblib", "cloudpickle", "dill"]
builders = ["pip", "setuptools", "sklearn", "skl2onnx", "onnx", "scipy", "pandas", "conversion", "training"]
print([name for name in unpicklers + builders if util.find_spec(name)])
"""
COUNTED = """
import pickle
from serving import guard
guard.refuse_unpickling()
try:
    pickle.loads(b"")
except guard.Refused:
    print(guard.attempts()["unpickling"])
"""


def test_it_turns_healthy_without_rights_or_a_network(hardened: str) -> None:
    wait_until_healthy(hardened)


ASKED = """
import json, sys, urllib.error, urllib.request
def ask(path, body=None, **headers):
    try:
        with urllib.request.urlopen(urllib.request.Request("http://127.0.0.1:8080" + path, body, headers)) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read()
document = json.loads(ask("/openapi.json")[1])
version = json.loads(ask("/v2/models/model")[1])["versions"][0]
for path, methods in document["paths"].items():
    asked = methods.get("post", {}).get("requestBody", {}).get("content", {}).get("application/json", {})
    body = json.dumps(asked.get("example", {})).encode() if "post" in methods else None
    named = path.replace("{name}", "model").replace("{version}", version).replace("{identity}", "naca2412")
    status, said = ask(named, body)
    print(path, status)
for path in ("/", "/docs", "/nowhere"):
    print(path, *ask(path)[:1])
"""


def test_every_address_answers_in_the_image_too(hardened: str) -> None:
    """What a module is missing for shows only when it is asked for."""
    wait_until_healthy(hardened)
    said = dict(line.split(" ") for line in python_in(hardened, ASKED).splitlines())
    conflicts = {path for path, status in said.items() if status == "409"}
    # Nothing is kept in this one, and one that has no repository has nothing to load.
    repository = {"/v2/repository/models/{name}/load", "/v2/repository/models/{name}/unload"}
    assert conflicts == {"/v1/feedback"} | repository - {path for path, status in said.items() if status == "400"}
    assert {path: status for path, status in said.items() if status != "200" and path not in conflicts} == {"/nowhere": "404"}
    assert len(said) > 12


def test_every_way_to_unpickle_is_refused(hardened: str) -> None:
    said = dict(line.split(" ", 1) for line in python_in(hardened, REFUSED).splitlines())
    assert said == dict.fromkeys(("loads", "load", "Unpickler", "subclass", "dumps", "numpy"), "refused")


def test_nothing_that_runs_models_from_pickles_can_be_imported(hardened: str) -> None:
    assert python_in(hardened, IMPORTED) == "[]"


def test_an_attempt_to_unpickle_reaches_the_guard(hardened: str) -> None:
    assert python_in(hardened, COUNTED) == "1"


def test_the_process_holds_no_rights(hardened: str) -> None:
    status = python_in(hardened, "print(open('/proc/1/status').read())")
    fields = dict(line.split(":", 1) for line in status.splitlines())
    assert fields["Uid"].split() == ["65532"] * 4
    assert {int(fields[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert fields["NoNewPrivs"].strip() == "1"


def test_nothing_can_be_written(hardened: str) -> None:
    code = "import os\nfor folder in ('/', '/app', '/tmp', '/usr/local/lib'): print(os.access(folder, os.W_OK))"
    assert set(python_in(hardened, code).splitlines()) == {"False"}


@pytest.mark.parametrize("network", ["none", "bridge"])
def test_it_stops_with_0_when_told(start: Start, network: str) -> None:
    container = start(*HARDENED, "--network", network, "--health-interval", "1s")
    wait_until_healthy(container)
    began = time.monotonic()
    docker("stop", "--time", "30", container)
    assert inspect(container)["State"]["ExitCode"] == 0
    assert time.monotonic() - began < 10


def test_a_model_it_does_not_know_is_refused_with_1(image: str) -> None:
    done = run("docker", "run", "--rm", *HARDENED, "--network", "none", image, "--model", "server.py", check=False)
    assert done.returncode == 1
    assert "server.py" in done.stderr
    assert "Traceback" not in done.stderr


DISKS = {
    "read-only": ("--tmpfs", "/state:ro,uid=65532,gid=65532"),
    "full": ("--tmpfs", "/state:size=16k,uid=65532,gid=65532"),
    "not the server's": ("--tmpfs", "/state:uid=0,gid=0,mode=0755"),
}
ASKS = """
import json, urllib.request
def fetch(path, said=None):
    body = None if said is None else json.dumps(said).encode()
    return urllib.request.urlopen(urllib.request.Request("http://127.0.0.1:8080" + path, body), timeout=10).read().decode()
row = [{"name": "X", "datatype": "FP64", "shape": [1, 130], "data": [0.01] * 130}]
for _ in range(200):
    fetch("/v2/models/model/infer", {"inputs": row})
print("answered", "Counts cannot be written" in fetch("/status"))
"""


@pytest.mark.parametrize("disk", DISKS)
def test_whatever_the_disk_for_counts_is_the_server_answers(start: Start, disk: str) -> None:
    flags = (*HARDENED, "--network", "none", "--health-interval", "1s", "--env", "UNJAR_STATE=/state", *DISKS[disk])
    container = start(*flags)
    wait_until_healthy(container)
    # Longer than it takes to write down what was counted.
    for _ in range(3):
        assert python_in(container, ASKS).startswith("answered")
        time.sleep(2.5)
    assert python_in(container, ASKS) == "answered True"
    assert "telemetry_not_kept" in run("docker", "logs", container).stderr


def test_counts_are_kept_in_a_volume_that_is_the_servers(start: Start) -> None:
    flags = (*HARDENED, "--network", "none", "--health-interval", "1s", "--env", "UNJAR_STATE=/state")
    container = start(*flags, "--volume", "/state")
    wait_until_healthy(container)
    assert python_in(container, ASKS) == "answered False"
    time.sleep(5)
    counted = "import sqlite3, json; print(sum(json.loads(row[0])['requests']['answered'] for row in" + (
        " sqlite3.connect('/state/telemetry.db').execute('SELECT tally FROM windows')))"
    )
    assert python_in(container, counted) == "200"
