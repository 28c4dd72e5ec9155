"""Which addresses does FastAPI answer: metadata, documentation, and what another room adds.

Questions to the model, health and figures never come here; serving/front.py answers them before
(docs/decisions/0002-tensor-path-without-pydantic.md).
"""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from serving import VERSION, docs_page, schema
from serving.addition import Addition
from serving.envelope import Envelope
from serving.errors import KINDS, Conflict, InvalidInput, InvalidJson, MethodNotAllowed, NotFound, Refusal, shown
from serving.front import MODEL, NOTHING_KEPT, STATUS, VERSIONED
from serving.inference import Inference
from serving.limits import BodyLimit
from serving.release import Opened
from serving.settings import Settings

if TYPE_CHECKING:
    from serving.telemetry.recorder import Recorder
EXTENSIONS = ["binary_tensor_data", "model_repository", "statistics"]


def create_app(
    inference: Inference, settings: Settings, recorder: "Recorder | None" = None, addition: Addition | None = None
) -> FastAPI:
    app = FastAPI(
        title="Unjar",
        version=VERSION,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        # FastAPI sends OpenTelemetry wherever a global provider points; one place in this product may connect outward.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.router.route_class = _Json
    # The last one added is the outermost.
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes)
    app.add_middleware(Envelope, metrics=inference.metrics)
    app.add_exception_handler(HTTPException, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse)
    _add_metadata(app, inference)
    _add_telemetry(app, inference, settings, recorder)
    if addition is not None:
        addition.add(app, inference, settings)
    if settings.docs == "on":
        _add_documentation(app, inference)
    return app


class _Json(APIRoute):
    """As on the tensor path the content type does not matter: a body is JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def typed(request: Request) -> Response:
            others = [pair for pair in request.scope["headers"] if pair[0] != b"content-type"]
            scope = {**request.scope, "headers": [*others, (b"content-type", b"application/json")]}
            return await handle(Request(scope, request.receive))

        return typed


def _add_metadata(app: FastAPI, inference: Inference) -> None:
    @app.get("/v2", tags=["metadata"], responses=schema.answers("Server"))
    @app.get("/v2/", include_in_schema=False)
    async def server() -> Response:
        """What this server is."""
        return _json({"name": "unjar", "version": VERSION, "extensions": EXTENSIONS, "trust": _trust(inference)})

    @app.get(MODEL, tags=["metadata"], responses=schema.answers("Model"))
    async def metadata(name: str) -> Response:
        """What the model takes and gives, and what is known of its agreement with scikit-learn."""
        return _json(schema.metadata(name, inference.find(name, None)))

    @app.get(VERSIONED, tags=["metadata"], responses=schema.answers("Model"))
    async def version_metadata(name: str, version: str) -> Response:
        """The same for one version."""
        return _json(schema.metadata(name, inference.find(name, version)))


def _add_telemetry(app: FastAPI, inference: Inference, settings: Settings, recorder: "Recorder | None") -> None:
    # While this application is made code may be loaded, and later no more.
    from serving.telemetry import status_page

    @app.get(STATUS, include_in_schema=False)
    async def status() -> Response:
        if recorder is None:
            raise Conflict(NOTHING_KEPT)
        served = inference.served
        reference, digest = (None, None) if served is None else (served.model.reference, served.model.digest)
        # Reading the disk leaves the loop to others; FastAPI's own way would load code when it is first taken.
        work = functools.partial(status_page.page, settings, reference, digest, recorder.problem)
        text = await asyncio.get_running_loop().run_in_executor(None, work)
        return Response(text, headers={"content-type": "text/html; charset=utf-8", **status_page.HEADERS})


def _add_documentation(app: FastAPI, inference: Inference) -> None:
    # What describes is loaded now, as later no code may be.
    schema.document(app, inference.name, None)

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi() -> Response:
        return _json(schema.document(app, inference.name, inference.served))

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> Response:
        document = schema.document(app, inference.name, inference.served)
        page = docs_page.render(document, str(request.base_url).rstrip("/"), bool(_trust(inference)["verified"]))
        return Response(page, headers={"content-type": "text/html; charset=utf-8", **docs_page.HEADERS})


def _trust(inference: Inference) -> dict[str, Any]:
    """Who vouches for the model that answers; nobody while none does."""
    return (Opened(b"", "") if inference.served is None else inference.served.opened).describe()


def _json(value: Any) -> Response:
    body = orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(body, headers={"content-type": "application/json"})


def _invalid(first: Any) -> Refusal:
    """What pydantic says of the first thing that is wrong, in this house's words."""
    if first["type"] == "json_invalid":
        return InvalidJson(
            f"the request is not JSON: {first.get('ctx', {}).get('error', '').lower()} at byte {first['loc'][-1]}"
        )
    where = ".".join(map(str, first["loc"][1:])) or "the request"
    said = first["msg"].removeprefix("Value error, ")
    said = said[:1].lower() + said[1:]
    value = first["input"]
    # Text may be anything, and a refusal repeats nothing that a log should not hold.
    found = f", found {KINDS[str] if isinstance(value, str) else shown(value)}"
    if first["type"] in ("missing", "value_error"):
        found = ""
    return InvalidInput(f"{where}: {said}{found}")


async def _refuse(request: Request, error: Exception) -> Response:
    """Starlette's and FastAPI's own refusals, in the one error shape."""
    if isinstance(error.__cause__, Refusal):
        # FastAPI hides what a middleware raised while it read the body.
        raise error.__cause__
    if isinstance(error, RequestValidationError):
        raise _invalid(error.errors()[0])
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = error.headers if isinstance(error, HTTPException) else None
    if status == 404:
        raise NotFound("there is nothing at this address; /docs lists those there are")
    if status == 405:
        allowed = (headers or {}).get("Allow", "")
        raise MethodNotAllowed(f"{request.method} is not allowed here; allowed: {allowed}", headers)
    raise Refusal("the request cannot be read", headers)
