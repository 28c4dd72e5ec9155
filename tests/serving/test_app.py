"""Does every address answer as the Open Inference Protocol says, and every refusal in the one shape?"""

import asyncio
import json
import re
import threading
from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
import numpy as np
import pytest
from fastapi import Body

from serving import protocol
from serving.app import create_app
from serving.batching import Pace
from serving.errors import REFUSALS
from serving.exchange import BIG_TEXT
from serving.inference import Inference
from serving.metrics import Metrics
from serving.settings import Settings
from tests.serving import graphs
from tests.serving.asking import Ask, asker, front, over, question

INFER = "/v2/models/test/infer"


def version(ask: Ask) -> str:
    return str(ask("GET", "/v2/models/test").json()["versions"][0])


@pytest.mark.parametrize("path", ["/v2", "/v2/"])
def test_the_server_says_what_it_is(ask: Ask, path: str) -> None:
    said = ask("GET", path).json()
    assert said["name"] == "unjar"
    assert said["extensions"] == ["binary_tensor_data", "model_repository", "statistics"]


def test_health_is_json(ask: Ask) -> None:
    assert ask("GET", "/v2/health/live").json() == {"live": True}
    assert ask("GET", "/v2/health/ready").json() == {"ready": True}
    assert ask("GET", "/v2/models/test/ready").json() == {"name": "test", "ready": True}
    assert ask("GET", f"/v2/models/test/versions/{version(ask)}/ready").json() == {"name": "test", "ready": True}


def test_metadata_tells_what_the_model_takes_and_how_well_it_is_known(ask: Ask) -> None:
    said = ask("GET", "/v2/models/test").json()
    assert said["inputs"] == [{"name": "X", "datatype": "FP32", "shape": [-1, 3]}]
    assert said["outputs"] == [{"name": "predict", "datatype": "FP32", "shape": [-1, 2]}]
    assert said["versions"] == [said["properties"]["digest"][:12]]
    assert said["properties"]["parity"]["verdict"] == "tested"
    assert said["properties"]["verified_here"]["predict"]["rows"] == 3
    assert ask("GET", f"/v2/models/test/versions/{said['versions'][0]}").json() == said


def test_an_answer_names_the_very_model(ask: Ask) -> None:
    answer = ask("POST", INFER, json=question([1, 2, 3], id="seven"))
    digest = answer.headers["x-model-digest"]
    assert answer.json() == {
        "model_name": "test",
        "model_version": digest[:12],
        "id": "seven",
        "outputs": [{"name": "predict", "datatype": "FP32", "shape": [1, 2], "data": [14.0, 140.0]}],
    }
    assert ask("POST", f"/v2/models/test/versions/{digest[:12]}/infer", json=question([1, 2, 3])).status_code == 200


def test_the_id_is_left_out_when_none_was_given(ask: Ask) -> None:
    assert "id" not in ask("POST", INFER, json=question([1, 2, 3])).json()


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "nonsense", None])
def test_the_content_type_does_not_matter(ask: Ask, content_type: str | None) -> None:
    body = b'{"inputs":[{"name":"X","datatype":"FP32","shape":[1,3],"data":[1,2,3]}]}'
    headers = {} if content_type is None else {"content-type": content_type}
    assert ask("POST", INFER, content=body, headers=headers).status_code == 200


@pytest.mark.parametrize("raw", [False, True])
def test_no_rows_are_answered_with_no_rows_even_where_the_graph_fails_on_them(raw: bool) -> None:
    content = graphs.no_empty_batch()
    with pytest.raises(Exception, match=r"ReduceMax|Gather"):
        graphs.load(content).run({"X": np.empty((0, 3), np.float32)})
    answer = asker(content)("POST", INFER, json=question([], [0, 3], parameters={"binary_data_output": raw}))
    assert answer.status_code == 200
    assert b'"shape":[0,1]' in answer.content


def test_a_narrower_datatype_is_widened_and_a_wider_one_refused() -> None:
    ask = asker(graphs.linear("FP64"))
    third = ask("POST", INFER, json=question([1 / 3, 0, 0], datatype="FP32")).json()["outputs"][0]["data"][0]
    assert third == float(np.float32(1 / 3))
    refusal = asker(graphs.linear("FP32"))("POST", INFER, json=question([1, 2, 3], datatype="FP64"))
    assert (refusal.status_code, refusal.json()["code"]) == (400, "invalid_input")
    assert "send FP32" in refusal.json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code", "words"),
    [
        ("GET", "/nowhere", 404, "not_found", "/docs"),
        ("GET", "/v2/health/live/", 404, "not_found", "/docs"),
        ("GET", "/v2/models/other", 404, "unknown_model", "model 'other' is not here; this server has 'test'"),
        ("GET", "/v2/models/test/versions/1/ready", 404, "unknown_model", "no version '1'"),
        ("POST", "/v2/models/test/versions/1/infer", 404, "unknown_model", "no version '1'"),
        ("POST", INFER, 400, "invalid_json", "zero-length"),
        ("GET", INFER, 405, "method_not_allowed", "GET is not allowed here; allowed: POST"),
        ("HEAD", INFER, 405, "", ""),
        ("DELETE", "/v2", 405, "method_not_allowed", "allowed: GET"),
    ],
)
def test_every_refusal_has_the_one_shape(ask: Ask, method: str, path: str, status: int, code: str, words: str) -> None:
    refusal = ask(method, path)
    assert refusal.status_code == status
    assert refusal.headers["content-type"] == "application/json"
    if method != "HEAD":
        said = refusal.json()
        assert said.keys() == {"error", "code", "request_id"}
        assert said["code"] == code
        assert words in said["error"]
        assert said["request_id"] == refusal.headers["x-request-id"]


def test_a_refused_method_is_told_which_are_allowed(ask: Ask) -> None:
    assert ask("PUT", "/v2").headers["allow"] == "GET"


def test_the_request_id_is_the_clients_own_when_it_is_valid(ask: Ask) -> None:
    assert ask("GET", "/v2", headers={"x-request-id": "abc-1.2:3_4"}).headers["x-request-id"] == "abc-1.2:3_4"


@pytest.mark.parametrize("bad", ["", "a b", 'x"', "x" * 129, "ü"])
def test_another_request_id_replaces_an_invalid_one(ask: Ask, bad: str) -> None:
    given = ask("GET", "/v2", headers={"x-request-id": bad.encode("latin-1")}).headers["x-request-id"]
    assert re.fullmatch("[0-9a-f]{32}", given)


def test_a_failure_of_the_server_shows_nothing_of_itself(ask: Ask, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    def fail(*_: object) -> None:
        raise ValueError("secret 4711")

    monkeypatch.setattr("serving.protocol.Decoder.begin", fail)
    refusal = ask("POST", INFER, json=question([1, 2, 3]))
    assert (refusal.status_code, refusal.json()["code"]) == (500, "internal")
    assert refusal.json()["error"] == "the server failed; its log has this request id"
    record = caplog.records[-1]
    assert record.fields["error"] == "ValueError"
    assert record.fields["request_id"] == refusal.headers["x-request-id"]
    assert "4711" not in str(record.fields)


@pytest.fixture(scope="module")
def extended() -> Ask:
    """With a route of the ordinary FastAPI kind, as other rooms add."""
    inference = Inference("test", Metrics(), max_rows=10, max_waiting=10)
    app = create_app(inference, Settings(max_body_bytes=100))

    @app.post("/twice")
    def twice(value: Annotated[int, Body(embed=True)]) -> dict[str, int]:
        return {"twice": value * 2}

    return over(front(inference, 100, app), inference)


def test_an_ordinary_route_refuses_in_the_same_shape(extended: Ask) -> None:
    assert extended("POST", "/twice", json={"value": 4}).json() == {"twice": 8}
    refusal = extended("POST", "/twice", json={"value": "secret"})
    assert (refusal.status_code, refusal.json()["code"]) == (400, "invalid_input")
    assert refusal.json()["error"].startswith("value: input should be a valid integer")
    assert "secret" not in refusal.text


def test_the_body_limit_holds_on_an_ordinary_route(extended: Ask) -> None:
    async def long() -> AsyncIterator[bytes]:
        yield b" " * 101

    refusal = extended("POST", "/twice", content=long(), headers={"content-type": "application/json"})
    assert (refusal.status_code, refusal.json()["code"]) == (413, "too_large")


def test_a_graph_that_fails_on_good_rows_says_so_and_the_log_says_how(caplog: Any) -> None:
    refusal = asker(graphs.no_empty_batch())("POST", INFER, json=question([9, 9, 9]))
    assert (refusal.status_code, refusal.json()["code"]) == (500, "model_failed")
    assert "Gather" not in refusal.text
    assert caplog.records[-1].fields["error"] == "InvalidArgument"
    assert caplog.records[-1].fields["request_id"] == refusal.json()["request_id"]


def test_nothing_is_served_before_the_model_is_ready() -> None:
    app = front(Inference("test", Metrics(), max_rows=10, max_waiting=10), 1000)

    async def ask() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            paths = ["/v2/health/live", "/v2/health/ready", "/v2/models/test", "/v2/models/test/ready", "/docs"]
            return [*[await client.get(path) for path in paths], await client.post(INFER, content=b"{}")]

    live, *others, docs, infer = asyncio.run(ask())
    assert (live.status_code, docs.status_code) == (200, 200)
    for answer in [*others, infer]:
        assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
        assert "being loaded and verified" in answer.json()["error"]


def test_the_example_in_the_openapi_document_is_answered(ask: Ask) -> None:
    document = ask("GET", "/openapi.json").json()
    operation = document["paths"]["/v2/models/{name}/infer"]["post"]
    example = operation["requestBody"]["content"]["application/json"]["example"]
    answer = ask("POST", INFER, json=example)
    assert answer.status_code == 200
    assert answer.json()["outputs"][0]["data"] == [14.0, 140.0]


def test_the_openapi_document_describes_the_very_model() -> None:
    document = asker(graphs.table())("GET", "/openapi.json").json()
    one_of = document["components"]["schemas"]["Question"]["properties"]["inputs"]["items"]["oneOf"]
    assert [entry["properties"]["name"]["const"] for entry in one_of] == ["age", "city"]
    assert "FP32" in one_of[0]["properties"]["datatype"]["enum"]
    assert one_of[1]["properties"]["datatype"]["enum"] == ["BYTES"]
    assert document["components"]["schemas"]["Error"]["properties"]["code"]["enum"] == [r.code for r in REFUSALS]


def test_every_reference_in_the_openapi_document_leads_somewhere(ask: Ask) -> None:
    text = ask("GET", "/openapi.json").text
    names = ask("GET", "/openapi.json").json()["components"]["schemas"].keys()
    assert set(re.findall(r'"#/components/schemas/(\w+)"', text)) <= names
    assert '"422"' not in text


def test_an_example_is_a_row_that_json_can_write() -> None:
    ask = asker(graphs.echo("FP32", allow_nan=True, rows=np.array([[np.nan, 1], [3, 4]], np.float32)))
    content = ask("GET", "/openapi.json").json()["paths"]["/v2/models/{name}/infer"]["post"]["requestBody"]["content"]
    assert content["application/json"]["example"]["inputs"][0]["data"] == [3, 4]


def test_the_documentation_page_needs_nothing_from_outside(ask: Ask) -> None:
    page = ask("GET", "/docs")
    assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert "<script" not in page.text
    assert not re.findall(r'(?:src|href)="(?!openapi\.json|metrics)[^"]*"', page.text)
    assert "/v2/models/{name}/infer" in page.text
    assert "curl -s http://test/v2/models/test/infer -d" in page.text


@pytest.mark.parametrize(("expected_s", "thread"), [(0.0, "MainThread"), (1.0, "model_0")])
def test_only_long_runs_leave_the_event_loop(expected_s: float, thread: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = asker(graphs.linear())
    seen: list[str] = []
    inference = ask.inference  # type: ignore[attr-defined]
    inference.served.batcher.keep(Pace(expected_s, 0.0))
    monkeypatch.setattr(inference.metrics, "ran", lambda *_: seen.append(threading.current_thread().name))
    assert ask("POST", INFER, json=question([1, 2, 3])).status_code == 200
    assert seen == [thread]


@pytest.mark.parametrize(("size", "thread"), [(BIG_TEXT, "MainThread"), (BIG_TEXT + 1, "model_0")])
def test_only_big_bodies_are_read_off_the_event_loop(size: int, thread: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = asker(graphs.linear(), max_body_bytes=2 << 20)
    seen: list[str] = []
    begin = protocol.Decoder.begin

    def watched(*arguments: Any) -> protocol.Unnamed:
        seen.append(threading.current_thread().name)
        return begin(*arguments)

    monkeypatch.setattr(protocol.Decoder, "begin", watched)
    assert ask("POST", INFER, content=json.dumps(question([1, 2, 3])).encode().ljust(size)).status_code == 200
    assert seen == [thread]


def test_a_version_is_named_in_the_address_and_nowhere_else(ask: Ask) -> None:
    paths = ask("GET", "/openapi.json").json()["paths"]
    assert [path for path in paths if path.endswith("/infer")] == [
        "/v2/models/{name}/infer",
        "/v2/models/{name}/versions/{version}/infer",
    ]
    for path, operations in paths.items():
        for operation in operations.values():
            given = {entry["name"] for entry in operation.get("parameters", []) if entry["in"] != "header"}
            assert given == set(re.findall(r"{(\w+)}", path))
    assert ask("GET", "/v2/models/test?version=other").status_code == 200
