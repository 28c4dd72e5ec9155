"""How do reports come in over the network? `python -m monitoring serve`, HTTPS only, each site with its own token.

A token says who may knock; who made a report is said by its signature. Answers tell the site what became of its report, so that
nothing stays in an outbox without a reason.
"""

import asyncio
import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import uvicorn

from monitoring.ingest import Taken, ingest_one
from monitoring.warehouse import Warehouse

MOST_BYTES = 64 << 20
PATH = "/v1/reports"


class Receiver:
    """ASGI application. `tokens`: the token's SHA-256 -> the fingerprint of the site whose reports it may bring."""

    def __init__(self, warehouse: Warehouse, tokens: Mapping[str, str], keep: Path | None = None) -> None:
        self.warehouse = warehouse
        self.tokens = tokens
        self.keep = keep
        # One at a time: the warehouse has one connection.
        self._turn = asyncio.Lock()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return await _live(receive, send)
        status, said = await self._answer(scope, receive)
        body = orjson.dumps(said)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        return None

    async def _answer(self, scope: Any, receive: Any) -> tuple[int, dict[str, Any]]:
        if scope["path"] != PATH:
            return 404, {"error": f"there is nothing at this address; reports go to {PATH}"}
        if scope["method"] != "POST":
            return 405, {"error": f"{scope['method']} is not allowed here; allowed: POST"}
        site = self._site(dict(scope["headers"]).get(b"authorization", b""))
        if site is None:
            return 401, {"error": "the request has no token that this receiver knows"}
        body = await _body(receive)
        if body is None:
            return 413, {"error": f"a report has at most {MOST_BYTES} bytes"}
        async with self._turn:
            taken = await asyncio.get_running_loop().run_in_executor(None, self._take, body, site)
        if taken.word == "refused":
            return 422, {"error": f"the report {taken.reason}"}
        return 200 if taken.word == "known" else 201, {"sequence": taken.sequence, "report": taken.word}

    def _take(self, body: bytes, site: str) -> Taken:
        taken = ingest_one(self.warehouse, body, "received", site)
        if taken.word == "added" and self.keep is not None:
            place = self.keep / site
            place.mkdir(parents=True, exist_ok=True)
            (place / f"report-{taken.sequence:06d}-{hashlib.sha256(body).hexdigest()[:12]}.json").write_bytes(body)
        return taken

    def _site(self, authorization: bytes) -> str | None:
        scheme, _, token = authorization.partition(b" ")
        given = hashlib.sha256(token.strip()).hexdigest()
        found = None
        for known, site in self.tokens.items():
            # All are looked at, each in the same time.
            if hmac.compare_digest(known, given) and scheme.lower() == b"bearer":
                found = site
        return found


async def _body(receive: Any) -> bytes | None:
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        more = message.get("more_body", False)
        if size > MOST_BYTES:
            return None
    return b"".join(parts)


async def _live(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


def read_tokens(path: Path, sites: Mapping[str, str]) -> dict[str, str]:
    """Lines NAME SHA256, the site's name and its token's hash; sites: name -> fingerprint. Raises ValueError or OSError."""
    tokens = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, digest = line.partition(" ")
        digest = digest.strip()
        if name not in sites:
            raise ValueError(f"{path}:{number}: there is no site {name!r}; `monitoring site NAME KEY.pub` adds it")
        if len(digest) != 64 or digest.strip("0123456789abcdef"):
            raise ValueError(f"{path}:{number}: expected a site's name and its token's SHA-256 in hex digits")
        tokens[digest] = sites[name]
    return tokens


def serve(app: Receiver, host: str, port: int, certificate: Path, key: Path) -> None:
    """Until SIGTERM or SIGINT."""
    uvicorn.run(
        app, host=host, port=port, ssl_certfile=str(certificate), ssl_keyfile=str(key), log_level="warning", access_log=False,
        server_header=False, proxy_headers=False,
    )  # fmt: skip
