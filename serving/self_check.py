"""Do the short way and the common way give the same bytes, on this machine and with this uvicorn?"""

import asyncio
from typing import Any

import orjson
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from serving.connection import UVICORN, Connection
from serving.exchange import Desk
from serving.front import Front
from serving.inference import Inference, Served
from serving.metrics import Metrics

PATIENCE_S = 10.0


async def difference(name: str, served: Served, connection: type[Connection] = Connection) -> str | None:
    """Why the short way cannot be taken, or None. Asks the model that is served, good and bad questions.

    At a desk of its own, so that no figures of the server count it.
    """
    if uvicorn.__version__ != UVICORN:
        return f"uvicorn is {uvicorn.__version__}, the connection was made for {UVICORN}"
    inference = Inference(name, Metrics(), max_rows=1000, max_waiting=10)
    inference.served = inference.make(served.model, served.gaps, served.batcher.pace, served.batcher.mixes, served.opened)
    desk = Desk(inference, max_body_bytes=1 << 26, max_held_bytes=1 << 26)
    config = uvicorn.Config(Front(desk, _none), http=connection, lifespan="off", ws="none", log_config=None, access_log=False)
    url = f"/v2/models/{name}/infer".encode()
    short = type("Rehearsal", (connection,), {
        "desk": desk, "url_of_model": url, "request_timeout_s": PATIENCE_S, "max_connections": 10,
    })  # fmt: skip
    example = orjson.dumps(served.model.example() or {})
    try:
        for body in (example, example[:-1], b"{}", b'{"inputs":[{"name":"nobody"}]}'):
            head = b"POST %b HTTP/1.1\r\nhost: self\r\nx-request-id: self-check\r\ncontent-length: %d\r\n\r\n" % (
                url,
                len(body),
            )
            if await _answer(config, HttpToolsProtocol, head + body) != await _answer(config, short, head + body):
                return "the two ways answer the same question with different bytes"
    except Exception as error:
        return f"the short way fails: {type(error).__name__}"
    finally:
        inference.worker.shutdown(wait=False)
    return None


def _none() -> Any:
    raise AssertionError("only the model is asked")


async def _answer(config: uvicorn.Config, kind: Any, request: bytes) -> bytes:
    transport = _Transport()
    protocol = kind(config, ServerState(), {})
    protocol.connection_made(transport)
    async with asyncio.timeout(PATIENCE_S):
        # The second time the connection knows the head.
        for _ in range(2):
            protocol.data_received(request)
            while protocol.cycle is None or not protocol.cycle.response_complete:
                await asyncio.sleep(0)
    protocol.connection_lost(None)
    return transport.written


class _Transport:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None: ...

    def is_closing(self) -> bool:
        return False

    def get_extra_info(self, name: str) -> None:
        return None

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...
