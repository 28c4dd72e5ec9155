"""Does a running server change to a new release without a failed request, and never to a bad one?"""

import contextlib
import hashlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.http as tritonclient

from tests.bundle import signing
from tests.serving import graphs
from tests.serving.asking import Running, Start, question

KEY = signing.new_key()
INFER = "/v2/models/test/infer"
QUICK = {"shadow_rows": 20, "shadow_s": 1, "canary_percent": 20, "canary_requests": 20, "canary_s": 1}
Load = Callable[..., httpx.Response]


@pytest.fixture
def releases(tmp_path: Path) -> Path:
    folder = tmp_path / "releases"
    signing.release(folder / "1", KEY, graphs.linear(), 1)
    signing.public(tmp_path / "vendor.pub", KEY)
    return folder


def serve(start: Start, releases: Path, *flags: str, **extra: str) -> Running:
    keys = {"UNJAR_TRUSTED_KEYS": str(releases.parent / "vendor.pub"), "UNJAR_REQUIRE_KEYS": "on"}
    server = start(graphs.linear(), "--model", "unused.onnx", *flags, UNJAR_REPOSITORY=str(releases), **keys | extra)
    if "--processes" in flags and flags[-1] != "1":
        server.wait_for("all_ready")
    return server


def load(server: Running, number: int, **parameters: Any) -> httpx.Response:
    given = {"parameters": QUICK | parameters | {"release": number}}
    return httpx.post(f"{server.url}/v2/repository/models/test/load", json=given, timeout=60)


def states(server: Running) -> dict[str, tuple[str, str]]:
    found = httpx.post(f"{server.url}/v2/repository/index").json()
    return {one["version"]: (one["state"], one["reason"]) for one in found}


def wait(server: Running, number: int, state: str, reason: str = "") -> str:
    limit = time.monotonic() + 30
    while True:
        found = states(server)[str(number)]
        if found[0] == state and found[1].startswith(reason) and found[1] != "not loaded":
            return found[1]
        assert time.monotonic() < limit, (found, server.log.read_text())
        time.sleep(0.02)


@dataclass
class Users:
    """Several who ask the same again and again; whose digest answered, in the order of the answers, for each."""

    server: Running
    digests: list[list[str]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def ask(self, heard: list[str]) -> None:
        with httpx.Client() as client:
            while not self.stop.is_set():
                answer = client.post(self.server.url + INFER, json=question([1, 2, 3]))
                if answer.status_code != 200:
                    self.failed.append(answer.text)
                else:
                    heard.append(answer.headers["x-model-digest"])


@pytest.fixture
def users() -> Iterator[Callable[[Running], Users]]:
    begun: list[tuple[Users, list[threading.Thread]]] = []

    def begin(server: Running, count: int = 4) -> Users:
        made = Users(server, [[] for _ in range(count)])
        threads = [threading.Thread(target=made.ask, args=(heard,)) for heard in made.digests]
        for thread in threads:
            thread.start()
        begun.append((made, threads))
        limit = time.monotonic() + 20
        while not all(made.digests):
            assert time.monotonic() < limit, made.failed
            time.sleep(0.01)
        return made

    yield begin
    for made, threads in begun:
        made.stop.set()
        for thread in threads:
            thread.join()


def halt(users: Users) -> list[list[str]]:
    users.stop.set()
    time.sleep(0.3)
    return users.digests


def changes(heard: list[str]) -> int:
    return sum(a != b for a, b in itertools.pairwise(heard))


@pytest.mark.parametrize("processes", [1, 2])
def test_under_load_the_digest_changes_exactly_once_and_nothing_fails(
    start: Start, releases: Path, users: Callable[[Running], Users], processes: int
) -> None:
    server = serve(start, releases, "--processes", str(processes))
    new = graphs.linear(scale=1.5)
    signing.release(releases / "2", KEY, new, 2)
    asking = users(server)
    # Without a canary: with one, both answer for a while.
    answer = load(server, 2, canary_percent=0)
    assert (answer.status_code, answer.json()["stage"]) == (200, "shadow"), answer.text
    wait(server, 2, "READY")
    expected, limit = hashlib.sha256(new).hexdigest(), time.monotonic() + 20
    while {one[-1] for one in asking.digests if one} != {expected} or not all(asking.digests):
        assert time.monotonic() < limit, "some still hear the old one"
        time.sleep(0.05)
    heard = halt(asking)
    assert asking.failed == []
    assert [changes(one) for one in heard] == [1] * len(heard)
    assert {one[-1] for one in heard} == {expected}
    assert httpx.get(server.url + "/v2").json()["trust"]["release"] == 2
    assert states(server)["1"] == ("UNAVAILABLE", "not loaded")


def test_a_canary_answers_a_few_and_then_all(start: Start, releases: Path, users: Callable[[Running], Users]) -> None:
    server = serve(start, releases)
    signing.release(releases / "2", KEY, graphs.linear(scale=1.5), 2)
    asking = users(server)
    load(server, 2, canary_percent=25, canary_requests=200, canary_s=30)
    wait(server, 2, "LOADING", "canary")
    wait(server, 2, "READY")
    time.sleep(0.2)
    heard = [digest for one in halt(asking) for digest in one]
    assert asking.failed == []
    assert len(set(heard)) == 2
    stages = [event["stage"] for event in server.events() if event["event"] == "rollout"]
    assert stages == ["canary", "spreading", "active"]


def slow() -> bytes:
    """As the model, after five hundred products that change nothing."""
    from onnx import helper

    from serving.signature import Tensor

    rows = {"X": np.array([[1, 2, 3], [0.5, -1, 0.25], [0, 0, 1]], np.float32)}
    eye, weights = np.eye(256, dtype=np.float32), np.array([[1, 10], [2, 20], [3, 30]], np.float32)
    wide, narrow = np.eye(3, 256, dtype=np.float32), np.eye(256, 3, dtype=np.float32)
    steps = [helper.make_node("MatMul", ["X", "wide"], ["h0"])]
    steps += [helper.make_node("MatMul", [f"h{i}", "eye"], [f"h{i + 1}"]) for i in range(500)]
    steps += [helper.make_node("MatMul", ["h500", "narrow"], ["h"]), helper.make_node("MatMul", ["h", "W"], ["predict"])]
    tensors = [Tensor("X", "FP32", (-1, 3))], [Tensor("predict", "FP32", (-1, 2))]
    return graphs.write(*tensors, steps, rows, {"eye": eye, "wide": wide, "narrow": narrow, "W": weights})


def nan_above() -> bytes:
    """As the model, but NaN where the first column is above 0.9 and no verification row is."""
    from onnx import helper

    from serving.signature import Tensor

    rows = {"X": np.array([[0.5, -1, 0.25], [0, 0, 1]], np.float32)}
    weights = np.array([[1, 10], [2, 20], [3, 30]], np.float32)
    steps = [
        helper.make_node("Slice", ["X", "from", "to", "axis"], ["first"]),
        helper.make_node("Sub", ["limit", "first"], ["left"]),
        helper.make_node("Sqrt", ["left"], ["root"]),
        helper.make_node("Sub", ["root", "root"], ["nothing"]),
        helper.make_node("MatMul", ["X", "W"], ["product"]),
        helper.make_node("Add", ["product", "nothing"], ["predict"]),
    ]
    constants = {
        "from": np.array([0]), "to": np.array([1]), "axis": np.array([1]), "limit": np.array([[0.9]], np.float32), "W": weights,
    }  # fmt: skip
    tensors = [Tensor("X", "FP32", (-1, 3))], [Tensor("predict", "FP32", (-1, 2))]
    return graphs.write(*tensors, steps, rows, constants)


WRONG = {"predict": np.full((3, 2), 7, np.float32)}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (lambda: graphs.linear(answers=WRONG), "verification row"),
        (lambda: graphs.echo("FP32"), "clients would break"),
        (lambda: graphs.linear("FP64"), "clients would break"),
        (slow, "one row takes it"),
        (lambda: b"not a model", "cannot load it"),
    ],
    ids=["weights changed and signed again", "another shape", "another datatype", "ten times slower", "no model"],
)
def test_a_bad_release_is_refused_and_no_answer_of_it_reaches_a_user(
    start: Start, releases: Path, users: Callable[[Running], Users], content: Callable[[], bytes], expected: str
) -> None:
    server = serve(start, releases)
    signing.release(releases / "2", KEY, content(), 2)
    asking = users(server)
    answer = load(server, 2)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict"), answer.text
    assert expected in answer.json()["error"]
    time.sleep(0.2)
    assert {digest for one in halt(asking) for digest in one} == {server.wait_for("ready")["digest"]}
    assert asking.failed == []
    assert load(server, 2).status_code == 409, "a refusal ends the rollout, so that the next may begin"


def test_one_that_answers_nan_on_users_rows_is_rolled_back_unheard(
    start: Start, releases: Path, users: Callable[[Running], Users]
) -> None:
    server = serve(start, releases)
    signing.release(releases / "2", KEY, nan_above(), 2)
    asking = users(server)
    assert load(server, 2, shadow_s=30).status_code == 200
    reason = wait(server, 2, "UNAVAILABLE", "rolled_back")
    assert "fails on rows that the active release answers" in reason
    assert {digest for one in halt(asking) for digest in one} == {server.wait_for("ready")["digest"]}
    assert asking.failed == []
    figures = httpx.get(server.url + "/metrics").text
    assert "unjar_rollbacks_total 1.0" in figures
    assert "unjar_swaps_total 0.0" in figures


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda folder: (folder / "model.onnx").write_bytes(graphs.linear(scale=9)), "its SHA-256 is"),
        (lambda folder: (folder / "extra").write_text("x"), "was not signed by"),
        (lambda folder: signing.sign(folder, signing.new_key()), "is not a signature of key"),
        (lambda folder: (folder / "model.sig").unlink(), "cannot be read"),
        (lambda folder: folder.rename(folder.with_name("5")), "there is no such release"),
        (lambda folder: signing.release(folder, KEY, graphs.linear(), 3), "its release.json says number 3"),
    ],
)
def test_what_the_vendor_did_not_sign_is_not_loaded(start: Start, releases: Path, change: Any, expected: str) -> None:
    server = serve(start, releases)
    change(signing.release(releases / "2", KEY, graphs.linear(scale=1.5), 2))
    answer = load(server, 2)
    assert answer.status_code == 409
    assert expected in answer.json()["error"]


def test_versions_go_back_only_when_told(start: Start, releases: Path) -> None:
    signing.release(releases / "2", KEY, graphs.linear(scale=1.5), 2)
    server = serve(start, releases)
    assert states(server)["2"] == ("READY", "")
    refused = load(server, 1)
    assert (refused.status_code, "release 1 is older than 2" in refused.json()["error"]) == (409, True)
    assert load(server, 1, allow_downgrade=True, shadow_s=0, canary_percent=0).status_code == 200
    wait(server, 1, "READY")
    assert load(server, 1).json() == {"release": 1, "stage": "active"}


def test_the_file_active_says_with_which_to_start(start: Start, releases: Path) -> None:
    signing.release(releases / "2", KEY, graphs.linear(scale=1.5), 2)
    (releases / "active").write_text("1\n")
    assert states(serve(start, releases))["1"] == ("READY", "")


def test_tritons_client_lists_and_loads_the_newest(start: Start, releases: Path) -> None:
    server = serve(start, releases)
    signing.release(releases / "2", KEY, graphs.linear(scale=1.5), 2)
    with contextlib.closing(tritonclient.InferenceServerClient(server.url.removeprefix("http://"))) as client:
        assert {one["version"]: one["state"] for one in client.get_model_repository_index()} == {
            "1": "READY",
            "2": "UNAVAILABLE",
        }
        client.load_model("test")
        wait(server, 2, "READY")
        with pytest.raises(tritonclient.InferenceServerException, match="cannot be unloaded"):
            client.unload_model("test")


def test_every_process_knows_that_a_release_is_on_its_way_and_when_it_answers(start: Start, releases: Path) -> None:
    server = serve(start, releases, "--processes", "2")
    signing.release(releases / "2", KEY, graphs.linear(scale=1.5), 2)
    assert load(server, 2, shadow_s=1, canary_percent=0).status_code == 200
    # A new connection each time, so that both are asked.
    seen = []
    limit = time.monotonic() + 30
    while "READY" not in seen:
        seen.append(states(server)["2"][0])
        assert time.monotonic() < limit
    assert set(seen) == {"LOADING", "READY"}
    assert {states(server)["2"][0] for _ in range(20)} == {"READY"}


def test_only_one_rollout_at_a_time(start: Start, releases: Path) -> None:
    server = serve(start, releases)
    for number in (2, 3):
        signing.release(releases / str(number), KEY, graphs.linear(scale=number), number)
    assert load(server, 2, shadow_s=30, shadow_rows=10_000).status_code == 200
    assert "another rollout is on its way" in load(server, 3).json()["error"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("models/other/load", {"parameters": {"release": 2}}, 404),
        ("models/test/load", {"parameters": {"allow_downgrade": 1}}, 400),
        ("models/test/load", {"parameters": {"release": "2"}}, 400),
        ("models/test/load", {"parameters": {"release": 2, "speed": 3}}, 400),
        ("models/test/load", [], 400),
        ("models/test/unload", {}, 409),
    ],
)
def test_orders_that_make_no_sense_are_refused(start: Start, releases: Path, path: str, body: Any, status: int) -> None:
    answer = httpx.post(f"{serve(start, releases).url}/v2/repository/{path}", json=body)
    assert answer.status_code == status
    assert set(answer.json()) == {"error", "code", "request_id"}


def test_without_a_repository_nothing_can_be_loaded(linear: Running) -> None:
    answer = httpx.post(f"{linear.url}/v2/repository/models/linear/load", json={"parameters": {"release": 2}})
    assert (answer.status_code, "UNJAR_REPOSITORY" in answer.json()["error"]) == (409, True)


def test_only_administrators_change_who_answers(start: Start, releases: Path, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(
        "".join(f"{name} {name} {hashlib.sha256(name.encode()).hexdigest()}\n" for name in ("infer", "admin"))
    )
    (tmp_path / "tokens").chmod(0o600)
    server = serve(start, releases, UNJAR_TOKENS=str(tmp_path / "tokens"))
    statuses = [
        httpx.post(
            f"{server.url}/v2/repository/index", headers={"authorization": f"Bearer {token}"} if token else {}
        ).status_code
        for token in ("", "infer", "admin")
    ]
    assert statuses == [401, 403, 200]
