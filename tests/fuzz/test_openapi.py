"""Does the OpenAPI document say what the routes do, and do the routes hold to it whatever is asked?"""

import copy
import json
import random
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.fuzz import mutations
from tests.serving import graphs
from tests.serving.asking import Ask, asker

ASK = asker(graphs.echo("FP64"), max_rows=50)
DOCUMENT = ASK("GET", "/openapi.json").json()
CHECKS = [status_code_conformance, content_type_conformance, response_headers_conformance, response_schema_conformance]
schema = schemathesis.openapi.from_asgi("/openapi.json", ASK.front)  # type: ignore[attr-defined]


@schema.parametrize()
@settings(max_examples=40, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_route_answers_as_documented(case: Any) -> None:
    answer = case.call()
    # A deadline of a millisecond that the machine could not keep is the asker's own.
    missed = answer.status_code == 504 and "X-Request-Timeout-Ms" in case.headers
    case.validate_response(answer, checks=CHECKS if missed else [not_a_server_error, *CHECKS])


def test_a_deadline_that_is_over_is_an_answer_the_document_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.batching.time", SimpleNamespace(perf_counter=lambda: time.perf_counter() + 3600))
    case = schema[INFER.replace("test", "{name}")]["POST"].Case(
        path_parameters={"name": "test"}, headers={"X-Request-Timeout-Ms": "1"}, body=EXAMPLE, media_type="application/json"
    )
    answer = case.call()
    assert (answer.status_code, answer.json()["code"]) == (504, "deadline_exceeded")
    case.validate_response(answer, checks=CHECKS)


def question_schema() -> dict[str, Any]:
    return {"$ref": "#/components/schemas/Question", "components": DOCUMENT["components"]}


VALID = jsonschema_rs.validator_for(question_schema()).is_valid
EXAMPLE = DOCUMENT["paths"]["/v2/models/{name}/infer"]["post"]["requestBody"]["content"]["application/json"]["example"]
INFER = "/v2/models/test/infer"


def accepted(ask: Ask, document: Any) -> bool:
    return ask("POST", INFER, json=document).status_code == 200


def test_what_the_route_accepts_the_document_allows() -> None:
    rng = random.Random(5)
    pool = [mutations.good(rng, "FP64") for _ in range(400)]
    answered = 0
    for case in pool:
        for body, header in (case, mutations.mutated(rng, case, rng.choice(pool))):
            if header is None and ASK("POST", INFER, content=body).status_code == 200:
                answered += 1
                assert VALID(json.loads(body)), body
    assert answered > 150


def broken(schema: Any, value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """For every word of the schema that the value obeys, where it stands and another value that does not."""
    if "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "oneOf" in schema:
        schema = schema["oneOf"][0]
    kind = schema.get("type")
    yield path, None
    if kind == "object":
        yield path, []
        for name in schema.get("required", []):
            yield path, {key: entry for key, entry in value.items() if key != name}
        for name, inner in schema["properties"].items():
            if name in value:
                yield from broken(inner, value[name], (*path, name))
    elif kind == "array":
        yield path, {}
        if schema.get("minItems"):
            yield path, value[:-1]
        if "maxItems" in schema:
            yield path, value + value[-1:]
        for at, inner in enumerate(schema.get("prefixItems", [schema["items"]] if "items" in schema else [])):
            yield from broken(inner, value[at], (*path, at))
    elif kind in ("string", "integer", "boolean"):
        yield path, {"string": 7, "integer": "7", "boolean": 0}[kind]
        if "enum" in schema or "const" in schema:
            yield path, "another" if kind == "string" else 99
        if "minimum" in schema:
            yield path, schema["minimum"] - 1


def put(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    changed = copy.deepcopy(document)
    place = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return changed


FULL = EXAMPLE | {
    "id": "7", "outputs": [{"name": "Y", "parameters": {"binary_data": False}}],
    "parameters": {"binary_data_output": False, "timeout": 9_000_000},
}  # fmt: skip


@pytest.mark.parametrize(("path", "value"), list(broken({"$ref": "#/components/schemas/Question"}, FULL)), ids=str)
def test_what_the_document_forbids_the_route_refuses(path: tuple[Any, ...], value: Any) -> None:
    assert VALID(FULL)
    assert accepted(ASK, FULL)
    document = put(FULL, path, value)
    assert not VALID(document), document
    assert not accepted(ASK, document), document
