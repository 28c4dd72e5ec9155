"""Does a running server answer the recommender's questions, with the limits, errors, request ids and figures of all others?"""

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import numpy as np
import pytest

from recommender import parts
from recommender.answers import dat
from recommender.catalogue import load
from recommender.contour import STATIONS, outline
from recommender.encoder import Encoder
from recommender.parts import Part
from recommender.polar import Flight
from recommender.workshop import Workshop
from tests.recommender import test_malformed as malformed
from tests.recommender.conftest import ROOT, turned
from tests.serving.asking import Running, Start
from tests.serving.conftest import start as start

KNOWN = load().contour.astype("float64")
SHAPE = {"part": "naca2412"}
QUESTIONS: dict[str, dict[str, Any]] = {
    "/v1/encode": {"shape": SHAPE},
    "/v1/similar": {"shape": SHAPE, "k": 3},
    "/v1/polar": {"shape": SHAPE, "reynolds": [2e5, 1e6], "alphas": [0, 2, 4]},
    "/v1/recommend": {"shape": SHAPE, "requirements": {"lift": 0.8}, "k": 3},
    "/v1/generate": {"shape": SHAPE, "requirements": {"lift": 0.8}, "k": 3, "steps": 5},
    "/v1/decode": {"latent": [0.5] * 24},
}


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def running(start: Start, state: Path) -> Running:
    return start((ROOT / "model.onnx").read_bytes(), name="model", UNJAR_STATE=str(state))


@pytest.fixture(scope="module")
def web(running: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running.url, timeout=30) as client:
        yield client


def ask(web: httpx.Client, path: str, body: Any, **headers: str) -> dict[str, Any]:
    answer = web.post(path, json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    return said


def refused(web: httpx.Client, path: str, body: Any, code: str, status: int = 400) -> str:
    answer = web.post(path, content=body if isinstance(body, bytes) else json.dumps(body).encode())
    said = answer.json()
    assert (answer.status_code, said["code"]) == (status, code), answer.text
    assert said["request_id"] == answer.headers["x-request-id"]
    return str(said["error"])


def test_every_question_is_answered_while_nothing_forbidden_is_tried(web: httpx.Client, running: Running) -> None:
    for path, body in QUESTIONS.items():
        answer = web.post(path, json=body)
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-request-id"]
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert web.get("/v1/catalogue").status_code == 200
    assert not [event for event in running.events() if event["event"].endswith("_refused")]


def test_a_drawing_is_known_again(web: httpx.Client) -> None:
    text = dat("My  wing", KNOWN[100])
    said = ask(web, "/v1/encode", {"shape": {"dat": text}})
    assert said["name"] == "My wing"
    assert said["drawing"]["points"] == 129
    assert max(abs(a - b) for a, b in zip(said["heights"], KNOWN[100], strict=True)) < 2e-4
    found = ask(web, "/v1/similar", {"shape": {"dat": text}, "k": 2})
    assert found["searched"] == web.get("/v1/catalogue").json()["count"]
    assert found["parts"][0]["id"] == load().id[100]
    assert found["parts"][0]["distance"] < 0.02 < found["parts"][1]["distance"]


def test_neighbours_and_polar_come_in_the_same_answer_for_who_asks(web: httpx.Client) -> None:
    alone = {path: ask(web, path, QUESTIONS[path]) for path in ("/v1/encode", "/v1/similar", "/v1/polar")}
    flown = {name: value for name, value in QUESTIONS["/v1/polar"].items() if name != "shape"}
    together = ask(web, "/v1/encode", {"shape": SHAPE, "similar": 3, "polar": flown})
    assert together == alone["/v1/encode"] | {"similar": alone["/v1/similar"], "polar": alone["/v1/polar"]}
    assert "polar.shape: " in refused(web, "/v1/encode", {"shape": SHAPE, "polar": {"shape": SHAPE}}, "invalid_input")


def test_what_a_shaky_hand_drew_is_said_to_be_smoothed_and_is_a_section_at_every_address(web: httpx.Client) -> None:
    points = outline(KNOWN[100]) + np.random.default_rng(2).normal(scale=0.004, size=(129, 2))
    said = ask(web, "/v1/encode", {"shape": {"points": points.tolist()}})
    assert said["drawing"]["smoothed"]
    assert said["drawing"]["noise"] == pytest.approx(0.4, rel=0.3)
    found = ask(web, "/v1/similar", {"shape": {"heights": said["heights"]}, "k": 1})["parts"][0]
    assert found["id"] == load().id[100]
    steady = ask(web, "/v1/encode", {"shape": {"points": outline(KNOWN[100]).tolist()}})["drawing"]
    assert (steady["smoothed"], steady["crossed"]) == (False, 0.0)


@pytest.mark.parametrize("way", ["points", "heights", "latent", "part"])
def test_the_same_section_said_in_another_way_is_the_same(web: httpx.Client, way: str) -> None:
    part = web.get("/v1/catalogue/naca2412").json()
    said = {"points": part["outline"], "heights": part["heights"], "latent": part["latent"], "part": "naca2412"}
    found = ask(web, "/v1/encode", {"shape": {way: said[way]}})
    assert max(abs(a - b) for a, b in zip(found["latent"][:24], part["latent"][:24], strict=True)) < 0.05


def test_a_polar_is_the_graphs_own(web: httpx.Client, shop: Workshop) -> None:
    said = ask(web, "/v1/polar", QUESTIONS["/v1/polar"])
    assert [one["reynolds"] for one in said["polars"]] == [2e5, 1e6]
    assert said["predicted_by"] == "NeuralFoil large"
    row = shop.catalogue.row("naca2412")
    assert row is not None

    expected = shop.polar.sweep(shop.heights[row][None], np.array([0.0, 2.0, 4.0]), Flight(2e5, 9.0))
    assert said["polars"][0]["CL"] == pytest.approx(expected["CL"][0].tolist(), abs=1e-5)
    assert said["polars"][0]["CD"] == pytest.approx(np.exp(expected["ln_CD"][0]).tolist(), abs=1e-5)


def test_recommendations_say_what_they_are(web: httpx.Client) -> None:
    said = ask(web, "/v1/recommend", QUESTIONS["/v1/recommend"])
    assert said["reference"]["kind"] == "given"
    assert said["reference"]["gain"] == 0
    assert said["requirements"]["lift"] == 0.8
    assert said["nearest"][0]["id"] == "naca2412"
    assert [one["kind"] for one in said["better"]] == ["better"] * len(said["better"])
    assert all(one["gain"] > 0 and one["misses"] == [] and "% L/D at CL 0.80" in one["why"] for one in said["better"])
    assert said["nearest_miss"] is None
    assert "two-dimensional, incompressible" in said["limits"]


def test_when_none_is_feasible_the_nearest_miss_is_said(web: httpx.Client) -> None:
    said = ask(web, "/v1/recommend", {"shape": SHAPE, "requirements": {"thickness_min": 34}})
    assert (said["feasible"], said["better"]) == (0, [])
    assert said["nearest_miss"]["says"].startswith("none feasible, nearest miss: ")
    assert said["nearest_miss"]["part"]["misses"]


def test_the_same_seed_generates_the_same(web: httpx.Client) -> None:
    once, again = (ask(web, "/v1/generate", QUESTIONS["/v1/generate"] | {"seed": 3}) for _ in range(2))
    assert once == again
    assert all(one["kind"] == "generated" and one["id"] is None for one in once["generated"])


def test_a_generated_section_can_be_asked_for_by_its_coordinates(web: httpx.Client) -> None:
    made = ask(web, "/v1/generate", QUESTIONS["/v1/generate"])["generated"][0]
    decoded = ask(web, "/v1/decode", {"latent": made["latent"]})
    assert decoded["valid"]
    assert decoded["heights"] == pytest.approx(made["heights"], abs=2e-6)


def events(answer: httpx.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    for part in "".join(answer.iter_text()).split("\n\n")[:-1]:
        kind, data = part.split("\n")
        yield kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))


def test_progress_is_told_and_the_result_is_that_of_the_plain_answer(web: httpx.Client) -> None:
    body = QUESTIONS["/v1/generate"]
    with web.stream("POST", "/v1/generate", json=body, headers={"accept": "text/event-stream"}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["x-request-id"]
        told = list(events(answer))
    assert [kind for kind, _ in told] == ["progress"] * 5 + ["result"]
    assert [said["step"] for _, said in told[:-1]] == [1, 2, 3, 4, 5]
    assert told[-1][1] == ask(web, "/v1/generate", body)


def test_a_refusal_on_the_way_is_an_event(web: httpx.Client) -> None:
    body = {"shape": {"part": "no such part"}}
    with web.stream("POST", "/v1/generate", json=body, headers={"accept": "text/event-stream"}) as answer:
        told = list(events(answer))
    assert [(kind, said["code"]) for kind, said in told] == [("error", "not_found")]
    assert told[0][1]["request_id"] == answer.headers["x-request-id"]


def test_who_leaves_a_search_ends_it(web: httpx.Client, running: Running) -> None:
    body = QUESTIONS["/v1/generate"] | {"steps": 100}
    for _ in range(6):
        with httpx.stream("POST", f"{running.url}/v1/generate", json=body, headers={"accept": "text/event-stream"}) as answer:
            next(answer.iter_raw())
    # Six whole searches one after the other would keep this one out: at most four may wait.
    limit = time.monotonic() + 20
    while web.post("/v1/generate", json=QUESTIONS["/v1/generate"]).status_code == 503:
        assert time.monotonic() < limit
        time.sleep(0.02)


def test_more_searches_than_may_wait_are_told_to_come_again(web: httpx.Client, running: Running) -> None:
    body = QUESTIONS["/v1/generate"] | {"steps": 60}
    codes: list[tuple[int, str | None]] = []

    def one() -> None:
        answer = httpx.post(f"{running.url}/v1/generate", json=body, timeout=60)
        codes.append((answer.status_code, answer.headers.get("retry-after")))

    threads = [threading.Thread(target=one) for _ in range(10)]
    for thread in threads:
        thread.start()
    # Meanwhile quick questions have their own thread, and the model its loop.
    assert web.post("/v1/encode", json=QUESTIONS["/v1/encode"]).status_code == 200
    assert web.get("/v2/health/ready").status_code == 200
    for thread in threads:
        thread.join()
    assert set(codes) == {(200, None), (503, "1")}


NUMBER = "input should be a valid number, found"
ENCODE, POINTS = "/v1/encode", "shape.points"
WRONG: list[tuple[str, Any, str, str]] = [
    (ENCODE, {"shape": {"dat": "no\n1 2\n"}}, "invalid_contour", "outline: found 1 points, expected at least 10"),
    (ENCODE, {"shape": {"points": [[1, 0], [0, 0]]}}, "invalid_contour", "outline: found 2 points, expected "),
    (ENCODE, {"shape": {"points": [[1, 0], [0, "0"]]}}, "invalid_input", f"{POINTS}.1.1: {NUMBER} a string"),
    (ENCODE, {"shape": {"points": [[1, 0], [0, True]]}}, "invalid_input", f"{POINTS}.1.1: {NUMBER} a boolean"),
    (ENCODE, {"shape": {"points": [[1, 0, 0]]}}, "invalid_input", f"{POINTS}.0: "),
    (ENCODE, {"shape": {"heights": [0] * 129}}, "invalid_input", "shape.heights: "),
    (ENCODE, {"shape": {"heights": [0] * 130}}, "invalid_contour", "shape: 0.0% of chord thick, expected 3% to 35%"),
    (ENCODE, {"shape": {}}, "invalid_input", "shape: found none of dat, points, heights, latent, part, expected exactly one"),
    (ENCODE, {"shape": {"part": "a", "dat": "b"}}, "invalid_input", "shape: found ['dat', 'part'] of "),
    (ENCODE, {}, "invalid_input", "shape: field required"),
    (ENCODE, [1], "invalid_input", "the request: "),
    (ENCODE, b"{", "invalid_json", "the request is not JSON: "),
    (ENCODE, b'{"shape": {"points": [[NaN, 1]]}}', "invalid_input", f"{POINTS}.0.0: input should be a finite number"),
    (ENCODE, {"shape": SHAPE, "shap": 1}, "invalid_input", "shap: extra inputs are not permitted"),
    ("/v1/similar", {"shape": SHAPE, "k": 0}, "invalid_input", "k: input should be greater than or equal to 1, found 0"),
    ("/v1/similar", {"shape": SHAPE, "k": 2.5}, "invalid_input", "k: "),
    (
        "/v1/polar",
        {"shape": SHAPE, "reynolds": 10},
        "invalid_input",
        "reynolds.0: input should be greater than or equal to 50000",
    ),
    ("/v1/polar", {"shape": SHAPE, "alphas": []}, "invalid_input", "alphas: "),
    ("/v1/recommend", {"shape": SHAPE, "requirements": {"thick": 1}}, "invalid_input", "requirements.thick: "),
    ("/v1/generate", {"shape": SHAPE, "steps": 1000}, "invalid_input", "steps: "),
    ("/v1/generate", {"shape": SHAPE, "seed": -1}, "invalid_input", "seed: "),
    ("/v1/decode", {"latent": [1e9] * 24}, "invalid_input", "latent.0: "),
    ("/v1/decode", {"latent": [1]}, "invalid_input", "latent: "),
]


@pytest.mark.parametrize(("path", "body", "code", "said"), WRONG)
def test_what_is_wrong_is_said_with_its_place(web: httpx.Client, path: str, body: Any, code: str, said: str) -> None:
    assert refused(web, path, body, code).startswith(said)


def test_a_part_that_is_not_there_is_not_found(web: httpx.Client) -> None:
    assert "'nope'" in refused(web, "/v1/encode", {"shape": {"part": "nope"}}, "not_found", 404)
    assert web.get("/v1/catalogue/nope").status_code == 404


def test_a_shape_far_from_all_sections_is_told_and_not_wrong(web: httpx.Client) -> None:
    said = ask(web, "/v1/decode", {"latent": [-8.0, -8.0] + [0.0] * 22})
    assert not said["valid"]
    assert "cross" in said["why"] or "thick" in said["why"]


def test_own_parts_are_found_as_soon_as_they_are_added(web: httpx.Client, state: Path, shop: Workshop) -> None:
    heights = KNOWN[100] * 1.07
    parts.add(state / parts.FILE, [Part("bracket", "Bracket 7", "hangar", heights)], Encoder.of(shop.encoder.model, KNOWN))
    found = ask(web, "/v1/similar", {"shape": {"heights": heights.tolist()}, "k": 1})["parts"][0]
    assert (found["id"], found["name"], found["source"], found["own"]) == ("own/bracket", "Bracket 7", "hangar", True)
    said = web.get("/v1/catalogue").json()
    assert (said["count"], said["own"], said["own_version"]) == (len(KNOWN) + 1, 1, 1)
    assert web.get("/v1/catalogue/own/bracket").json()["source"] == "hangar"


def test_feedback_on_a_recommendation_is_taken(web: httpx.Client) -> None:
    identity = web.post("/v1/recommend", json=QUESTIONS["/v1/recommend"]).headers["x-request-id"]
    answer = web.post("/v1/feedback", json={"request_id": identity, "outcome": "accepted"})
    assert (answer.status_code, answer.json()["noted"]) == (202, ["verdict"])


def test_every_answer_is_in_the_figures(web: httpx.Client) -> None:
    web.post("/v1/decode", json=QUESTIONS["/v1/decode"])
    refused(web, "/v1/decode", {}, "invalid_input")
    text = web.get("/metrics").text
    for code in (200, 400):
        assert f'unjar_requests_total{{code="{code}",route="/v1/decode"}}' in text


def test_every_address_is_described_with_an_example_that_works(web: httpx.Client) -> None:
    document = web.get("/openapi.json").json()
    for path in QUESTIONS:
        schema = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        example = schema["example"]
        jsonschema.validate(example, schema | {"components": document["components"]})
        ask(web, path, example)


def test_a_server_with_another_model_says_that_it_cannot(start: Start) -> None:
    from tests.serving import graphs

    running = start(graphs.linear(), name="linear")
    answer = httpx.post(f"{running.url}/v1/encode", json={"shape": SHAPE})
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert "expected (-1, 130)" in answer.json()["error"]


def test_a_server_with_another_encoder_recommends_in_its_coordinates(start: Start) -> None:
    running = start(turned(), name="other")
    with httpx.Client(base_url=running.url, timeout=30) as web:
        found = ask(web, "/v1/similar", {"shape": SHAPE, "k": 1})["parts"][0]
        assert (found["id"], found["distance"]) == ("naca2412", 0.0)
        assert ask(web, "/v1/generate", QUESTIONS["/v1/generate"])["generated"]
    assert not [event for event in running.events() if event["event"].endswith("_refused")]


def test_with_tokens_the_questions_are_guarded(start: Start, tmp_path: Path) -> None:
    import hashlib

    (tmp_path / "tokens").write_text(f"anna infer {hashlib.sha256(b'secret-of-anna-1234').hexdigest()}\n")
    running = start((ROOT / "model.onnx").read_bytes(), name="model", UNJAR_TOKENS=str(tmp_path / "tokens"))
    assert httpx.post(f"{running.url}/v1/encode", json=QUESTIONS["/v1/encode"]).status_code == 401
    bearer = {"authorization": "Bearer secret-of-anna-1234"}
    assert httpx.post(f"{running.url}/v1/encode", json=QUESTIONS["/v1/encode"], headers=bearer, timeout=30).status_code == 200


def cut(row: int, at: float) -> list[list[float]]:
    """A part's outline without what lies behind x/c = at."""
    around = outline(KNOWN[row])
    kept = around[around[:, 0] < at]
    ends = [[at, float(np.interp(at, STATIONS, side))] for side in (KNOWN[row][:65], KNOWN[row][65:])]
    return [ends[0], *kept.tolist(), ends[1]]


def test_a_cut_part_is_found_and_an_extension_offered_and_only_done_when_asked(web: httpx.Client) -> None:
    rows = [row for row in range(0, 600, 40) if KNOWN[row][64] - KNOWN[row][129] < 1e-4]
    first = []
    for row in rows:
        shape = {"points": cut(row, 0.95)}
        said = ask(web, "/v1/encode", {"shape": shape})
        edge = said["trailing_edge"]
        assert edge["cut"]
        assert edge["gap"] > 0.2
        assert max(abs(a - b) for a, b in zip(said["heights"], KNOWN[row], strict=True)) > 1e-3
        found = ask(web, "/v1/similar", {"shape": shape, "k": 1})["parts"][0]
        first.append(found["id"] == load().id[row] and found["matched"] == "cut by 5 %")
        longer = ask(web, "/v1/encode", {"shape": shape | {"extend": True}})
        assert longer["heights"] == edge["extension"]["heights"]
        assert abs(longer["trailing_edge"]["gap"]) < 0.01
    assert np.mean(first) > 0.95


def test_what_is_not_cut_is_not_extended(web: httpx.Client) -> None:
    assert ask(web, "/v1/encode", {"shape": SHAPE})["trailing_edge"]["extension"] is None
    # Every tail brought to one point.
    around = outline(KNOWN[3] - np.tile(STATIONS, 2) * np.repeat(KNOWN[3][[64, 129]], 65))
    shape = {"points": around.tolist()}
    said = ask(web, "/v1/encode", {"shape": shape})["trailing_edge"]
    assert (said["cut"], said["extension"]) == (False, None)
    assert "closes by itself" in refused(web, "/v1/encode", {"shape": shape | {"extend": True}}, "invalid_contour")


def test_whatever_is_drawn_is_answered_or_refused_and_never_a_failure(web: httpx.Client) -> None:
    """The same wrong drawings as test_malformed.py has, over HTTP."""
    codes: Counter[int] = Counter()
    for number in range(500):
        rng = random.Random(f"http {number}")
        rows = rng.choice(malformed.sections())
        if number % 2:
            shape = {"points": malformed.spoiled(rows, rng)}
        else:
            shape = {"dat": malformed.garbled(malformed.selig(malformed.deranged(rows, rng), rng), rng)}
        content = json.dumps({"shape": shape}, default=str).encode("utf-8", "replace")
        answer = web.post("/v1/similar", content=content)
        codes[answer.status_code] += 1
        assert answer.json().get("error", "x")
    assert set(codes) == {200, 400}
    assert codes[200] > 20
