"""At which addresses is the recommender asked, and who does the work meanwhile?

Quick questions and searches have a thread each, so that nobody who drags a point waits for somebody's search, and neither holds
up the loop that answers the model's own questions.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import orjson
from fastapi import FastAPI, Request, Response

from recommender import answers, parts, questions
from recommender.answers import Json
from recommender.catalogue import CatalogueRefused
from recommender.drawing import ContourRefused
from recommender.encoder import NotAnEncoder
from recommender.workshop import Shed, Workshop
from serving import guard, schema
from serving.errors import Conflict, Internal, InvalidContour, NotFound, NotReady, Overloaded, Refusal, body_of
from serving.inference import Inference
from serving.limits import Receive, Scope, Send
from serving.settings import Settings

T = TypeVar("T")
Heard = Callable[[Json], bool]
Search = Callable[[Workshop, Heard], Json]
WEB = Path(__file__).parent / "web"
KINDS = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
         ".svg": "image/svg+xml"}  # fmt: skip
PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
}
EVENTS = "text/event-stream"
MOST_QUICK, MOST_SEARCHES = 32, 4


class _Queue:
    """One thread, and a bound for those who wait for it."""

    def __init__(self, name: str, most: int) -> None:
        self.name, self.most, self.waiting = name, most, 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        # Started while code may be loaded.
        self._thread.submit(lambda: None).result()

    async def do(self, work: Callable[[], T]) -> T:
        """Raises Overloaded when too many wait, and what the work raises as a refusal."""
        if self.waiting >= self.most:
            raise Overloaded(
                f"{self.waiting} questions wait for the {self.name} already; ask again later", {"retry-after": "1"}
            )
        self.waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except ContourRefused as refused:
            raise InvalidContour(str(refused)) from None
        except (NotAnEncoder, CatalogueRefused, OSError) as problem:
            raise Conflict(f"the recommender cannot work with what this server has: {problem}") from None
        finally:
            self.waiting -= 1


class Desk:
    """Who takes a question of the recommender, and writes its answer."""

    def __init__(self, inference: Inference, settings: Settings) -> None:
        self.inference = inference
        self.shed = Shed(None if settings.state is None else settings.state / parts.FILE, settings.catalogue)
        self.quick, self.searches = _Queue("recommender", MOST_QUICK), _Queue("search", MOST_SEARCHES)
        self._making = threading.Lock()
        self._rehearsed = False

    def shop(self) -> Workshop:
        served = self.inference.served
        if served is None:
            raise NotReady(f"not ready: {self.inference.reason}")
        with self._making:
            if self._rehearsed:
                return self.shed.workshop(served.model)
            with guard.loading():
                shop = self.shed.workshop(served.model)
                rehearse(shop)
            self._rehearsed = True
            return shop

    async def say(self, request: Request, work: Callable[[Workshop], Json], queue: _Queue | None = None) -> Response:
        said = await (queue or self.quick).do(lambda: orjson.dumps(work(self.shop())))
        self.note(request)
        return Response(said, media_type="application/json")

    def note(self, request: Request) -> None:
        """So that feedback on this answer is counted for the model that gave it."""
        served = self.inference.served
        if served is not None and served.ledger.asked is not None:
            served.ledger.asked.append(request.state.request_id)

    def stream(self, request: Request, work: Search) -> Response:
        """Server-sent events: how far it is, then the answer or why there is none. Who leaves, ends it."""
        return _Stream(self._events(request, work), media_type=EVENTS)

    async def _events(self, request: Request, work: Search) -> AsyncGenerator[bytes, None]:
        loop, left = asyncio.get_running_loop(), threading.Event()
        told: asyncio.Queue[bytes] = asyncio.Queue()

        def heard(progress: Json) -> bool:
            loop.call_soon_threadsafe(told.put_nowait, _event("progress", progress))
            return not left.is_set()

        doing = asyncio.ensure_future(self.searches.do(lambda: work(self.shop(), heard)))
        doing.add_done_callback(lambda _: told.put_nowait(b""))
        try:
            while line := await told.get():
                yield line
            self.note(request)
            yield _ended(doing, request.state.request_id)
        finally:
            left.set()
            doing.cancel()


class _Stream(Response):
    """Lines as they come, until there are no more or nobody listens. Starlette's own loads code when it is first used."""

    def __init__(self, lines: AsyncGenerator[bytes, None], media_type: str) -> None:
        super().__init__(media_type=media_type)
        self.lines = lines
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        left = asyncio.ensure_future(_disconnected(receive))
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            async for line in self.lines:
                if left.done():
                    return
                await send({"type": "http.response.body", "body": line, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            left.cancel()
            await self.lines.aclose()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _ended(doing: asyncio.Future[Json], request_id: str) -> bytes:
    try:
        return _event("result", doing.result())
    except Refusal as refusal:
        return _event("error", body_of(refusal, request_id))
    except Exception:
        return _event("error", body_of(Internal("the server failed; its log has this request id"), request_id))


def _event(kind: str, said: Json) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps(said))


def add_routes(app: FastAPI, inference: Inference, settings: Settings) -> None:
    desk = Desk(inference, settings)
    _add_shapes(app, desk)
    _add_searches(app, desk)
    _add_catalogue(app, desk)
    _add_page(app)
    if inference.served is not None:
        with contextlib.suppress(NotAnEncoder, CatalogueRefused, OSError):
            desk.shop()


ANSWERS = {**schema.answers("Error"), 200: {"description": "The answer"}}


def _add_shapes(app: FastAPI, desk: Desk) -> None:
    @app.post("/v1/encode", tags=["recommender"], responses=ANSWERS)
    async def encode(request: Request, asked: questions.Encode) -> Response:
        """A drawing in the encoder's frame: its 130 heights, coordinates, measures, and how unlike known parts it is.

        Who follows a moving hand asks for neighbours and polar in the same question.
        """
        return await desk.say(
            request,
            lambda shop: answers.followed(shop, answers.given(shop, asked.shape.model_dump()), asked.similar, asked.polar),
        )

    @app.post("/v1/similar", tags=["recommender"], responses=ANSWERS)
    async def similar(request: Request, asked: questions.Similar) -> Response:
        """The parts of the catalogue nearest to a drawing, by RMS distance between surfaces in % chord."""
        return await desk.say(
            request, lambda shop: answers.similar(shop, answers.given(shop, asked.shape.model_dump()), asked.k)
        )

    @app.post("/v1/polar", tags=["recommender"], responses=ANSWERS)
    async def polar(request: Request, asked: questions.Polars) -> Response:
        """Predicted lift, drag, moment and confidence over angles of attack."""
        return await desk.say(
            request,
            lambda shop: answers.polars(
                shop, answers.given(shop, asked.shape.model_dump()), asked.reynolds, asked.n_crit, asked.alphas
            ),
        )

    @app.post("/v1/decode", tags=["recommender"], responses=ANSWERS)
    async def decode(request: Request, asked: questions.Decode) -> Response:
        """The section that coordinates stand for, and whether it is one."""
        return await desk.say(request, lambda shop: answers.decode(shop, asked.latent))


def _add_searches(app: FastAPI, desk: Desk) -> None:
    @app.post("/v1/recommend", tags=["recommender"], responses=ANSWERS)
    async def recommend(request: Request, asked: questions.Recommend) -> Response:
        """Nearest parts, and better ones of the whole catalogue, under requirements; each with why."""
        wishes = asked.requirements.model_dump()
        return await desk.say(
            request,
            lambda shop: answers.recommend(shop, answers.given(shop, asked.shape.model_dump()), wishes, asked.k),
            desk.searches,
        )

    @app.post("/v1/generate", tags=["recommender"], responses=ANSWERS)
    async def generate(request: Request, asked: questions.Generate) -> Response:
        """Sections that nobody has drawn; with Accept: text/event-stream, how far the search is meanwhile."""

        def work(shop: Workshop, heard: Heard = lambda progress: True) -> Json:
            section = answers.given(shop, asked.shape.model_dump())
            return answers.generate(shop, section, asked.requirements.model_dump(), asked.k, asked.seed, asked.steps, heard)

        if EVENTS in request.headers.get("accept", ""):
            return desk.stream(request, work)
        return await desk.say(request, work, desk.searches)


def _add_catalogue(app: FastAPI, desk: Desk) -> None:
    @app.get("/v1/catalogue", tags=["recommender"], responses=ANSWERS)
    async def catalogue(request: Request) -> Response:
        """All parts, and the directions along which sections differ."""
        return await desk.say(request, answers.catalogue)

    @app.get("/v1/catalogue/{identity:path}", tags=["recommender"], responses=ANSWERS)
    async def part(request: Request, identity: str) -> Response:
        """One part: where it is from, its shape, and the shape as a .dat file."""
        return await desk.say(request, lambda shop: answers.part(shop, identity))


def _add_page(app: FastAPI) -> None:
    files = {path.name: (path.read_bytes(), KINDS[path.suffix]) for path in sorted(WEB.glob("*")) if path.suffix in KINDS}

    def file(name: str) -> Response:
        if name not in files:
            raise NotFound("there is nothing at this address; /docs lists those there are")
        content, kind = files[name]
        return Response(content, headers={"content-type": kind, **PAGE_HEADERS})

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return file("index.html")

    @app.get("/web/{name}", include_in_schema=False)
    async def asset(name: str) -> Response:
        return file(name)


def rehearse(shop: Workshop) -> None:
    """Takes every way once, as later no code may be loaded."""
    wishes: dict[str, Any] = questions.Wishes().model_dump()
    section = answers.given(shop, {"dat": answers.dat("rehearsal", shop.heights[0])})
    answers.encode(shop, section)
    answers.polars(shop, section, [1e6], 9.0, None)
    answers.generate(shop, section, wishes, 1, 0, 1)
    answers.decode(shop, section.latent.tolist())
    answers.catalogue(shop)
    answers.part(shop, str(shop.catalogue.id[0]))
    # A large catalogue that cannot be read is no reason to answer nothing else.
    with contextlib.suppress(CatalogueRefused):
        found = answers.similar(shop, section, 1)
        answers.recommend(shop, section, wishes, 1)
        answers.part(shop, found["parts"][0]["id"])
