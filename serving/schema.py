"""What do the addresses take and give, as OpenAPI says it, for the very model that is served?

Descriptions only: nothing here validates. The examples are the model's own verification rows.
"""

import copy
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from serving import front
from serving.errors import REFUSALS
from serving.inference import Served
from serving.model import Model
from serving.protocol import HEADER
from serving.signature import DTYPES, Tensor, widens
from serving.telemetry import feedback

Json = dict[str, Any]


def _object(properties: Json, required: list[str] | None = None) -> Json:
    return {"type": "object", "properties": properties, "required": list(properties) if required is None else required}


def _list(items: Json) -> Json:
    return {"type": "array", "items": items}


TEXT, TRUTH, WHOLE = {"type": "string"}, {"type": "boolean"}, {"type": "integer", "minimum": 0}
ANY_DATA = {"type": "array", "description": "row-major, flat or nested as the shape"}
TENSOR = _object({"name": TEXT, "datatype": TEXT, "shape": _list({"type": "integer"})})
ANSWERED = _object(
    {
        "name": TEXT, "datatype": TEXT, "shape": _list(WHOLE), "data": {"type": "array", "description": "row-major, flat"},
        "parameters": _object({"binary_data_size": WHOLE}, []),
    },
    ["name", "datatype", "shape"],
)  # fmt: skip
TRUST = _object(
    {
        "mode": {**TEXT, "enum": ["development", "release"]},
        "verified": TRUTH,
        "release": WHOLE,
        "key_sha256": TEXT,
        "expires": TEXT,
    },
    ["mode", "verified"],
)
MEASURES: Json = _object(
    {
        "rank": {"type": "integer", "minimum": 1, "maximum": 1_000_000, "description": "at which place it was taken"},
        "rating": {"type": "integer", "minimum": 1, "maximum": feedback.RATINGS},
        "measured": {"type": "number"},
    },
    [],
) | {"minProperties": 1, "additionalProperties": False}
SCHEMAS: Json = {
    "Live": _object({"live": TRUTH}),
    "Ready": _object({"ready": TRUTH}),
    "ModelReady": _object({"name": TEXT, "ready": TRUTH}),
    "Server": _object({"name": TEXT, "version": TEXT, "extensions": _list(TEXT), "trust": TRUST}),
    "Model": _object(
        {
            "name": TEXT, "versions": _list(TEXT), "platform": TEXT, "inputs": _list(TENSOR), "outputs": _list(TENSOR),
            "properties": {"type": "object", "description": "digest, NaN policy, and the evidence of parity"},
        }
    ),
    "Statistics": _object({"model_stats": _list({"type": "object", "description": "as Triton's statistics extension has it"})}),
    "Index": _list(_object({"name": TEXT, "version": TEXT, "state": TEXT, "reason": TEXT})),
    "Rollout": _object(
        {"release": WHOLE, "stage": TEXT, "rows": WHOLE, "requests": WHOLE, "difference": {"type": "number"}, "reason": TEXT},
        ["release", "stage"],
    ),
    "Order": _object({"parameters": {"type": "object", "description": "docs/api.md has them"}}, []),
    "Feedback": _object(
        {
            "request_id": {**TEXT, "minLength": 1, "maxLength": feedback.MOST_ID, "description": "the answer's own"},
            "outcome": {"oneOf": [{**TEXT, "enum": list(feedback.VERDICTS)}, MEASURES]},
        }
    ) | {"additionalProperties": False},
    "Noted": _object({"request_id": TEXT, "noted": _list(TEXT)}),
    "Answer": _object(
        {"model_name": TEXT, "model_version": TEXT, "id": TEXT, "outputs": _list(ANSWERED)},
        ["model_name", "model_version", "outputs"],
    ),
    "Error": _object(
        {
            "error": {**TEXT, "description": "one sentence: what was found, where, what was expected"},
            "code": {**TEXT, "enum": [refusal.code for refusal in REFUSALS]},
            "request_id": TEXT,
        }
    ),
}  # fmt: skip


def _body(name: str) -> Json:
    return {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}}


def answers(name: str) -> dict[int | str, Json]:
    return {
        200: {"description": "The answer", **_body(name)},
        "4XX": {"description": "A refusal", **_body("Error")},
        503: {"description": "Not ready", **_body("Error")},
    }


BYTES = {"schema": {"type": "string", "format": "binary"}}
INFER = answers("Answer")
INFER[504] = {"description": "The time that the request allowed was over before its turn", **_body("Error")}
INFER[200] = {
    "description": f"JSON, or JSON followed by raw bytes; then the header {HEADER} says where the JSON ends",
    "content": {**INFER[200]["content"], "application/octet-stream": BYTES},
    "headers": {"x-model-digest": {"schema": TEXT, "description": "SHA-256 of the model's file"}},
}


def _infer(summary: str, *placeholders: str) -> Json:
    content = {**_body("Question")["content"], "application/octet-stream": BYTES}
    return {
        "post": {
            "tags": ["inference"],
            "summary": summary,
            "description": "The content type does not matter; JSON, or JSON followed by raw bytes.",
            "parameters": [
                *({"name": name, "in": "path", "required": True, "schema": TEXT} for name in placeholders),
                {"name": HEADER, "in": "header", "required": False, "schema": WHOLE},
                {
                    "name": "X-Request-Timeout-Ms", "in": "header", "required": False,
                    "schema": {"type": "integer", "minimum": 1},
                    "description": "an answer later than this is of no use: the model is not run for it",
                },
            ],
            "requestBody": {"required": True, "content": content},
            "responses": {str(status): answer for status, answer in INFER.items()},
        }
    }  # fmt: skip


def _get(tag: str, summary: str, content: Json, *placeholders: str) -> Json:
    parameters = [{"name": name, "in": "path", "required": True, "schema": TEXT} for name in placeholders]
    responses = {
        "200": {"description": "The answer", **content},
        "4XX": REFUSED,
        "503": {**REFUSED, "description": "Not ready"},
    }
    said = {"tags": [tag], "summary": summary, "description": summary, "parameters": parameters, "responses": responses}
    return {"get": said}


def _order(summary: str, answer: str, *placeholders: str) -> Json:
    """What administrators post; the body may be empty."""
    said: Json = _get("repository", summary, _body(answer), *placeholders)["get"]
    return {"post": said | {"requestBody": {"required": False, **_body("Order")}}}


REFUSED = {"description": "A refusal", **_body("Error")}
SAID = "What became of an answer; counted here, by bins"
FEEDBACK: Json = {
    "post": {
        "tags": ["feedback"],
        "summary": SAID,
        "description": SAID,
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/Feedback"},
                    "example": {"request_id": "c8e70de10c15486015b0000000000031", "outcome": "accepted"},
                }
            },
        },
        "responses": {
            "202": {"description": "It was noted", **_body("Noted")},
            "4XX": REFUSED,
            "503": {**REFUSED, "description": "Not ready"},
        },
    }
}
READY, STATS = "Is this model ready to answer?", "How often was the model asked, and how long did it take?"
# Answered before FastAPI, which therefore does not know them.
HOT_PATHS: Json = {
    front.INFER: _infer("Ask the model", "name"),
    front.VERSION_INFER: _infer("Ask one version of the model", "name", "version"),
    front.LIVE: _get("health", "Does the process answer?", _body("Live")),
    front.READY: _get("health", "Did the model's verification rows hold on this machine?", _body("Ready")),
    f"{front.MODEL}/ready": _get("health", READY, _body("ModelReady"), "name"),
    f"{front.VERSIONED}/ready": _get("health", READY, _body("ModelReady"), "name", "version"),
    front.FEEDBACK: FEEDBACK,
    front.METRICS: _get("figures", "Counts and times in Prometheus' text format", {"content": {"text/plain": {}}}),
    front.ALL_STATS: _get("figures", STATS, _body("Statistics")),
    f"{front.MODEL}/stats": _get("figures", STATS, _body("Statistics"), "name"),
    front.INDEX: _order("Which releases are here, and which one answers?", "Index"),
    front.LOAD: _order("Take another release through its rollout", "Rollout", "name"),
    front.UNLOAD: _order("Refused: the release that answers is replaced, not unloaded", "Rollout", "name"),
    f"{front.VERSIONED}/stats": _get("figures", STATS, _body("Statistics"), "name", "version"),
}


def metadata(name: str, served: Served) -> Json:
    """The protocol's model metadata; what it has no place for is under `properties`."""
    model, gaps = served.model, served.gaps
    tolerance = model.verification.tolerance
    return {
        "name": name,
        "versions": [model.version],
        "platform": "onnxruntime_onnx",
        "inputs": [_tensor(tensor) for tensor in model.signature.inputs],
        "outputs": [_tensor(tensor) for tensor in model.signature.outputs],
        "properties": {
            "digest": model.digest,
            "allow_nan": [tensor.name for tensor in model.signature.inputs if tensor.allow_nan],
            "allow_infinity": [tensor.name for tensor in model.signature.inputs if tensor.allow_infinity],
            "range": {t.name: {"low": t.low, "high": t.high} for t in model.signature.inputs if t.low is not None},
            "categories": {t.name: list(t.categories) for t in model.signature.inputs if t.categories is not None},
            "codes": {t.name: t.codes for t in model.signature.inputs if t.codes is not None},
            "parity": model.parity,
            "verified_here": {
                output: {"rows": gap.rows, "max_abs": gap.max_abs, "atol": tolerance[output].atol,
                         "rtol": tolerance[output].rtol}
                for output, gap in gaps.items()
            },
        },
    }  # fmt: skip


def _tensor(tensor: Tensor) -> Json:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}


def document(app: FastAPI, name: str, served: Served | None) -> Json:
    """The OpenAPI document; once the model is ready, with its names, datatypes, shapes and an example that works."""
    model = served.model if served is not None else None
    serves = f"Model {name!r}, " + (f"version {model.version}" if model else "not ready yet")
    said = get_openapi(title=app.title, version=app.version, description=serves, routes=app.routes)
    said["paths"] = copy.deepcopy(HOT_PATHS) | said["paths"]
    theirs = said.get("components", {}).get("schemas", {})
    said["components"] = {"schemas": {**SCHEMAS, "Question": _question(model), **theirs}}
    example = model.example() if model is not None else None
    for path, methods in said["paths"].items():
        for operation in methods.values():
            for parameter in operation.get("parameters", []):
                parameter |= {"example": name} if parameter["name"] == "name" else {}
            if example is not None and path.endswith("/infer"):
                operation["requestBody"]["content"]["application/json"]["example"] = example
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            named = theirs.get(str(body.get("schema", {}).get("$ref", "")).rsplit("/", 1)[-1], {})
            if "example" in named:
                body["example"] = named["example"]
    return said


def _question(model: Model | None) -> Json:
    takes = [_input(tensor) for tensor in model.signature.inputs] if model else [TENSOR]
    gives = [tensor.name for tensor in model.signature.outputs] if model else []
    output = {**TEXT, "enum": gives} if gives else TEXT
    asked = _object({"name": output, "parameters": _object({"binary_data": TRUTH}, [])}, ["name"])
    return _object(
        {
            "id": TEXT,
            "inputs": {"type": "array", "items": {"oneOf": takes}, "minItems": len(takes), "maxItems": len(takes)},
            "outputs": {**_list(asked), "description": "all of them when absent or empty"},
            "parameters": _object(
                {
                    "binary_data_output": TRUTH,
                    "timeout": {"type": "integer", "minimum": 1, "description": "microseconds, as X-Request-Timeout-Ms"},
                },
                [],
            ),
        },
        ["inputs"],
    )


def _input(tensor: Tensor) -> Json:
    accepted = [name for name, dtype in DTYPES.items() if widens(dtype, tensor.dtype)]
    sizes = [WHOLE if size == -1 else {"type": "integer", "const": size} for size in tensor.shape]
    shape = {"type": "array", "prefixItems": sizes, "minItems": len(sizes), "maxItems": len(sizes)}
    return _object(
        {
            "name": {**TEXT, "const": tensor.name}, "datatype": {**TEXT, "enum": accepted}, "shape": shape,
            "data": ANY_DATA, "parameters": _object({"binary_data_size": WHOLE}, []),
        },
        ["name", "datatype", "shape"],
    )  # fmt: skip
